// A project's tasks, as a tree or a table; both are edited in place.
import { Link, Outlet, useNavigate, useParams } from "@tanstack/react-router";
import { History, ListTree, Table2 } from "lucide-react";
import { useState } from "react";
import { useMay } from "@/api/session";
import type { Task } from "@/api/types";
import { useTrail } from "@/app/title";
import { PRIORITIES, TASK_STATUSES } from "@/lib/task-filter";
import { ProblemPage } from "@/ui/Problem";
import { FilterSelect, SearchBox } from "@/ui/parts";
import { wordOf } from "@/ui/Status";
import { useTaskActions } from "./actions";
import { BulkTasks } from "./BulkTasks";
import { Composer } from "./Composer";
import { useProject } from "./queries";
import { ALL, listRoute, type TasksSearch } from "./route";
import { TaskTable } from "./TaskTable";
import { TaskTreeView } from "./TaskTreeView";
import "./work.css";

export interface TaskListProps {
  project: string;
  filter: TasksSearch;
  chosen: ReadonlySet<string>;
  setChosen: (chosen: ReadonlySet<string>) => void;
  current: string | undefined;
  onOpen: (task: Task) => void;
  onFilter: (next: Partial<TasksSearch>) => void;
}

export function TasksPage() {
  const { projectId } = listRoute.useParams();
  const { taskId } = useParams({ strict: false });
  const filter = listRoute.useSearch();
  const navigate = useNavigate();
  const may = useMay();
  const project = useProject(projectId);
  const actions = useTaskActions();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const name = projectId === ALL ? "All tasks" : (project.data?.name ?? "Project");
  useTrail([{ label: "Work", to: "/work" }, { label: name }]);
  const onFilter = (next: Partial<TasksSearch>) => {
    setChosen(new Set());
    void navigate({ to: ".", search: { ...filter, ...next }, replace: true });
  };
  const onOpen = (task: Task) =>
    void navigate({ to: "/work/$projectId/$taskId", params: { projectId, taskId: task.id }, search: filter });
  const props: TaskListProps = { project: projectId, filter, chosen, setChosen, current: taskId, onOpen, onFilter };
  const tree = projectId !== ALL && filter.view !== "table";
  if (project.error && !project.data) {
    return (
      <ProblemPage
        error={project.error}
        what="The project could not be loaded"
        onRetry={() => void project.refetch()}
      />
    );
  }
  return (
    <div className="split">
      <div className="main">
        <div className="page-head">
          <h1 className="clip">{name}</h1>
          <Filters filter={filter} onFilter={onFilter} />
          {projectId !== ALL && <ViewSwitch tree={tree} onFilter={onFilter} />}
          <Link
            to="/work/history"
            className="button small icon"
            title="What was changed, with undo"
            aria-label="History"
          >
            <History aria-hidden />
          </Link>
        </div>
        {projectId !== ALL && may("tasks:write") && (
          <Composer onCreate={(title) => actions.create(projectId, undefined, title)} />
        )}
        {tree ? <TaskTreeView {...props} /> : <TaskTable {...props} />}
        {chosen.size > 0 && <BulkTasks chosen={chosen} onDone={() => setChosen(new Set())} />}
      </div>
      <Outlet />
    </div>
  );
}

function ViewSwitch({ tree, onFilter }: { tree: boolean; onFilter: TaskListProps["onFilter"] }) {
  return (
    <div className="bar" role="group" aria-label="View">
      <button
        type="button"
        className="button small icon"
        aria-pressed={tree}
        aria-label="Tree"
        title="Tree"
        onClick={() => onFilter({ view: undefined })}
      >
        <ListTree aria-hidden />
      </button>
      <button
        type="button"
        className="button small icon"
        aria-pressed={!tree}
        aria-label="Table"
        title="Table"
        onClick={() => onFilter({ view: "table" })}
      >
        <Table2 aria-hidden />
      </button>
    </div>
  );
}

function Filters({ filter, onFilter }: Pick<TaskListProps, "filter" | "onFilter">) {
  return (
    <div className="bar wrap">
      <SearchBox
        label="Filter by text"
        value={filter.text ?? ""}
        onChange={(text) => onFilter({ text: text || undefined })}
      />
      <FilterSelect
        label="Status"
        all="Every status"
        value={filter.status}
        options={TASK_STATUSES.map((value) => ({ value, label: wordOf(value) }))}
        onChange={(status) => onFilter({ status: status })}
      />
      <FilterSelect
        label="Priority"
        all="Every priority"
        value={filter.priority}
        options={PRIORITIES.map((value) => ({ value, label: wordOf(value) }))}
        onChange={(priority) => onFilter({ priority })}
      />
    </div>
  );
}
