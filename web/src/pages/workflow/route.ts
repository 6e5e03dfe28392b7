import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { frameRoute } from "@/app/routes";

export interface WorkflowSearch {
  version?: number;
  view?: "versions" | "file" | "triggers";
  node?: string;
  /** The form to run it is open. */
  start?: boolean;
  /** The run whose input the form begins with. */
  like?: string;
}

const VIEWS = ["versions", "file", "triggers"] as const;

export const route = createRoute({
  getParentRoute: () => frameRoute,
  path: "/workflows/$name",
  validateSearch: (search: Record<string, unknown>): WorkflowSearch => ({
    version: Number.isInteger(search.version) && Number(search.version) > 0 ? Number(search.version) : undefined,
    // Webhooks once had a view of their own.
    view: search.view === "hooks" ? "triggers" : VIEWS.find((view) => view === search.view),
    node: typeof search.node === "string" ? search.node : undefined,
    start: search.start === true ? true : undefined,
    like: typeof search.like === "string" ? search.like : undefined,
  }),
  component: lazyRouteComponent(() => import("./WorkflowPage"), "WorkflowPage"),
});
