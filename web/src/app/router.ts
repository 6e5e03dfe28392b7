// Puts the tree of routes together. To add a page, see `pages/index.ts`.

import type { QueryClient } from "@tanstack/react-query";
import { createRouter } from "@tanstack/react-router";
import { framedRoutes, openRoutes } from "@/pages";
import { Frame } from "./Frame";
import { NotFound, RouteFault } from "./faults";
import { frameRoute, rootRoute } from "./routes";

const tree = rootRoute.addChildren([
  ...openRoutes,
  frameRoute.update({ component: Frame }).addChildren([...framedRoutes]),
]);

export function makeRouter(client: QueryClient) {
  return createRouter({
    routeTree: tree,
    context: { client },
    defaultPreload: "intent",
    // TanStack Query decides what is fresh.
    defaultPreloadStaleTime: 0,
    scrollRestoration: true,
    defaultNotFoundComponent: NotFound,
    defaultErrorComponent: RouteFault,
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
