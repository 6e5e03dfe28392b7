// How tasks are laid out: as the address says, else as one looked at them last.
import { ALL, type TasksSearch, VIEWS, type View } from "./route";

const KEPT = "synapscale.work.view";

function remembered(): View {
  return VIEWS.find((view) => view === localStorage.getItem(KEPT)) ?? "tree";
}

export function rememberView(view: View) {
  localStorage.setItem(KEPT, view);
}

/** Without one project there is no one tree; and what the server alone can find is no tree either. */
export function viewsOf(project: string, filter: TasksSearch): readonly View[] {
  return project === ALL || filter.search ? VIEWS.filter((view) => view !== "tree") : VIEWS;
}

export function viewOf(project: string, filter: TasksSearch): View {
  const possible = viewsOf(project, filter);
  const wanted = filter.view ?? remembered();
  return possible.includes(wanted) ? wanted : "table";
}
