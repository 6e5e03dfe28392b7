// One change for all that are chosen: put together, looked at as it would be, then done as one set.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useId, useMemo, useState } from "react";
import { api, take } from "@/api/client";
import type { PatchSet, Task } from "@/api/types";
import { begun, offerUndo, takeIn } from "@/app/undo";
import { type BulkChange, changesNothing, deletionOf, isEmptyChange, setOf, summaryOf } from "@/lib/bulk";
import { PRIORITIES, TASK_STATUSES, tagsOf } from "@/lib/task-filter";
import { usePeople } from "@/ui/ActorName";
import { Dialog } from "@/ui/Dialog";
import { Changes } from "@/ui/Diff";
import { ProblemNotice } from "@/ui/Problem";
import { FilterSelect } from "@/ui/parts";
import { wordOf } from "@/ui/Status";
import { applySet, MOST_PATCHES, topmost } from "./actions";
import { useAllProjects, useLater } from "./queries";
import { TaskPicker } from "./TaskPicker";
import { withBelow } from "./withBelow";

export type BulkDeed = "change" | "archive" | "unarchive" | "delete";

interface BulkDialogProps {
  tasks: readonly Task[];
  deed: BulkDeed;
  onClose: () => void;
  onDone: () => void;
}

const HEADS: Record<BulkDeed, (count: string) => string> = {
  change: (count) => `Change ${count}`,
  archive: (count) => `Put ${count} into the archive`,
  unarchive: (count) => `Bring ${count} back from the archive`,
  delete: (count) => `Delete ${count}`,
};
const DONE: Record<BulkDeed, string> = {
  change: "changed",
  archive: "in the archive",
  unarchive: "back from the archive",
  delete: "deleted",
};
const DO: Record<BulkDeed, string> = {
  change: "Change them",
  archive: "Put them away",
  unarchive: "Bring them back",
  delete: "Delete them",
};
/** What is asked for is looked at once it has stayed the same for a moment. */
const SETTLED_MS = 250;

export function BulkDialog({ tasks, deed, onClose, onDone }: BulkDialogProps) {
  const client = useQueryClient();
  const [change, setChange] = useState<BulkChange>({});
  const count = `${tasks.length} ${tasks.length === 1 ? "task" : "tasks"}`;
  const set = usePatches(tasks, deed, change);
  const asked = useLater(set.data, SETTLED_MS);
  const patches = asked?.task_patches?.length ?? 0;
  const tooMany = patches > MOST_PATCHES;
  const preview = useQuery({
    queryKey: ["preview", asked],
    queryFn: ({ signal }) => take(api.POST("/patches/preview", { body: asked ?? {}, signal })),
    enabled: patches > 0 && !tooMany,
    retry: false,
    staleTime: 0,
    gcTime: 0,
  });
  const act = useMutation({
    mutationFn: (body: PatchSet) => begun(applySet(body)),
    onSuccess: (result) => {
      takeIn(client, result);
      offerUndo(client, result, `${result.changes.length} tasks ${DONE[deed]}`);
      onDone();
    },
  });
  const titles = useMemo(() => Object.fromEntries(tasks.map((task) => [task.id, task.title])), [tasks]);
  const ready = patches > 0 && asked === set.data && preview.data && !changesNothing(preview.data.changes);
  return (
    <Dialog
      title={HEADS[deed](count)}
      onClose={onClose}
      foot={
        <>
          <button type="button" className="button" onClick={onClose}>
            Leave them
          </button>
          <button
            type="button"
            className={deed === "delete" ? "button danger" : "button primary"}
            disabled={!ready || act.isPending}
            onClick={() => asked && act.mutate(asked)}
          >
            {DO[deed]}
          </button>
        </>
      }
    >
      <div className="stack wide">
        {deed === "change" && <Fields tasks={tasks} change={change} onChange={setChange} />}
        {act.error && <ProblemNotice error={act.error} what="Nothing was changed" />}
        {set.error && <ProblemNotice error={set.error} what="What is below them could not be found" />}
        {tooMany && (
          <div className="notice wait" role="status">
            One change holds {MOST_PATCHES} tasks at most, and this would be {patches}. Choose fewer; nothing was
            changed.
          </div>
        )}
        {preview.error && <ProblemNotice error={preview.error} what="This cannot be done" />}
        <section aria-label="What changes" className="stack" aria-live="polite">
          {deed === "change" && isEmptyChange(change) && (
            <p className="muted">Choose what to set; what it changes is shown here before it is done.</p>
          )}
          {preview.isFetching && <span className="skeleton" role="status" aria-label="Loading" />}
          {preview.data && !preview.isFetching && patches > 0 && (
            <>
              <p>
                <strong>{summaryOf(preview.data.changes)}</strong>
              </p>
              {deed !== "delete" && !changesNothing(preview.data.changes) && (
                <Changes changes={preview.data.changes} titles={titles} />
              )}
              {deed === "delete" && <Named tasks={tasks} />}
            </>
          )}
        </section>
      </div>
    </Dialog>
  );
}

/** What is asked of the server; what is below goes into the archive, too, and has to be found first. */
function usePatches(tasks: readonly Task[], deed: BulkDeed, change: BulkChange) {
  const client = useQueryClient();
  return useQuery({
    queryKey: ["bulk", deed, change, tasks.map((task) => task.id)],
    queryFn: async ({ signal }): Promise<PatchSet> => {
      const tops = topmost(tasks);
      if (deed === "delete") return deletionOf(tops);
      if (deed === "change") return setOf(tasks, tops, change);
      const all = await withBelow(client, tops, signal);
      const away = deed === "archive";
      return setOf(
        all.filter((task) => (task.archived_at !== null) !== away),
        [],
        { archived: away },
      );
    },
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    retry: false,
  });
}

const MOST_NAMES = 12;

function Named({ tasks }: { tasks: readonly Task[] }) {
  return (
    <>
      <ul className="bulk-names">
        {tasks.slice(0, MOST_NAMES).map((task) => (
          <li key={task.id} className="clip">
            {task.title}
          </li>
        ))}
        {tasks.length > MOST_NAMES && <li className="faint">and {tasks.length - MOST_NAMES} more</li>}
      </ul>
      <p className="muted">What is below them goes with them. Undo, or the trash, brings all of it back.</p>
    </>
  );
}

interface FieldsProps {
  tasks: readonly Task[];
  change: BulkChange;
  onChange: (change: BulkChange) => void;
}

/** A date that is set, taken away, or left. */
type Dated = "set" | "none";

function Fields({ tasks, change, onChange }: FieldsProps) {
  const people = usePeople();
  const set = (fields: BulkChange) => onChange({ ...change, ...fields });
  const present = useMemo(() => [...new Set(tasks.flatMap(tagsOf))].sort(), [tasks]);
  return (
    <div className="bulk-fields">
      <Field label="Status">
        <FilterSelect
          label="New status"
          all="as it is"
          value={change.status}
          options={TASK_STATUSES.map((value) => ({ value, label: wordOf(value) }))}
          onChange={(status) => set({ status })}
        />
      </Field>
      <Field label="Priority">
        <FilterSelect
          label="New priority"
          all="as it is"
          value={change.priority}
          options={PRIORITIES.map((value) => ({ value, label: wordOf(value) }))}
          onChange={(priority) => set({ priority })}
        />
      </Field>
      <Field label="Who">
        <FilterSelect
          label="New person"
          all="as it is"
          value={change.assignee === null ? "nobody" : change.assignee ? `@${change.assignee}` : undefined}
          options={[
            { value: "nobody", label: "nobody" },
            ...people.map((name) => ({ value: `@${name}`, label: name })),
          ]}
          onChange={(who) => set({ assignee: who === "nobody" ? null : who?.slice(1) })}
        />
      </Field>
      <DateField label="Due" value={change.due_date} onChange={(due_date) => set({ due_date })} />
      <DateField
        label="Scheduled"
        value={change.scheduled_date}
        onChange={(scheduled_date) => set({ scheduled_date })}
      />
      <Field label="Tags">
        <input
          className="input small"
          aria-label="Tags to add, with commas in between"
          placeholder="add: urgent, release"
          onChange={(event) => set({ addTags: split(event.target.value) })}
        />
        {present.length > 0 && (
          <FilterSelect
            label="Tag to take away"
            all="take none away"
            value={change.dropTags?.[0]}
            options={present.map((value) => ({ value, label: `without ${value}` }))}
            onChange={(tag) => set({ dropTags: tag ? [tag] : [] })}
          />
        )}
      </Field>
      <HomeField tasks={tasks} change={change} set={set} />
    </div>
  );
}

function Field({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className="bulk-field">
      <span className="muted">{label}</span>
      <div className="bar">{children}</div>
    </div>
  );
}

interface DateFieldProps {
  label: string;
  value: string | null | undefined;
  onChange: (value: string | null | undefined) => void;
}

function DateField({ label, value, onChange }: DateFieldProps) {
  const [kind, setKind] = useState<Dated>();
  const id = useId();
  const turn = (next: Dated | undefined) => {
    setKind(next);
    onChange(next === "none" ? null : undefined);
  };
  return (
    <Field label={label}>
      <FilterSelect
        label={`${label}: new date`}
        all="as it is"
        value={value === null ? "none" : kind}
        options={[
          { value: "set", label: "on…" },
          { value: "none", label: "no date" },
        ]}
        onChange={turn}
      />
      {kind === "set" && (
        <input
          id={id}
          className="input small"
          type="datetime-local"
          aria-label={`${label} on`}
          onChange={(event) => onChange(event.target.value ? new Date(event.target.value).toISOString() : undefined)}
        />
      )}
    </Field>
  );
}

interface HomeFieldProps extends Omit<FieldsProps, "onChange"> {
  set: (fields: BulkChange) => void;
}

function HomeField({ tasks, change, set }: HomeFieldProps) {
  const projects = useAllProjects();
  const [parent, setParent] = useState<string>();
  const [finding, setFinding] = useState(false);
  const home = change.home;
  return (
    <Field label="Place">
      <FilterSelect
        label="New project"
        all="as it is"
        value={home?.project}
        options={projects.data?.items.map((project) => ({ value: project.id, label: project.name })) ?? []}
        onChange={(project) => {
          setParent(undefined);
          setFinding(false);
          set({ home: project ? { project, parent: null } : undefined });
        }}
      />
      {home && !finding && (
        <button type="button" className="button small" onClick={() => setFinding(true)}>
          {parent ? `below ${parent}` : "at the top"}
        </button>
      )}
      {home && finding && (
        <div className="grow">
          <TaskPicker
            label="The task to put them below"
            project={home.project}
            without={new Set(tasks.map((task) => task.id))}
            onPick={(task) => {
              setParent(task.title);
              setFinding(false);
              set({ home: { project: home.project, parent: task.id } });
            }}
            onClose={() => setFinding(false)}
          />
        </div>
      )}
    </Field>
  );
}

function split(text: string): string[] {
  return text
    .split(",")
    .map((tag) => tag.trim())
    .filter(Boolean);
}
