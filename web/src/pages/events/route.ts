import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { ScrollText } from "lucide-react";
import type { NavEntry } from "@/app/nav";
import { frameRoute } from "@/app/routes";
import type { EventsFilter } from "@/lib/event-filter";

function words(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** A moment in ISO 8601, or nothing. */
function moment(value: unknown): string | undefined {
  const at = typeof value === "string" ? new Date(value) : undefined;
  return at && !Number.isNaN(at.getTime()) ? at.toISOString() : undefined;
}

export const listRoute = createRoute({
  getParentRoute: () => frameRoute,
  path: "/events",
  validateSearch: (search: Record<string, unknown>): EventsFilter => ({
    kinds: words(search.kinds),
    subject: words(search.subject),
    actor: words(search.actor),
    from: moment(search.from),
    until: moment(search.until),
    oldest: search.oldest === true ? true : undefined,
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
