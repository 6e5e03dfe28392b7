import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { frameRoute } from "@/app/routes";

export interface WorkflowSearch {
  version?: number;
  view?: "versions" | "file" | "triggers";
  node?: string;
  /** The version that is compared, and with which. */
  compare?: number;
  against?: number;
  /** The form to run it is open. */
  start?: boolean;
  /** The run whose input the form begins with. */
  like?: string;
}

const VIEWS = ["versions", "file", "triggers"] as const;

function number(value: unknown): number | undefined {
  return Number.isInteger(value) && Number(value) > 0 ? Number(value) : undefined;
}

export const route = createRoute({
  getParentRoute: () => frameRoute,
  path: "/workflows/$name",
  validateSearch: (search: Record<string, unknown>): WorkflowSearch => ({
    version: number(search.version),
    compare: number(search.compare),
    against: number(search.against),
    // Webhooks once had a view of their own.
    view: search.view === "hooks" ? "triggers" : VIEWS.find((view) => view === search.view),
    node: typeof search.node === "string" ? search.node : undefined,
    start: search.start === true ? true : undefined,
    like: typeof search.like === "string" ? search.like : undefined,
  }),
  component: lazyRouteComponent(() => import("./WorkflowPage"), "WorkflowPage"),
});
