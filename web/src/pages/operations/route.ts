import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { Braces } from "lucide-react";
import type { NavEntry } from "@/app/nav";
import { frameRoute } from "@/app/routes";

export interface OperationsSearch {
  text?: string;
}

export const listRoute = createRoute({
  getParentRoute: () => frameRoute,
  path: "/operations",
  validateSearch: (search: Record<string, unknown>): OperationsSearch => ({
    text: typeof search.text === "string" && search.text ? search.text : undefined,
  }),
  component: lazyRouteComponent(() => import("./OperationsPage"), "OperationsPage"),
});

export const paneRoute = createRoute({
  getParentRoute: () => listRoute,
  path: "$operation",
  component: lazyRouteComponent(() => import("./OperationPane"), "OperationPane"),
});

export const route = listRoute.addChildren([paneRoute]);

export const nav: NavEntry = {
  to: "/operations",
  label: "API",
  icon: Braces,
  key: "i",
  permission: "ops:read",
  low: true,
};
