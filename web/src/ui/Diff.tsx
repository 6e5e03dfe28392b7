// What is proposed, or was done, field by field: before and after.

import { useQuery } from "@tanstack/react-query";
import { Minus, Pencil, Plus, RotateCcw } from "lucide-react";
import { useMemo } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import type { Recurrence, RowChange } from "@/api/types";
import { changesOf, type FieldChange, fieldChanges, inline, lineDiff, type RowDiff, rowDiffs } from "@/lib/diff";
import { ruleInWords } from "@/lib/recurrence";
import { exact, minutes } from "@/lib/time";
import { JsonView } from "./JsonView";
import { shortId } from "./parts";
import { wordOf } from "./Status";

const OPS = {
  create: { icon: Plus, tone: "tone-good", word: "Create" },
  update: { icon: Pencil, tone: "tone-busy", word: "Change" },
  delete: { icon: Minus, tone: "tone-bad", word: "Delete" },
  restore: { icon: RotateCcw, tone: "tone-good", word: "Bring back" },
};

const WORDED = new Set(["status", "priority"]);

/** A value as people read it: states by their words, times and minutes with their units, rules as sentences. */
function textOf(field: string, value: unknown): string {
  if (WORDED.has(field) && typeof value === "string") return wordOf(value);
  if (/_(date|at)$/.test(field) && typeof value === "string" && !Number.isNaN(Date.parse(value))) return exact(value);
  if (field.endsWith("_minutes") && typeof value === "number") return minutes(value);
  if (field === "recurrence" && typeof value === "object" && value !== null && "every" in value) {
    return ruleInWords(value as Recurrence);
  }
  return inline(value);
}
const MOST_ROWS = 100;

export function Changes({ changes, titles }: { changes: readonly RowChange[]; titles?: Record<string, string> }) {
  const rows = useMemo(() => rowDiffs(changes, titles), [changes, titles]);
  if (rows.length === 0) return <p className="muted">Nothing would change.</p>;
  return (
    <div className="stack">
      {rows.slice(0, MOST_ROWS).map((row) => (
        <RowBox key={row.id} row={row} />
      ))}
      {rows.length > MOST_ROWS && <p className="muted">and {rows.length - MOST_ROWS} more rows</p>}
    </div>
  );
}

function RowBox({ row }: { row: RowDiff }) {
  const op = OPS[row.op] ?? OPS.update;
  return (
    <section className="diff-row">
      <header>
        <op.icon size={16} className={op.tone} aria-hidden />
        <span className="clip">
          {op.word} {row.kind} <strong>{row.title ?? <NameOf kind={row.kind} id={row.id} />}</strong>
        </span>
      </header>
      {row.fields.map((change) => (
        <FieldBox key={change.field} change={change} created={row.op === "create"} />
      ))}
    </section>
  );
}

function FieldBox({ change, created }: { change: FieldChange; created?: boolean }) {
  return (
    <div className="diff-field">
      <span className="name">{(FIELD_NAMES[change.field] ?? change.field).replaceAll("_", " ")}</span>
      <Values change={change} created={created} />
    </div>
  );
}

/** The name of a row that the change itself does not tell: a deletion names nothing. */
function NameOf({ kind, id }: { kind: string; id: string }) {
  const task = useQuery({
    queryKey: keys.task(id),
    queryFn: ({ signal }) => take(api.GET("/tasks/{task_id}", { params: { path: { task_id: id } }, signal })),
    enabled: kind === "task",
    retry: false,
  });
  const project = useQuery({
    queryKey: keys.project(id),
    queryFn: ({ signal }) => take(api.GET("/projects/{project_id}", { params: { path: { project_id: id } }, signal })),
    enabled: kind === "project",
    retry: false,
  });
  return task.data?.title ?? project.data?.name ?? shortId(id);
}

function Named({ kind, id, first }: { kind: string; id: string; first: boolean }) {
  return (
    <>
      {!first && ", "}
      <NameOf kind={kind} id={id} />
    </>
  );
}

/** Fields that hold the id of a row, or of several. */
const REFERENCES: Record<string, string> = { project_id: "project", parent_id: "task", blocked_by: "task" };
const FIELD_NAMES: Record<string, string> = { project_id: "project", parent_id: "part of", blocked_by: "waits for" };

function isLong(value: unknown): value is string {
  return typeof value === "string" && (value.includes("\n") || value.length > 160);
}

function Values({ change: { field, before, after }, created }: { change: FieldChange; created?: boolean }) {
  if (isLong(before) || isLong(after)) return <Lines before={String(before ?? "")} after={String(after ?? "")} />;
  return (
    <div className="diff-values">
      {!created && <Value kind="before" field={field} value={before} />}
      {!created && <span aria-label="becomes">→</span>}
      <Value kind="after" field={field} value={after} />
    </div>
  );
}

function Value({ kind, field, value }: { kind: "before" | "after"; field: string; value: unknown }) {
  const text = textOf(field, value);
  const none = text === "empty";
  const Tag = kind === "before" ? "del" : "ins";
  const noun = REFERENCES[field];
  const ids = noun && !none ? (Array.isArray(value) ? value : [value]).map(String) : undefined;
  const shown = ids && noun ? ids.map((id, at) => <Named key={id} kind={noun} id={id} first={at === 0} />) : text;
  return <Tag className={`${kind}${none ? " none" : ""}`}>{shown}</Tag>;
}

const SIGNS = { same: " ", removed: "−", added: "+" };

function Lines({ before, after }: { before: string; after: string }) {
  const lines = useMemo(() => lineDiff(before, after).map((line, index) => ({ ...line, index })), [before, after]);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keys have to reach it.
    <div className="diff-lines" role="region" aria-label="Lines" tabIndex={0}>
      {lines.map((line) => (
        <div key={line.index} className={line.kind}>
          {SIGNS[line.kind]} {line.text}
        </div>
      ))}
    </div>
  );
}

/** The changed fields that an event carries. */
interface EventChangesProps {
  changes: Record<string, { before?: unknown; after?: unknown }>;
  /** Nothing was there before, so only what came is shown. */
  created?: boolean;
}

export function EventChanges({ changes, created }: EventChangesProps) {
  const fields = fieldChanges(changes);
  if (fields.length === 0) return null;
  return (
    <section className="diff-row">
      {fields.map((change) => (
        <FieldBox
          key={change.field}
          change={change}
          created={created && (change.before === null || change.before === undefined)}
        />
      ))}
    </section>
  );
}

/** Whatever an approval shows: a diff if it is one, else its JSON. */
export function Detail({ detail }: { detail: unknown }) {
  const found = useMemo(() => changesOf(detail), [detail]);
  if (found) return <Changes changes={found.changes} titles={found.titles} />;
  if (detail === null || detail === undefined) return null;
  return <JsonView value={detail} label="Detail" />;
}
