import { Link, useNavigate } from "@tanstack/react-router";
import { ScrollText, Trash2 } from "lucide-react";
import { useEffect, useId, useState } from "react";
import { useMay } from "@/api/session";
import type { Task } from "@/api/types";
import { minutes } from "@/lib/time";
import { JsonView } from "@/ui/JsonView";
import { Pane } from "@/ui/Pane";
import { ProblemNotice } from "@/ui/Problem";
import { CopyId } from "@/ui/parts";
import { Time } from "@/ui/Time";
import { useTaskActions } from "./actions";
import { Composer } from "./Composer";
import { AssigneeCell, DueCell, type Edit, InlineText, PriorityCell, StatusCell } from "./cells";
import { useTask } from "./queries";
import { listRoute, paneRoute } from "./route";

const MAX_DEPTH = 5;

export function TaskPane() {
  const { projectId, taskId } = paneRoute.useParams();
  const search = listRoute.useSearch();
  const navigate = useNavigate();
  const query = useTask(taskId);
  const actions = useTaskActions();
  const may = useMay();
  const close = () => void navigate({ to: "/work/$projectId", params: { projectId }, search });
  const task = query.data;
  const remove = () => task && void actions.remove([task]).then((removed) => removed && close());
  return (
    <Pane
      label="Task"
      title={<h2>Task</h2>}
      onClose={close}
      actions={
        task && (
          <>
            <Link
              to="/events"
              search={{ subject: `task:${task.id}` }}
              className="button small quiet icon"
              title="Its history"
              aria-label="Its history"
            >
              <ScrollText aria-hidden />
            </Link>
            {may("tasks:write") && (
              <button
                type="button"
                className="button small quiet icon"
                aria-label="Delete the task"
                title="Delete"
                onClick={remove}
              >
                <Trash2 aria-hidden />
              </button>
            )}
          </>
        )
      }
    >
      {query.error && (
        <ProblemNotice error={query.error} what="The task could not be loaded" onRetry={() => void query.refetch()} />
      )}
      {query.isPending && <span className="skeleton" role="status" aria-label="Loading" />}
      {task && <Shown key={task.id} task={task} projectId={projectId} />}
    </Pane>
  );
}

function Shown({ task, projectId }: { task: Task; projectId: string }) {
  const actions = useTaskActions();
  const locked = !useMay()("tasks:write");
  const edit: Edit = (each, fields, label) => void actions.edit([each], fields, label);
  const shared = { task, edit, disabled: locked };
  const tags = (task.tags as string[] | null) ?? [];
  return (
    <div className="stack wide">
      <LongText
        label="Title"
        value={task.title}
        rows={1}
        disabled={locked}
        heading
        onSave={(title) => title && edit(task, { title }, "The title was changed")}
      />
      <dl className="facts task-facts">
        <dt>Status</dt>
        <dd>
          <StatusCell {...shared} />
        </dd>
        <dt>Priority</dt>
        <dd>
          <PriorityCell {...shared} />
        </dd>
        <dt>Who</dt>
        <dd>
          <AssigneeCell {...shared} />
        </dd>
        <dt>Due</dt>
        <dd>
          <DueCell {...shared} />
        </dd>
        <dt>Estimate</dt>
        <dd>
          <InlineText
            label="Estimate in minutes"
            value={task.estimated_minutes === null ? "" : String(task.estimated_minutes)}
            shown={task.estimated_minutes === null ? undefined : minutes(task.estimated_minutes)}
            disabled={locked}
            onSave={(text) =>
              saveMinutes(text, (value) => edit(task, { estimated_minutes: value }, "The estimate was changed"))
            }
          />
        </dd>
        <dt>Tags</dt>
        <dd>
          <InlineText
            label="Tags, with commas in between"
            value={tags.join(", ")}
            disabled={locked}
            onSave={(text) =>
              edit(
                task,
                {
                  tags: text
                    .split(",")
                    .map((tag) => tag.trim())
                    .filter(Boolean),
                },
                "The tags were changed",
              )
            }
          />
        </dd>
      </dl>
      <LongText
        label="Description"
        value={task.description ?? ""}
        rows={6}
        disabled={locked}
        onSave={(text) => edit(task, { description: text || null }, "The description was changed")}
      />
      {!locked && task.depth < MAX_DEPTH && (
        <Composer label="New task below this one" onCreate={(title) => actions.create(task.project_id, task, title)} />
      )}
      <More task={task} projectId={projectId} />
    </div>
  );
}

function saveMinutes(text: string, save: (value: number | null) => void) {
  if (text === "") save(null);
  else if (/^\d+$/.test(text)) save(Number(text));
}

function More({ task, projectId }: { task: Task; projectId: string }) {
  const search = listRoute.useSearch();
  const bags = { metadata: task.metadata, integration_ids: task.integration_ids };
  return (
    <>
      {Object.entries(bags)
        .filter(([, bag]) => bag && Object.keys(bag as object).length > 0)
        .map(([name, bag]) => (
          <section key={name}>
            <h3>{name.replaceAll("_", " ")}</h3>
            <JsonView value={bag} label={name} />
          </section>
        ))}
      <dl className="facts">
        {task.parent_id && (
          <>
            <dt>Part of</dt>
            <dd>
              <Link
                to="/work/$projectId/$taskId"
                params={{ projectId, taskId: task.parent_id }}
                search={search}
                className="link"
              >
                the task above
              </Link>
            </dd>
          </>
        )}
        <dt>Made</dt>
        <dd>
          <Time at={task.created_at} />
        </dd>
        <dt>Changed</dt>
        <dd>
          <Time at={task.updated_at} />, revision {task.revision}
        </dd>
        <dt>Id</dt>
        <dd>
          <CopyId id={task.id} />
        </dd>
      </dl>
    </>
  );
}

interface LongTextProps {
  label: string;
  value: string;
  rows: number;
  disabled: boolean;
  heading?: boolean;
  onSave: (value: string) => void;
}

/** A text that is saved when one leaves it. What comes from others meanwhile does not overwrite what is being typed. */
function LongText({ label, value, rows, disabled, heading, onSave }: LongTextProps) {
  const [typed, setTyped] = useState(value);
  const [dirty, setDirty] = useState(false);
  const id = useId();
  useEffect(() => {
    if (!dirty) setTyped(value);
  }, [value, dirty]);
  const finish = () => {
    setDirty(false);
    if (typed.trim() !== value.trim()) onSave(typed.trim());
  };
  return (
    <div className="field">
      <label htmlFor={id} className={heading ? "hidden-text" : undefined}>
        {label}
      </label>
      <textarea
        id={id}
        className={heading ? "input task-title" : "input"}
        rows={rows}
        disabled={disabled}
        value={typed}
        onChange={(event) => {
          setDirty(true);
          setTyped(event.target.value);
        }}
        onBlur={finish}
        onKeyDown={(event) => {
          const send = event.key === "Enter" && (heading || event.metaKey || event.ctrlKey);
          if (event.key === "Escape") setTyped(value);
          if (send || event.key === "Escape") {
            event.preventDefault();
            event.stopPropagation();
            event.currentTarget.blur();
          }
        }}
      />
    </div>
  );
}
