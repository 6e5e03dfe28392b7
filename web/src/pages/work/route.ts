import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { ListTree } from "lucide-react";
import type { Priority, Project, TaskStatus } from "@/api/types";
import type { NavEntry } from "@/app/nav";
import { frameRoute } from "@/app/routes";

export const TASK_STATUSES = [
  "todo",
  "in_progress",
  "blocked",
  "done",
  "cancelled",
] as const satisfies readonly TaskStatus[];
export const PRIORITIES = ["critical", "high", "medium", "low"] as const satisfies readonly Priority[];
export const PROJECT_STATUSES = [
  "planning",
  "active",
  "on_hold",
  "completed",
  "archived",
] as const satisfies readonly Project["status"][];
export const SORTS = ["created_at", "updated_at", "due_date", "priority", "title"] as const;

/** Stands in the address for the tasks of every project. */
export const ALL = "all";

export interface ProjectsSearch {
  status?: Project["status"];
  text?: string;
}

export interface TasksSearch {
  view?: "table";
  status?: TaskStatus;
  priority?: Priority;
  assignee?: string;
  text?: string;
  sort?: string;
}

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
    view: search.view === "table" ? "table" : undefined,
    status: TASK_STATUSES.find((status) => status === search.status),
    priority: PRIORITIES.find((priority) => priority === search.priority),
    assignee: words(search.assignee),
    text: words(search.text),
    sort: SORTS.some((sort) => search.sort === sort || search.sort === `-${sort}`) ? String(search.sort) : undefined,
  }),
  component: lazyRouteComponent(() => import("./TasksPage"), "TasksPage"),
});

export const paneRoute = createRoute({
  getParentRoute: () => listRoute,
  path: "$taskId",
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
