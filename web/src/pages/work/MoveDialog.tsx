// Where a task belongs: another project, or below another task.
import { useState } from "react";
import type { Task } from "@/api/types";
import { Dialog } from "@/ui/Dialog";
import { useTaskActions } from "./actions";
import { useAllProjects } from "./queries";
import { TaskPicker } from "./TaskPicker";

export function MoveDialog({ task, onClose }: { task: Task; onClose: () => void }) {
  const actions = useTaskActions();
  const projects = useAllProjects();
  const [project, setProject] = useState(task.project_id);
  const name = projects.data?.items.find((each) => each.id === project)?.name ?? "the project";
  const moved = (done: Promise<boolean>) => void done.then((ok) => ok && onClose());
  return (
    <Dialog small title="Move the task" onClose={onClose}>
      <div className="stack wide">
        <div className="field">
          <label htmlFor="move-project">Project</label>
          <select
            id="move-project"
            className="input"
            value={project}
            onChange={(event) => setProject(event.target.value)}
          >
            {projects.data?.items.map((each) => (
              <option key={each.id} value={each.id}>
                {each.name}
              </option>
            ))}
          </select>
        </div>
        <button
          type="button"
          className="button"
          disabled={project === task.project_id && task.parent_id === null}
          onClick={() => moved(actions.rehome([task], project, null))}
        >
          To the top of {name}
        </button>
        <div className="field">
          <span className="label">or below another of its tasks</span>
          <TaskPicker
            key={project}
            label="The task to put it below"
            project={project}
            without={new Set([task.id, ...(task.parent_id ? [task.parent_id] : [])])}
            onPick={(parent) => moved(actions.rehome([task], project, parent.id))}
          />
        </div>
        <p className="muted">What is below it goes with it. Undo brings all of it back.</p>
      </div>
    </Dialog>
  );
}
