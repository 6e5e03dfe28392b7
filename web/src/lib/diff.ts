// What changed, field by field, and inside long texts line by line.
import type { RowChange } from "@/api/types";

export interface FieldChange {
  field: string;
  before: unknown;
  after: unknown;
}

export interface RowDiff {
  kind: string;
  id: string;
  op: "create" | "update" | "delete" | "restore";
  title?: string;
  fields: FieldChange[];
}

/** Kept by the server on its own; showing them would bury what was asked for. */
const HOUSEKEEPING = new Set([
  "id",
  "created_at",
  "updated_at",
  "created_by",
  "revision",
  "depth",
  "deleted_at",
  "delete_group",
  // Digits that say something only beside those of other rows.
  "position",
]);

const FIELD_ORDER = ["title", "name", "status", "priority", "assignee", "due_date", "description", "tags"];

function rank(field: string) {
  const place = FIELD_ORDER.indexOf(field);
  return place < 0 ? FIELD_ORDER.length : place;
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined || value === "") return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === "object" && Object.keys(value).length === 0;
}

export function fieldChanges(diff: Record<string, { before?: unknown; after?: unknown }>): FieldChange[] {
  return Object.entries(diff)
    .filter(([field, change]) => !HOUSEKEEPING.has(field) && !(isEmpty(change.before) && isEmpty(change.after)))
    .map(([field, change]) => ({ field, before: change.before ?? null, after: change.after ?? null }))
    .sort((a, b) => rank(a.field) - rank(b.field) || a.field.localeCompare(b.field));
}

/** The changes of a patch set, or of its preview, as rows to show. */
export function rowDiffs(changes: readonly RowChange[], titles: Record<string, string> = {}): RowDiff[] {
  return changes.map((change) => {
    const named = change.diff.title ?? change.diff.name;
    const title = titles[change.id] ?? (named ? String(named.before ?? named.after ?? "") : undefined);
    return {
      kind: change.kind,
      id: change.id,
      op: change.op,
      title: title || undefined,
      fields: fieldChanges(change.diff),
    };
  });
}

/** What an approval shows may be anything; a patch preview is recognised by its shape. */
export function changesOf(detail: unknown): { changes: RowChange[]; titles: Record<string, string> } | undefined {
  if (typeof detail !== "object" || detail === null) return undefined;
  const changes = (detail as { changes?: unknown }).changes;
  if (!Array.isArray(changes) || !changes.every(isRowChange)) return undefined;
  const titles: Record<string, string> = {};
  const { tasks, projects } = detail as { tasks?: unknown; projects?: unknown };
  for (const row of [...asList(tasks), ...asList(projects)]) {
    const name = row.title ?? row.name;
    if (typeof row.id === "string" && typeof name === "string") titles[row.id] = name;
  }
  return { changes, titles };
}

function asList(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "object" && item !== null) : [];
}

function isRowChange(value: unknown): value is RowChange {
  if (typeof value !== "object" || value === null) return false;
  const row = value as Record<string, unknown>;
  return typeof row.id === "string" && typeof row.op === "string" && typeof row.diff === "object" && row.diff !== null;
}

export interface Line {
  kind: "same" | "removed" | "added";
  text: string;
}

/** Above this many pairs of lines the whole text is shown as replaced: comparing would hold up the page. */
const MAX_PAIRS = 250_000;

/** A line diff by longest common subsequence. */
export function lineDiff(before: string, after: string): Line[] {
  const [a, b] = [before.split("\n"), after.split("\n")];
  if (a.length * b.length > MAX_PAIRS) return [...lines("removed", a), ...lines("added", b)];
  const width = b.length + 1;
  const lengths = new Uint32Array((a.length + 1) * width);
  const at = (i: number, j: number) => lengths[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      lengths[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  return walk(a, b, at);
}

function walk(a: string[], b: string[], at: (i: number, j: number) => number): Line[] {
  const out: Line[] = [];
  let [i, j] = [0, 0];
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      out.push({ kind: "same", text: a[i] ?? "" });
      i++;
      j++;
    } else if (at(i + 1, j) >= at(i, j + 1)) out.push({ kind: "removed", text: a[i++] ?? "" });
    else out.push({ kind: "added", text: b[j++] ?? "" });
  }
  return [...out, ...lines("removed", a.slice(i)), ...lines("added", b.slice(j))];
}

function lines(kind: Line["kind"], texts: string[]): Line[] {
  return texts.map((text) => ({ kind, text }));
}

/** A value in one line. */
export function inline(value: unknown): string {
  if (value === null || value === undefined || value === "") return "empty";
  if (typeof value === "string") return value;
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value.join(", ") || "empty";
  return JSON.stringify(value);
}
