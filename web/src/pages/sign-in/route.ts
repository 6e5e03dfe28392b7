import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { rootRoute } from "@/app/routes";

interface Search {
  /** Where to go afterwards: a path of ours. */
  to?: string;
}

export const route = createRoute({
  getParentRoute: () => rootRoute,
  path: "/sign-in",
  validateSearch: (search: Record<string, unknown>): Search => {
    const { to } = search;
    // Never a whole address: a link must not be able to send somebody elsewhere.
    return typeof to === "string" && /^\/(?![/\\])/.test(to) ? { to } : {};
  },
  component: lazyRouteComponent(() => import("./SignInPage"), "SignInPage"),
});
