// Runs as lists, and what can be done with several of them.
import { type InfiniteData, keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { usePages } from "@/api/lists";
import { useLiveEvents } from "@/api/live/live";
import type { Page, Run, RunStatus } from "@/api/types";
import { mergeNewest } from "@/lib/pages";
import { fitsHere, mergeParts, type RunFilter, startOf, statusesOf } from "@/lib/run-filter";

const PAGE = 100;
/** The largest page the API gives. */
const LARGE_PAGE = 200;
/** A page of a filter that is applied here is full with so many. */
const ENOUGH = 50;
/** So many runs are looked through for one page; then one is asked whether to go on. */
const LOOK_THROUGH = 2_000;

interface Asked {
  filter: RunFilter;
  limit: number;
  signal?: AbortSignal;
}

async function askRuns({ filter, limit, signal }: Asked, status?: RunStatus, cursor?: string): Promise<Page<Run>> {
  const query = { status, workflow: filter.workflow, top_level: !filter.inside, cursor, limit };
  return take(api.GET("/runs", { params: { query }, signal }));
}

/** The place in a list of several statuses: each one's own, and the run that was shown last. */
interface Place {
  cursors: (string | null | undefined)[];
  last?: { created_at: string; id: string };
}

/** One page of several statuses together. */
async function askMerged(asked: Asked, statuses: readonly RunStatus[], cursor?: string): Promise<Page<Run>> {
  const place: Place = cursor ? JSON.parse(cursor) : { cursors: statuses.map(() => undefined) };
  const parts = await Promise.all(
    statuses.map(async (status, index) => {
      const own = place.cursors[index];
      if (own === null) return { items: [], cursor: undefined, next: null };
      const page = await askRuns(asked, status, own);
      return { items: page.items, cursor: own, next: page.next_cursor };
    }),
  );
  const { items, cursors, last, over } = mergeParts(parts, place.last);
  const at = last && { created_at: last.created_at, id: last.id };
  return { items, next_cursor: over ? null : JSON.stringify({ cursors, last: at } satisfies Place) };
}

function askPage(asked: Asked, cursor?: string): Promise<Page<Run>> {
  const statuses = statusesOf(asked.filter);
  return statuses.length > 1 ? askMerged(asked, statuses, cursor) : askRuns(asked, statuses[0], cursor);
}

/** A page of the runs that fit; with a filter that the API does not know, of what was found in a bounded look. */
export async function fetchRuns(filter: RunFilter, cursor?: string, signal?: AbortSignal): Promise<Page<Run>> {
  const here = Boolean(filter.trigger || filter.text);
  const begin = startOf(filter);
  const items: Run[] = [];
  let [place, seen] = [cursor, 0];
  do {
    const page = await askPage({ filter, limit: here ? LARGE_PAGE : PAGE, signal }, place);
    seen += page.items.length;
    const young = page.items.filter((run) => new Date(run.created_at).getTime() >= begin);
    for (const run of young) if (fitsHere(run, filter)) items.push(run);
    // The newest come first: behind the first that is too old are only older ones.
    place = young.length < page.items.length ? undefined : (page.next_cursor ?? undefined);
  } while (place !== undefined && here && items.length < ENOUGH && seen < LOOK_THROUGH);
  return { items, next_cursor: place ?? null };
}

export function useRuns(filter: RunFilter) {
  return usePages<Run>({ queryKey: keys.runs(filter), fetch: (cursor, signal) => fetchRuns(filter, cursor, signal) });
}

const LOOK_EVERY_MS = 1_000;

/** Whether an event may bring a run into the list: a new one, or one that now has a status that is asked for. */
function brings(kind: string, filter: RunFilter): boolean {
  return kind === "run.started" || (filter.status !== undefined && ["run.finished", "run.paused"].includes(kind));
}

/**
 * Counts runs that the list does not show yet, and puts them on top when asked to. An event does not say whether a run
 * fits, so the newest are asked for; at most once a second, and only when something happened.
 */
export function useNewRuns(filter: RunFilter, shown: readonly Run[]) {
  const client = useQueryClient();
  const [fresh, setFresh] = useState<Page<Run>>();
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  useLiveEvents((events) => {
    if (timer.current !== undefined || !events.some((event) => brings(event.kind, filter))) return;
    timer.current = setTimeout(() => {
      timer.current = undefined;
      fetchRuns(filter).then(setFresh, () => {});
    }, LOOK_EVERY_MS);
  });
  const listed = new Set(fresh ? shown.map((run) => run.id) : []);
  const count = fresh?.items.filter((run) => !listed.has(run.id)).length ?? 0;
  const show = useCallback(async () => {
    const newest = await fetchRuns(filter);
    client.setQueryData<InfiniteData<Page<Run>, string | undefined>>(
      keys.runs(filter),
      (data) => data && mergeNewest(data, newest, (run) => run.id),
    );
    setFresh(undefined);
  }, [client, filter]);
  return { count, show };
}

/** The error of a run or a step, whatever its shape. */
export function errorOf(error: unknown): { code: string; message: string } | undefined {
  if (!error || typeof error !== "object")
    return typeof error === "string" ? { code: "error", message: error } : undefined;
  const { code, message, detail } = error as Record<string, unknown>;
  return {
    code: typeof code === "string" ? code : "error",
    message: typeof message === "string" ? message : typeof detail === "string" ? detail : JSON.stringify(error),
  };
}

/** Starts a run like one that has ended or is paused: same workflow, version, trigger and input. */
export async function runAgain(id: string): Promise<string> {
  const path = { run_id: id };
  return (await take(api.POST("/runs/{run_id}/rerun", { params: { path }, body: {} }))).run_id;
}

export async function cancelRun(id: string, reason?: string) {
  await take(api.POST("/runs/{run_id}/cancel", { params: { path: { run_id: id } }, body: { reason } }));
}

const COUNTED = ["queued", "running", "waiting", "paused"] as const satisfies readonly RunStatus[];
const MOST_COUNTED = 100;

/** How many runs are in the states that want to be watched: "7", or "99+". Nothing while it is not known, or none. */
export function useOpenCounts({ workflow, inside }: RunFilter): Partial<Record<RunStatus, string>> {
  const query = useQuery({
    // Under "home", as all that is counted anew after each event of a run.
    queryKey: ["home", "open-runs", { workflow, inside }],
    queryFn: async ({ signal }) => {
      const asked = { filter: { workflow, inside }, limit: MOST_COUNTED, signal };
      const pages = await Promise.all(COUNTED.map((status) => askRuns(asked, status)));
      return pages.map((page) => (page.next_cursor ? `${MOST_COUNTED - 1}+` : String(page.items.length)));
    },
    placeholderData: keepPreviousData,
  });
  return Object.fromEntries(
    COUNTED.flatMap((status, index) => {
      const count = query.data?.[index];
      return count === undefined || count === "0" ? [] : [[status, count]];
    }),
  );
}
