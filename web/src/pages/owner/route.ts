import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { rootRoute } from "@/app/routes";

export const route = createRoute({
  getParentRoute: () => rootRoute,
  path: "/owner",
  component: lazyRouteComponent(() => import("./OwnerPage"), "OwnerPage"),
});
