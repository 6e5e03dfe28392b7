import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { UserCheck } from "lucide-react";
import type { Approval } from "@/api/types";
import type { NavEntry } from "@/app/nav";
import { frameRoute } from "@/app/routes";

export const APPROVAL_STATUSES = [
  "pending",
  "approved",
  "rejected",
  "expired",
  "cancelled",
] as const satisfies readonly Approval["status"][];

export interface ApprovalsSearch {
  status?: Approval["status"] | "all";
}

const list = createRoute({
  getParentRoute: () => frameRoute,
  path: "/approvals",
  validateSearch: (search: Record<string, unknown>): ApprovalsSearch => ({
    status: [...APPROVAL_STATUSES, "all" as const].find((status) => status === search.status),
  }),
  component: lazyRouteComponent(() => import("./ApprovalsPage"), "ApprovalsPage"),
});

export const paneRoute = createRoute({
  getParentRoute: () => list,
  path: "$approvalId",
  component: lazyRouteComponent(() => import("./ApprovalPane"), "ApprovalPane"),
});

export { list as listRoute };
export const route = list.addChildren([paneRoute]);

export const nav: NavEntry = {
  to: "/approvals",
  label: "Approvals",
  icon: UserCheck,
  key: "a",
  permission: "approvals:read",
  phone: true,
  badge: "waiting",
};
