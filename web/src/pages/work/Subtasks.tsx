// The tasks right below one.
import { Link } from "@tanstack/react-router";
import { once } from "@/api/lists";
import type { Task } from "@/api/types";
import { isOver } from "@/lib/task-filter";
import { ProblemNotice } from "@/ui/Problem";
import { useTaskActions } from "./actions";
import { Composer } from "./Composer";
import { type Edit, StatusCell } from "./cells";
import { useBelow } from "./queries";
import { listRoute } from "./route";

const MAX_DEPTH = 5;

export function Subtasks({ task, projectId, locked }: { task: Task; projectId: string; locked: boolean }) {
  const { query, items, more } = useBelow(task.id);
  const search = listRoute.useSearch();
  const actions = useTaskActions();
  const edit: Edit = (each, fields, label) => void actions.edit([each], fields, label);
  const below = once(items, (each) => each.id).filter((each) => each.parent_id === task.id);
  const over = below.filter(isOver).length;
  const deeper = task.depth < MAX_DEPTH;
  if (below.length === 0 && (locked || !deeper)) return null;
  return (
    <section aria-label="Parts" className="stack">
      {below.length > 0 && (
        <h3>
          Parts, {over} of {more.has ? `${below.length}+` : below.length} done
        </h3>
      )}
      {query.error && (
        <ProblemNotice error={query.error} what="Its parts could not be loaded" onRetry={() => void query.refetch()} />
      )}
      <ul className="task-lines">
        {below.map((each) => (
          <li key={each.id}>
            <StatusCell task={each} edit={edit} iconOnly disabled={locked} />
            <Link
              to="/work/$projectId/$taskId"
              params={{ projectId, taskId: each.id }}
              search={search}
              className={`clip grow${isOver(each) ? " is-over" : ""}`}
            >
              {each.title}
            </Link>
            {each.assignee && <span className="faint clip">{each.assignee}</span>}
          </li>
        ))}
      </ul>
      {more.has && (
        <button type="button" className="button small quiet" disabled={more.busy} onClick={more.load}>
          Show more
        </button>
      )}
      {!locked && deeper && (
        <Composer label="New task below this one" onCreate={(title) => actions.create(task.project_id, task, title)} />
      )}
    </section>
  );
}
