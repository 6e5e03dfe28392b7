import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { ListTree } from "lucide-react";
import type { Project } from "@/api/types";
import type { NavEntry } from "@/app/nav";
import { frameRoute } from "@/app/routes";
import { type FilterSearch, readFilter } from "@/lib/task-filter";

export const PROJECT_STATUSES = [
  "planning",
  "active",
  "on_hold",
  "completed",
  "archived",
] as const satisfies readonly Project["status"][];
export const SORTS = [
  "created_at",
  "updated_at",
  "due_date",
  "scheduled_date",
  "priority",
  "title",
  "position",
] as const;
export const VIEWS = ["tree", "table", "board"] as const;
export type View = (typeof VIEWS)[number];

/** Stands in the address for the tasks of every project. */
export const ALL = "all";

export interface ProjectsSearch {
  status?: Project["status"];
  text?: string;
}

export interface TasksSearch extends FilterSearch {
  view?: View;
  sort?: string;
  /** The saved filter that the words came from. */
  saved?: string;
}

export const PANE_TABS = ["comments", "activity", "time"] as const;
export type PaneTab = (typeof PANE_TABS)[number];

function words(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Around all pages of work: their own side bar. */
export const workRoute = createRoute({
  getParentRoute: () => frameRoute,
  id: "work",
  component: lazyRouteComponent(() => import("./WorkFrame"), "WorkFrame"),
});

export const projectsRoute = createRoute({
  getParentRoute: () => workRoute,
  path: "/work",
  validateSearch: (search: Record<string, unknown>): ProjectsSearch => ({
    status: PROJECT_STATUSES.find((status) => status === search.status),
    text: words(search.text),
  }),
  component: lazyRouteComponent(() => import("./ProjectsPage"), "ProjectsPage"),
});

export const historyRoute = createRoute({
  getParentRoute: () => workRoute,
  path: "/work/history",
  component: lazyRouteComponent(() => import("./HistoryPage"), "HistoryPage"),
});

export interface MineSearch {
  who?: "all";
}

export const mineRoute = createRoute({
  getParentRoute: () => workRoute,
  path: "/work/mine",
  validateSearch: (search: Record<string, unknown>): MineSearch => ({ who: search.who === "all" ? "all" : undefined }),
  component: lazyRouteComponent(() => import("./MinePage"), "MinePage"),
});

export interface FindSearch {
  q?: string;
  project?: string;
  archived?: boolean;
}

export const findRoute = createRoute({
  getParentRoute: () => workRoute,
  path: "/work/search",
  validateSearch: (search: Record<string, unknown>): FindSearch => ({
    q: typeof search.q === "number" ? String(search.q) : words(search.q),
    project: words(search.project),
    archived: search.archived === true ? true : undefined,
  }),
  component: lazyRouteComponent(() => import("./FindPage"), "FindPage"),
});

export const trashRoute = createRoute({
  getParentRoute: () => workRoute,
  path: "/work/trash",
  component: lazyRouteComponent(() => import("./TrashPage"), "TrashPage"),
});

export const listRoute = createRoute({
  getParentRoute: () => workRoute,
  path: "/work/$projectId",
  validateSearch: (search: Record<string, unknown>): TasksSearch => ({
    ...readFilter(search),
    view: VIEWS.find((view) => view === search.view),
    sort: SORTS.some((sort) => search.sort === sort || search.sort === `-${sort}`) ? String(search.sort) : undefined,
    saved: words(search.saved),
  }),
  component: lazyRouteComponent(() => import("./TasksPage"), "TasksPage"),
});

export const paneRoute = createRoute({
  getParentRoute: () => listRoute,
  path: "$taskId",
  validateSearch: (search: Record<string, unknown>): { tab?: PaneTab } => ({
    tab: PANE_TABS.find((tab) => tab === search.tab),
  }),
  component: lazyRouteComponent(() => import("./TaskPane"), "TaskPane"),
});

export const route = workRoute.addChildren([
  projectsRoute,
  historyRoute,
  mineRoute,
  findRoute,
  trashRoute,
  listRoute.addChildren([paneRoute]),
]);

export const nav: NavEntry = {
  to: "/work",
  label: "Work",
  icon: ListTree,
  key: "p",
  permission: "projects:read",
  phone: true,
};
