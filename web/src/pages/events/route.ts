import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { ScrollText } from "lucide-react";
import type { NavEntry } from "@/app/nav";
import { frameRoute } from "@/app/routes";

export interface EventsSearch {
  kinds?: string;
  subject?: string;
}

function words(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

export const listRoute = createRoute({
  getParentRoute: () => frameRoute,
  path: "/events",
  validateSearch: (search: Record<string, unknown>): EventsSearch => ({
    kinds: words(search.kinds),
    subject: words(search.subject),
  }),
  component: lazyRouteComponent(() => import("./EventsPage"), "EventsPage"),
});

export const paneRoute = createRoute({
  getParentRoute: () => listRoute,
  path: "$eventId",
  component: lazyRouteComponent(() => import("./EventPane"), "EventPane"),
});

export const route = listRoute.addChildren([paneRoute]);

export const nav: NavEntry = { to: "/events", label: "Events", icon: ScrollText, key: "e", permission: "audit:read" };
