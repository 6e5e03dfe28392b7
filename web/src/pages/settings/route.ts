import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { Settings } from "lucide-react";
import type { NavEntry } from "@/app/nav";
import { frameRoute } from "@/app/routes";

const layout = createRoute({
  getParentRoute: () => frameRoute,
  path: "/settings",
  component: lazyRouteComponent(() => import("./SettingsPage"), "SettingsPage"),
});

const you = createRoute({
  getParentRoute: () => layout,
  path: "/",
  component: lazyRouteComponent(() => import("./YouPage"), "YouPage"),
});

const workspace = createRoute({
  getParentRoute: () => layout,
  path: "workspace",
  component: lazyRouteComponent(() => import("./WorkspacePage"), "WorkspacePage"),
});

const members = createRoute({
  getParentRoute: () => layout,
  path: "members",
  component: lazyRouteComponent(() => import("./MembersPage"), "MembersPage"),
});

const apiKeys = createRoute({
  getParentRoute: () => layout,
  path: "keys",
  component: lazyRouteComponent(() => import("./KeysPage"), "KeysPage"),
});

export const route = layout.addChildren([you, workspace, members, apiKeys]);

export const nav: NavEntry = { to: "/settings", label: "Settings", icon: Settings, key: "s", low: true };
