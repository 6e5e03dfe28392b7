// Conversations with agents: the list, and one beside it.
import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { MessagesSquare } from "lucide-react";
import type { NavEntry } from "@/app/nav";
import { frameRoute } from "@/app/routes";

export interface ChatSearch {
  archived?: boolean;
}

const layout = createRoute({
  getParentRoute: () => frameRoute,
  id: "chats",
  component: lazyRouteComponent(() => import("./ChatLayout"), "ChatLayout"),
});

const validateSearch = (search: Record<string, unknown>): ChatSearch => ({
  archived: search.archived === true ? true : undefined,
});

export const listRoute = createRoute({
  getParentRoute: () => layout,
  path: "/chat",
  validateSearch,
  component: lazyRouteComponent(() => import("./NoChat"), "NoChat"),
});

export const conversationRoute = createRoute({
  getParentRoute: () => layout,
  path: "/agents/$agentId/c/$conversationId",
  validateSearch,
  component: lazyRouteComponent(() => import("./ConversationPage"), "ConversationPage"),
});

export const route = layout.addChildren([listRoute, conversationRoute]);

export const nav: NavEntry = {
  to: "/chat",
  label: "Chat",
  icon: MessagesSquare,
  key: "c",
  permission: "agents:run",
  also: /^\/agents\/[^/]+\/c\//,
  phone: true,
};
