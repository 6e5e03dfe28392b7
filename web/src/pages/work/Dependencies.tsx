// What a task waits for, and what waits for it.
import { Link } from "@tanstack/react-router";
import { Plus, RefreshCcwDot, X } from "lucide-react";
import { useState } from "react";
import type { ApiError } from "@/api/problem";
import type { Dependency, Task } from "@/api/types";
import { ProblemNotice } from "@/ui/Problem";
import { StatusIcon, wordOf } from "@/ui/Status";
import { useTaskActions } from "./actions";
import { useDependencies } from "./queries";
import { TaskPicker } from "./TaskPicker";

export function DependenciesOf({ task, locked }: { task: Task; locked: boolean }) {
  const query = useDependencies(task.id);
  const actions = useTaskActions();
  const [adding, setAdding] = useState(false);
  const [failed, setFailed] = useState<{ other: string; error: ApiError }>();
  const waits = query.data?.blocked_by ?? [];
  const holds = query.data?.blocks ?? [];
  const add = async (other: Task) => {
    setFailed(undefined);
    const error = await actions.link(task, { ...other, task_id: other.id }, true);
    if (error) setFailed({ other: other.title, error });
    else setAdding(false);
  };
  const drop = async (other: Dependency) => {
    const error = await actions.link(task, other, false);
    if (error) setFailed({ other: other.title, error });
  };
  return (
    <section aria-label="Dependencies" className="stack">
      <div className="section-head">
        <h3 className="grow">Waits for</h3>
        {!locked && !adding && (
          <button type="button" className="button small quiet" onClick={() => setAdding(true)}>
            <Plus aria-hidden /> Add a task to wait for
          </button>
        )}
      </div>
      {query.error && (
        <ProblemNotice
          error={query.error}
          what="The dependencies could not be loaded"
          onRetry={() => void query.refetch()}
        />
      )}
      {waits.length === 0 && !adding && query.data && <p className="faint">Nothing: it can be begun at any time.</p>}
      <ul className="task-lines">
        {waits.map((other) => (
          <OtherTask key={other.task_id} other={other} onDrop={locked ? undefined : () => void drop(other)} />
        ))}
      </ul>
      {failed && <NotLinked task={task} {...failed} />}
      {adding && (
        <div className="bar">
          <div className="grow">
            <TaskPicker
              label="A task to wait for"
              without={new Set([task.id, ...waits.map((other) => other.task_id)])}
              onPick={(other) => void add(other)}
              onClose={() => setAdding(false)}
            />
          </div>
          <button type="button" className="button small quiet" onClick={() => setAdding(false)}>
            Leave it
          </button>
        </div>
      )}
      {holds.length > 0 && (
        <>
          <h3>Holds up</h3>
          <ul className="task-lines">
            {holds.map((other) => (
              <OtherTask key={other.task_id} other={other} />
            ))}
          </ul>
          {query.data?.more && <p className="faint">and more</p>}
        </>
      )}
    </section>
  );
}

/** Why the other task cannot be waited for; a circle is said in words of its own. */
function NotLinked({ task, other, error }: { task: Task; other: string; error: ApiError }) {
  const circle = error.problem.errors?.some((each) => each.code === "cycle");
  if (!circle) return <ProblemNotice error={error} what="The dependency was not changed" />;
  return (
    <div className="notice wait" role="alert">
      <RefreshCcwDot aria-hidden />
      <div>
        <strong>That would be a circle.</strong> “{other}” already waits for “{task.title}”, directly or by way of
        others: neither could ever begin. Nothing was changed; take the other dependency away first, or choose another
        task.
      </div>
    </div>
  );
}

function OtherTask({ other, onDrop }: { other: Dependency; onDrop?: () => void }) {
  return (
    <li>
      <StatusIcon status={other.status} />
      <span className="hidden-text">{wordOf(other.status)}: </span>
      <Link
        to="/work/$projectId/$taskId"
        params={{ projectId: other.project_id, taskId: other.task_id }}
        className={`clip grow${other.open ? "" : " is-over"}`}
      >
        {other.title}
      </Link>
      {onDrop && (
        <button
          type="button"
          className="button small quiet icon"
          aria-label={`Wait for ${other.title} no more`}
          title="Wait for it no more"
          onClick={onDrop}
        >
          <X aria-hidden />
        </button>
      )}
    </li>
  );
}
