// The short fields of a task, each edited where it stands.
import { Link } from "@tanstack/react-router";
import type { Task } from "@/api/types";
import { tagsOf } from "@/lib/task-filter";
import { minutes } from "@/lib/time";
import { readMinutes } from "@/lib/work-time";
import { toast } from "@/ui/toasts";
import { AssigneeCell, DueCell, type Edit, InlineText, PriorityCell, ScheduledCell, StatusCell } from "./cells";
import { useProject, useTask } from "./queries";
import { RecurrenceField } from "./RecurrenceField";
import { listRoute } from "./route";

interface FactsProps {
  task: Task;
  projectId: string;
  edit: Edit;
  locked: boolean;
}

export function Facts({ task, projectId, edit, locked }: FactsProps) {
  const shared = { task, edit, disabled: locked };
  const estimate = task.estimated_minutes;
  return (
    <dl className="facts task-facts">
      <dt>Status</dt>
      <dd className="bar">
        <StatusCell {...shared} />
        {task.blocked && <span className="chip bad">waits for others</span>}
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
      <dt>Scheduled</dt>
      <dd>
        <ScheduledCell {...shared} />
      </dd>
      <dt>Repeats</dt>
      <dd>
        <RecurrenceField {...shared} />
      </dd>
      <dt>Estimate</dt>
      <dd>
        <InlineText
          label="Estimate in minutes"
          value={estimate === null ? "" : String(estimate)}
          shown={estimate === null ? undefined : minutes(estimate)}
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
          value={tagsOf(task).join(", ")}
          disabled={locked}
          onSave={(text) => edit(task, { tags: split(text) }, "The tags were changed")}
        />
      </dd>
      <Above task={task} projectId={projectId} />
    </dl>
  );
}

function split(text: string): string[] {
  return text
    .split(",")
    .map((tag) => tag.trim())
    .filter(Boolean);
}

function saveMinutes(text: string, save: (value: number | null) => void) {
  const value = readMinutes(text);
  if (text === "") save(null);
  else if (value !== undefined) save(value);
  else toast("The estimate stays as it was.", { tone: "bad", more: "Write it like 45, 1:30 or 1h 30m." });
}

/** The project and the task that it is part of. */
function Above({ task, projectId }: { task: Task; projectId: string }) {
  const project = useProject(task.project_id);
  return (
    <>
      <dt>Project</dt>
      <dd className="clip">
        <Link to="/work/$projectId" params={{ projectId: task.project_id }} className="link">
          {project.data?.name ?? "its project"}
        </Link>
      </dd>
      {task.parent_id && <Parent id={task.parent_id} projectId={projectId} />}
    </>
  );
}

function Parent({ id, projectId }: { id: string; projectId: string }) {
  const parent = useTask(id);
  const search = listRoute.useSearch();
  return (
    <>
      <dt>Part of</dt>
      <dd className="clip">
        <Link to="/work/$projectId/$taskId" params={{ projectId, taskId: id }} search={search} className="link">
          {parent.data?.title ?? "the task above"}
        </Link>
      </dd>
    </>
  );
}
