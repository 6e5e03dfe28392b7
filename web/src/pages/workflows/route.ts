import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { Workflow } from "lucide-react";
import type { NavEntry } from "@/app/nav";
import { frameRoute } from "@/app/routes";

export const route = createRoute({
  getParentRoute: () => frameRoute,
  path: "/workflows",
  component: lazyRouteComponent(() => import("./WorkflowsPage"), "WorkflowsPage"),
});

export const nav: NavEntry = {
  to: "/workflows",
  label: "Workflows",
  icon: Workflow,
  key: "w",
  permission: "workflows:read",
};
