// The one list of pages. To add one: a folder with its `route.ts`, then a line in each list here.

import type { NavEntry } from "@/app/nav";
import * as agents from "./agents/route";
import * as approvals from "./approvals/route";
import * as chat from "./chat/route";
import * as consumers from "./consumers/route";
import * as events from "./events/route";
import * as home from "./home/route";
import * as imports from "./import/route";
import * as models from "./models/route";
import * as operations from "./operations/route";
import * as owner from "./owner/route";
import * as run from "./run/route";
import * as runs from "./runs/route";
import * as settings from "./settings/route";
import * as signIn from "./sign-in/route";
import * as triggers from "./triggers/route";
import * as work from "./work/route";
import * as workflow from "./workflow/route";
import * as workflows from "./workflows/route";

/** Pages that one sees without being signed in. */
export const openRoutes = [signIn.route, owner.route] as const;

/** Pages inside the frame. */
export const framedRoutes = [
  home.route,
  runs.route,
  run.route,
  approvals.route,
  workflows.route,
  workflow.route,
  triggers.route,
  agents.listRoute,
  agents.newRoute,
  agents.route,
  chat.route,
  models.route,
  imports.route,
  work.route,
  events.route,
  consumers.route,
  settings.route,
  operations.route,
] as const;

/** The side bar, in its order. */
export const navEntries: NavEntry[] = [
  home.nav,
  runs.nav,
  approvals.nav,
  workflows.nav,
  triggers.nav,
  agents.nav,
  chat.nav,
  work.nav,
  models.nav,
  events.nav,
  consumers.nav,
  operations.nav,
  settings.nav,
];
