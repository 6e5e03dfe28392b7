import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { Inbox } from "lucide-react";
import type { NavEntry } from "@/app/nav";
import { frameRoute } from "@/app/routes";

export interface ConsumersSearch {
  consumer?: string;
}

export const listRoute = createRoute({
  getParentRoute: () => frameRoute,
  path: "/consumers",
  validateSearch: (search: Record<string, unknown>): ConsumersSearch => ({
    consumer: typeof search.consumer === "string" && search.consumer ? search.consumer : undefined,
  }),
  component: lazyRouteComponent(() => import("./ConsumersPage"), "ConsumersPage"),
});

export const paneRoute = createRoute({
  getParentRoute: () => listRoute,
  path: "$letterId",
  component: lazyRouteComponent(() => import("./LetterPane"), "LetterPane"),
});

export const route = listRoute.addChildren([paneRoute]);

export const nav: NavEntry = {
  to: "/consumers",
  label: "Consumers",
  icon: Inbox,
  key: "d",
  permission: "events:read",
  low: true,
};
