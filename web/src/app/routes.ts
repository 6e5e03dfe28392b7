// The two routes that all others hang on: the root, and the frame around every page for people who signed in.

import type { QueryClient } from "@tanstack/react-query";
import { createRootRouteWithContext, createRoute } from "@tanstack/react-router";
import { Root } from "./Root";

export interface RouterContext {
  client: QueryClient;
}

export const rootRoute = createRootRouteWithContext<RouterContext>()({ component: Root });

/** Its component is set in `router.ts`: the frame needs to know every page, and every page this route. */
export const frameRoute = createRoute({ getParentRoute: () => rootRoute, id: "frame" });
