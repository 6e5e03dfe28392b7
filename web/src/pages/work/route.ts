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

export const projectsRoute = createRoute({
  getParentRoute: () => frameRoute,
  path: "/work",
  validateSearch: (search: Record<string, unknown>): ProjectsSearch => ({
    status: PROJECT_STATUSES.find((status) => status === search.status),
    text: words(search.text),
  }),
  component: lazyRouteComponent(() => import("./ProjectsPage"), "ProjectsPage"),
});

export const historyRoute = createRoute({
  getParentRoute: () => frameRoute,
  path: "/work/history",
  component: lazyRouteComponent(() => import("./HistoryPage"), "HistoryPage"),
});

export const listRoute = createRoute({
  getParentRoute: () => frameRoute,
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

export const tasksRoute = listRoute.addChildren([paneRoute]);

export const nav: NavEntry = {
  to: "/work",
  label: "Work",
  icon: ListTree,
  key: "p",
  permission: "projects:read",
  phone: true,
};
