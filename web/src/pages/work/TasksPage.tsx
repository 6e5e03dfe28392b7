// A project's tasks, as a tree, a table or a board; all are edited in place.
import { Outlet, useNavigate, useParams } from "@tanstack/react-router";
import { ListTree, SquareKanban, Table2 } from "lucide-react";
import { useState } from "react";
import { useMay } from "@/api/session";
import type { Task } from "@/api/types";
import { useHotkeys } from "@/app/hotkeys";
import { useTrail } from "@/app/title";
import { ProblemPage } from "@/ui/Problem";
import { ExportMenu } from "../import/ExportMenu";
import { useTaskActions } from "./actions";
import { BoardView } from "./BoardView";
import { BulkTasks } from "./BulkTasks";
import { Composer } from "./Composer";
import { useFilters } from "./Filters";
import { KeepFilter } from "./KeepFilter";
import { useProject } from "./queries";
import { ALL, listRoute, type TasksSearch, type View } from "./route";
import { TaskTable } from "./TaskTable";
import { TaskTreeView } from "./TaskTreeView";
import { rememberView, viewOf, viewsOf } from "./view";
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

const SHOWN = { tree: TaskTreeView, table: TaskTable, board: BoardView };

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
  const view = viewOf(projectId, filter);
  const filters = useFilters({ filter, onFilter });
  const Tasks = SHOWN[view];
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
          {filters.first}
          <ViewSwitch view={view} views={viewsOf(projectId, filter)} onView={(next) => onFilter({ view: next })} />
          <ExportMenu project={projectId === ALL ? undefined : projectId} />
        </div>
        {filters.further}
        <KeepFilter project={projectId} filter={filter} />
        {projectId !== ALL && may("tasks:write") && (
          <Composer onCreate={(title) => actions.create(projectId, undefined, title)} />
        )}
        <Tasks {...props} />
        {chosen.size > 0 && <BulkTasks chosen={chosen} onDone={() => setChosen(new Set())} />}
      </div>
      <Outlet />
    </div>
  );
}

const LOOKS = {
  tree: { icon: ListTree, label: "Tree" },
  table: { icon: Table2, label: "Table" },
  board: { icon: SquareKanban, label: "Board" },
};

interface ViewSwitchProps {
  view: View;
  views: readonly View[];
  onView: (view: View) => void;
}

function ViewSwitch({ view, views, onView }: ViewSwitchProps) {
  const turn = (next: View) => {
    rememberView(next);
    onView(next);
  };
  const following = views[(views.indexOf(view) + 1) % views.length];
  useHotkeys([{ keys: "v", does: "Tree, table or board", group: "Tasks", run: () => following && turn(following) }]);
  return (
    <div className="bar view-switch" role="group" aria-label="View">
      {views.map((each) => {
        const { icon: Icon, label } = LOOKS[each];
        return (
          <button
            key={each}
            type="button"
            className="button small icon"
            aria-pressed={each === view}
            aria-label={label}
            title={label}
            onClick={() => turn(each)}
          >
            <Icon aria-hidden />
          </button>
        );
      })}
    </div>
  );
}
