import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { frameRoute } from "@/app/routes";

const VIEWS = ["graph", "steps", "events", "details"] as const;
export type RunView = (typeof VIEWS)[number];

export interface RunSearch {
  /** The step that the inspector shows. */
  step?: string;
  /** Of an agent's step: the turn, call or question inside of it. */
  path?: string;
  view?: RunView;
}

export const route = createRoute({
  getParentRoute: () => frameRoute,
  path: "/runs/$runId",
  validateSearch: (search: Record<string, unknown>): RunSearch => ({
    step: typeof search.step === "string" ? search.step : undefined,
    path: typeof search.path === "string" ? search.path : undefined,
    view: VIEWS.find((view) => view === search.view),
  }),
  component: lazyRouteComponent(() => import("./RunPage"), "RunPage"),
});
