// Models: providers, routes, what is known, usage, and a place to try.
import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { Cpu } from "lucide-react";
import type { UsageBy } from "@/api/models-types";
import type { NavEntry } from "@/app/nav";
import { frameRoute } from "@/app/routes";
import type { Measure } from "@/lib/usage-chart";

const layout = createRoute({
  getParentRoute: () => frameRoute,
  path: "/models",
  component: lazyRouteComponent(() => import("./ModelsPage"), "ModelsPage"),
});

export interface ProvidersSearch {
  /** The id of the one in the pane, or `new`. */
  provider?: string;
}

const text = (value: unknown) => (typeof value === "string" && value ? value : undefined);

export const providersRoute = createRoute({
  getParentRoute: () => layout,
  path: "/",
  validateSearch: (search: Record<string, unknown>): ProvidersSearch => ({ provider: text(search.provider) }),
  component: lazyRouteComponent(() => import("./ProvidersPage"), "ProvidersPage"),
});

export interface RoutesSearch {
  /** The id of the one in the pane, or `new`. */
  route?: string;
}

export const routesRoute = createRoute({
  getParentRoute: () => layout,
  path: "routes",
  validateSearch: (search: Record<string, unknown>): RoutesSearch => ({ route: text(search.route) }),
  component: lazyRouteComponent(() => import("./RoutesPage"), "RoutesPage"),
});

export interface KnownSearch {
  text?: string;
  priced?: "yes" | "no";
}

export const knownRoute = createRoute({
  getParentRoute: () => layout,
  path: "known",
  validateSearch: (search: Record<string, unknown>): KnownSearch => ({
    text: text(search.text),
    priced: (["yes", "no"] as const).find((value) => value === search.priced),
  }),
  component: lazyRouteComponent(() => import("./KnownPage"), "KnownPage"),
});

export const BYS = ["day", "route", "model", "provider"] as const satisfies readonly UsageBy[];
export const MEASURES = ["cost", "tokens", "calls"] as const satisfies readonly Measure[];
export const SPANS = [7, 30, 90] as const;

export interface UsageSearch {
  by?: UsageBy;
  measure?: Measure;
  days?: number;
  table?: boolean;
}

export const usageRoute = createRoute({
  getParentRoute: () => layout,
  path: "usage",
  validateSearch: (search: Record<string, unknown>): UsageSearch => ({
    by: BYS.find((value) => value === search.by),
    measure: MEASURES.find((value) => value === search.measure),
    days: SPANS.find((value) => value === search.days),
    table: search.table === true ? true : undefined,
  }),
  component: lazyRouteComponent(() => import("./UsagePage"), "UsagePage"),
});

export interface TrySearch {
  model?: string;
}

export const tryRoute = createRoute({
  getParentRoute: () => layout,
  path: "try",
  validateSearch: (search: Record<string, unknown>): TrySearch => ({ model: text(search.model) }),
  component: lazyRouteComponent(() => import("./TryPage"), "TryPage"),
});

export const route = layout.addChildren([providersRoute, routesRoute, knownRoute, usageRoute, tryRoute]);

export const nav: NavEntry = { to: "/models", label: "Models", icon: Cpu, key: "m", permission: "models:read" };
