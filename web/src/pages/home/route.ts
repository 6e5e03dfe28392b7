import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { House } from "lucide-react";
import type { NavEntry } from "@/app/nav";
import { frameRoute } from "@/app/routes";

export const route = createRoute({
  getParentRoute: () => frameRoute,
  path: "/",
  component: lazyRouteComponent(() => import("./HomePage"), "HomePage"),
});

export const nav: NavEntry = { to: "/", label: "Home", icon: House, key: "h", phone: true };
