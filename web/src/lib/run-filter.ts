// Which runs a list shows. The API filters by one status, by workflow and by whether another run waits for it; the rest,
// several statuses among it, is put together here from its answers.
import type { Run, RunStatus } from "@/api/types";

export const RUN_STATUSES = [
  "queued",
  "running",
  "waiting",
  "paused",
  "failed",
  "cancelled",
  "succeeded",
] as const satisfies readonly RunStatus[];

export const SINCE = { "1h": 3_600_000, "1d": 86_400_000, "7d": 7 * 86_400_000, "30d": 30 * 86_400_000 } as const;
export type Since = keyof typeof SINCE;

export interface RunFilter {
  /** Statuses, separated by commas. */
  status?: string;
  workflow?: string;
  /** Also runs that another run started and waits for. */
  inside?: boolean;
  since?: Since;
  trigger?: string;
  /** A part of the id, the workflow's name or the error. */
  text?: string;
}

export function statusesOf(filter: Pick<RunFilter, "status">): RunStatus[] {
  const named = (filter.status ?? "").split(",");
  return RUN_STATUSES.filter((status) => named.includes(status));
}

/** The filter with one status more, or less. */
export function withStatus(filter: Pick<RunFilter, "status">, status: RunStatus): string | undefined {
  const now = statusesOf(filter);
  const next = now.includes(status) ? now.filter((each) => each !== status) : [...now, status];
  return RUN_STATUSES.filter((each) => next.includes(each)).join(",") || undefined;
}

export function isFiltered({ status, workflow, since, trigger, text }: RunFilter): boolean {
  return Boolean(status || workflow || since || trigger || text);
}

export function startOf(filter: Pick<RunFilter, "since">, now = Date.now()): number {
  return filter.since ? now - SINCE[filter.since] : Number.NEGATIVE_INFINITY;
}

/** Whether a run fits what the API does not look at. */
export function fitsHere(run: Run, { trigger, text }: RunFilter): boolean {
  if (trigger && run.trigger !== trigger) return false;
  const wanted = text?.trim().toLowerCase();
  if (!wanted) return true;
  const error = run.error ? JSON.stringify(run.error) : "";
  return `${run.id}\n${run.workflow_name ?? ""}\n${error}`.toLowerCase().includes(wanted);
}

type Place = Pick<Run, "created_at" | "id">;

/** A time as text that sorts: fractions of a second have as many digits as they need. */
function sortable(at: string): string {
  const [, whole = at, fraction = ""] = /^([^.Z+]+)(?:\.(\d+))?/.exec(at) ?? [];
  return `${whole}.${fraction.padEnd(9, "0")}`;
}

/** The order of lists: the newest first. */
export function byNewest(a: Place, b: Place): number {
  return sortable(b.created_at).localeCompare(sortable(a.created_at)) || b.id.localeCompare(a.id);
}

/** One status' part of a merged list: what its page held, where that page was, and where the next one is. */
export interface Part {
  items: readonly Run[];
  cursor: string | undefined;
  next: string | null | undefined;
}

export interface Merged {
  items: Run[];
  /** Where each part goes on; null for one that is through. */
  cursors: (string | null | undefined)[];
  last: Place | undefined;
  over: boolean;
}

/**
 * Puts lists that are each sorted together, from behind `after` on. What lies behind the end of a page that has a next one
 * is left for later, since something newer may come in that next one.
 */
export function mergeParts(parts: readonly Part[], after: Place | undefined): Merged {
  const isBehind = (run: Run) => !after || byNewest(after, run) < 0;
  const ends = parts.flatMap((part) => (part.next ? part.items.slice(-1) : [])).toSorted(byNewest);
  const horizon = ends[0];
  const items = parts
    .flatMap((part) => part.items)
    .filter((run) => isBehind(run) && (!horizon || byNewest(run, horizon) <= 0))
    .toSorted(byNewest);
  const cursors = parts.map((part) => {
    const end = part.items.at(-1);
    const used = !end || !horizon || byNewest(end, horizon) <= 0;
    return used ? (part.next ?? null) : part.cursor;
  });
  return { items, cursors, last: items.at(-1) ?? after, over: horizon === undefined };
}
