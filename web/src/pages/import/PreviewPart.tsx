// What would become of a file: how it is read, what its columns are taken for, the first rows, what is wrong.
import { useState } from "react";
import { counted } from "@/lib/transfer";
import { ProblemNotice } from "@/ui/Problem";
import { SkeletonRows } from "@/ui/parts";
import { Status } from "@/ui/Status";
import { useProjects } from "../work/queries";
import { Problems } from "./Problems";
import { type Field, type Format, type Import, type Preview, type Reading, usePreview, useSteps } from "./queries";

const FORMATS: readonly [Format, string][] = [
  ["csv", "CSV"],
  ["json", "SynapScale JSON"],
  ["todoist_csv", "Todoist CSV"],
  ["todoist", "Todoist sync API"],
  ["taskwarrior", "Taskwarrior"],
  ["github", "GitHub issues"],
];

const FIELDS = [
  "title",
  "description",
  "project",
  "status",
  "priority",
  "assignee",
  "due_date",
  "scheduled_date",
  "recurrence",
  "estimated_minutes",
  "actual_minutes",
  "tags",
  "comment",
  "id",
  "parent",
  "blocked_by",
  "archived",
  "position",
  "ignore",
] as const satisfies readonly Field[];

export function PreviewPart({ found, project }: { found: Import; project: string | undefined }) {
  const [format, setFormat] = useState<Format>();
  const [into, setInto] = useState(project);
  const [columns, setColumns] = useState<Record<string, Field>>({});
  const reading: Reading = {
    format: format ?? null,
    project_id: into ?? null,
    columns,
    utc_offset_minutes: -new Date().getTimezoneOffset(),
  };
  const preview = usePreview(found.id, reading, true);
  const { start } = useSteps(found.id);
  const shown = preview.data;
  const ready = shown && shown.items > 0 && !preview.error && !preview.isPlaceholderData;
  return (
    <>
      <div className="bar wrap">
        <strong className="clip">{found.name}</strong>
        <label className="bar">
          Read as
          <select
            className="input small"
            value={format ?? ""}
            onChange={(event) => setFormat((event.target.value || undefined) as Format | undefined)}
          >
            <option value="">{shown && !format ? `Found out: ${nameOf(shown.format)}` : "Find out"}</option>
            {FORMATS.map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        </label>
        <Into value={into} onChange={setInto} />
      </div>
      {preview.error && <ProblemNotice error={preview.error} what="The file cannot be read like this" />}
      {start.error && <ProblemNotice error={start.error} what="The import was not started" />}
      {preview.isPending && <SkeletonRows rows={6} />}
      {shown && (
        <>
          {shown.table && (
            <Columns
              table={shown.table}
              onChange={(header, field) => setColumns((before) => ({ ...before, [header]: field }))}
            />
          )}
          <p role="status">
            {shown.items.toLocaleString("en")} tasks:{" "}
            {counted([
              [shown.created, "new"],
              [shown.updated, "changed"],
              [shown.unchanged, "as they are"],
            ])}
            {into === undefined && shown.projects.length > 0 && `; into ${shown.projects.slice(0, 5).join(", ")}`}
            {into === undefined && shown.projects.length > 5 && ` and ${shown.projects.length - 5} more`}.
          </p>
          <Problems problems={shown.problems} />
          <Rows rows={shown.rows} all={shown.items} />
        </>
      )}
      <div className="bar">
        <button
          type="button"
          className="button primary"
          disabled={!ready || start.isPending}
          onClick={() => start.mutate(reading)}
        >
          Import {shown ? shown.items.toLocaleString("en") : ""} tasks
        </button>
      </div>
    </>
  );
}

function nameOf(format: Format): string {
  return FORMATS.find(([value]) => value === format)?.[1] ?? format;
}

function Into({ value, onChange }: { value: string | undefined; onChange: (id: string | undefined) => void }) {
  const { items } = useProjects({});
  return (
    <label className="bar">
      Into
      <select
        className="input small"
        value={value ?? ""}
        onChange={(event) => onChange(event.target.value || undefined)}
      >
        <option value="">the projects that the file names</option>
        {items.map((project) => (
          <option key={project.id} value={project.id}>
            {project.name}
          </option>
        ))}
      </select>
    </label>
  );
}

interface ColumnsProps {
  table: NonNullable<Preview["table"]>;
  onChange: (header: string, field: Field) => void;
}

function Columns({ table, onChange }: ColumnsProps) {
  return (
    <fieldset className="import-columns">
      <legend>Columns</legend>
      {table.columns.map((column) => (
        <label key={column.header} className="field">
          <span className="clip" title={column.sample}>
            {column.header || "(no header)"} <span className="faint">{column.sample}</span>
          </span>
          <select
            className="input small"
            value={column.field}
            onChange={(event) => onChange(column.header, event.target.value as Field)}
          >
            {FIELDS.map((field) => (
              <option key={field} value={field}>
                {field === "ignore" ? "not taken" : field.replaceAll("_", " ")}
              </option>
            ))}
          </select>
        </label>
      ))}
    </fieldset>
  );
}

const BECOMES = { create: "new", update: "changed", unchanged: "as it is" };

function Rows({ rows, all }: { rows: Preview["rows"]; all: number }) {
  return (
    // Rows may be wider than a phone: keys can scroll there.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region takes the focus
    <section className="import-rows" aria-label="First rows" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Where</th>
            <th scope="col">Becomes</th>
            <th scope="col">Title</th>
            <th scope="col">Project</th>
            <th scope="col">Status</th>
            <th scope="col">Due</th>
            <th scope="col">Tags</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.at}>
              <td className="faint">{row.at}</td>
              <td>{BECOMES[row.becomes]}</td>
              <td>{row.title}</td>
              <td>{row.is_part ? "part of another" : row.project}</td>
              <td>{row.status && <Status status={row.status} />}</td>
              <td>{row.due_date?.slice(0, 10)}</td>
              <td>{row.tags.join(", ")}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {all > rows.length && <p className="faint">The first {rows.length} are shown.</p>}
    </section>
  );
}
