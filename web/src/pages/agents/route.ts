// Agents: the list, the form for a new one, and one with its tabs.
import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { Bot } from "lucide-react";
import type { AgentStatus } from "@/api/agents-types";
import type { NavEntry } from "@/app/nav";
import { frameRoute } from "@/app/routes";

export const AGENT_STATUSES = ["active", "paused", "archived"] as const satisfies readonly AgentStatus[];

export interface AgentsSearch {
  status?: AgentStatus;
}

export const listRoute = createRoute({
  getParentRoute: () => frameRoute,
  path: "/agents",
  validateSearch: (search: Record<string, unknown>): AgentsSearch => ({
    status: AGENT_STATUSES.find((status) => status === search.status),
  }),
  component: lazyRouteComponent(() => import("./AgentsPage"), "AgentsPage"),
});

export const newRoute = createRoute({
  getParentRoute: () => frameRoute,
  path: "/agents/new",
  component: lazyRouteComponent(() => import("./NewAgentPage"), "NewAgentPage"),
});

const VIEWS = ["versions", "figures", "chats"] as const;
export type AgentView = (typeof VIEWS)[number];

export interface AgentSearch {
  view?: AgentView;
  /** The two versions that are compared. */
  from?: number;
  to?: number;
}

const version = (value: unknown) => (Number.isInteger(value) && Number(value) > 0 ? Number(value) : undefined);

export const route = createRoute({
  getParentRoute: () => frameRoute,
  path: "/agents/$agentId",
  validateSearch: (search: Record<string, unknown>): AgentSearch => ({
    view: VIEWS.find((view) => view === search.view),
    from: version(search.from),
    to: version(search.to),
  }),
  component: lazyRouteComponent(() => import("./AgentPage"), "AgentPage"),
});

export const nav: NavEntry = { to: "/agents", label: "Agents", icon: Bot, key: "n", permission: "agents:read" };
