import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { CalendarClock } from "lucide-react";
import type { NavEntry } from "@/app/nav";
import { frameRoute } from "@/app/routes";

const KINDS = ["schedule", "event", "hook"] as const;

export interface TriggersSearch {
  kind?: (typeof KINDS)[number];
  text?: string;
}

export const listRoute = createRoute({
  getParentRoute: () => frameRoute,
  path: "/triggers",
  validateSearch: (search: Record<string, unknown>): TriggersSearch => ({
    kind: KINDS.find((kind) => kind === search.kind),
    text: typeof search.text === "string" && search.text ? search.text : undefined,
  }),
  component: lazyRouteComponent(() => import("./TriggersPage"), "TriggersPage"),
});

export const paneRoute = createRoute({
  getParentRoute: () => listRoute,
  path: "$triggerId",
  component: lazyRouteComponent(() => import("./TriggerPane"), "TriggerPane"),
});

export const route = listRoute.addChildren([paneRoute]);

export const nav: NavEntry = {
  to: "/triggers",
  label: "Triggers",
  icon: CalendarClock,
  key: "t",
  permission: "workflows:read",
};
