import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { Activity } from "lucide-react";
import type { NavEntry } from "@/app/nav";
import { frameRoute } from "@/app/routes";
import { type RunFilter, SINCE, type Since, statusesOf } from "@/lib/run-filter";

function words(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

export const route = createRoute({
  getParentRoute: () => frameRoute,
  path: "/runs",
  validateSearch: (search: Record<string, unknown>): RunFilter => ({
    status: statusesOf({ status: words(search.status) }).join(",") || undefined,
    workflow: words(search.workflow),
    inside: search.inside === true ? true : undefined,
    since: (Object.keys(SINCE) as Since[]).find((since) => since === search.since),
    trigger: words(search.trigger),
    // An id of digits alone comes as a number.
    text: typeof search.text === "number" ? String(search.text) : words(search.text),
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
