import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { Activity } from "lucide-react";
import type { RunStatus } from "@/api/types";
import type { NavEntry } from "@/app/nav";
import { frameRoute } from "@/app/routes";

export const RUN_STATUSES = [
  "queued",
  "running",
  "waiting",
  "paused",
  "succeeded",
  "failed",
  "cancelled",
] as const satisfies readonly RunStatus[];

export interface RunsSearch {
  status?: RunStatus;
  workflow?: string;
}

export const route = createRoute({
  getParentRoute: () => frameRoute,
  path: "/runs",
  validateSearch: (search: Record<string, unknown>): RunsSearch => ({
    status: RUN_STATUSES.find((status) => status === search.status),
    workflow: typeof search.workflow === "string" && search.workflow ? search.workflow : undefined,
  }),
  component: lazyRouteComponent(() => import("./RunsPage"), "RunsPage"),
});

export const nav: NavEntry = {
  to: "/runs",
  label: "Runs",
  icon: Activity,
  key: "r",
  permission: "runs:read",
  phone: true,
};
