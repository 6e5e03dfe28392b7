import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { frameRoute } from "@/app/routes";

export interface ImportSearch {
  /** The import that is looked at. */
  import?: string;
  /** The project that all tasks go into. */
  project?: string;
}

function words(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

export const route = createRoute({
  getParentRoute: () => frameRoute,
  path: "/work/import",
  validateSearch: (search: Record<string, unknown>): ImportSearch => ({
    import: words(search.import),
    project: words(search.project),
  }),
  component: lazyRouteComponent(() => import("./ImportPage"), "ImportPage"),
});
