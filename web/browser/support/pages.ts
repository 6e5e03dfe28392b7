// The list of pages that are looked at in every look and size. A new page is one line here.
import type { Page } from "playwright-core";
import type { Seeded } from "./seed";

export interface Place {
  name: string;
  at: (seeded: Seeded) => string;
  /** What to do there before it is looked at. */
  do?: (page: Page) => Promise<unknown>;
  /** It is for those who are not signed in. */
  open?: boolean;
}

export const PLACES: Place[] = [
  { name: "home", at: () => "/" },
  { name: "runs", at: () => "/runs" },
  { name: "run-waiting", at: ({ waiting }) => `/runs/${waiting}` },
  { name: "run-failed", at: ({ failed }) => `/runs/${failed}` },
  { name: "run-step", at: ({ opened }) => `/runs/${opened}?step=create` },
  { name: "run-events", at: ({ opened }) => `/runs/${opened}?view=events` },
  { name: "approvals", at: () => "/approvals" },
  { name: "approval", at: ({ approval }) => `/approvals/${approval}` },
  { name: "workflows", at: () => "/workflows" },
  { name: "workflow", at: () => "/workflows/issue-triage" },
  { name: "workflow-run", at: () => "/workflows/weekly-report?start=true" },
  { name: "workflow-file", at: () => "/workflows/weekly-report?view=file" },
  { name: "workflow-versions", at: () => "/workflows/issue-triage?view=versions" },
  { name: "workflow-hooks", at: () => "/workflows/issue-triage?view=hooks" },
  { name: "projects", at: () => "/work" },
  { name: "tasks-tree", at: ({ project }) => `/work/${project}` },
  { name: "tasks-table", at: () => "/work/all" },
  { name: "task", at: ({ project, task }) => `/work/${project}/${task}` },
  { name: "history", at: () => "/work/history", do: (page) => page.getByRole("row").nth(1).click() },
  { name: "events", at: () => "/events" },
  { name: "event", at: () => "/events", do: (page) => page.getByRole("row").nth(1).click() },
  { name: "operations", at: () => "/operations" },
  { name: "operation", at: () => "/operations/tasks.create" },
  { name: "settings", at: () => "/settings" },
  { name: "settings-workspace", at: () => "/settings/workspace" },
  { name: "settings-members", at: () => "/settings/members" },
  { name: "settings-keys", at: () => "/settings/keys" },
  { name: "palette", at: () => "/", do: (page) => page.keyboard.press("Control+k") },
  { name: "keys", at: () => "/runs", do: (page) => page.keyboard.press("?") },
  { name: "menu", at: () => "/work", do: (page) => page.getByRole("button", { name: /^You:/ }).click() },
  { name: "chosen", at: () => "/runs", do: (page) => page.getByRole("row").nth(2).getByRole("checkbox").click() },
  { name: "member-form", at: () => "/settings/members", do: (page) => press(page, "Add a member") },
  { name: "member-leaves", at: () => "/settings/members", do: (page) => press(page, "Remove ines@ledgerline.example") },
  { name: "key-form", at: () => "/settings/keys", do: (page) => press(page, "New key") },
  { name: "project-form", at: () => "/work", do: (page) => press(page, "New project") },
  { name: "empty", at: () => "/runs?status=paused" },
  { name: "missing", at: () => "/runs/00000000-0000-7000-8000-000000000000" },
  { name: "nowhere", at: () => "/nowhere" },
  { name: "sign-in", at: () => "/sign-in", open: true },
  { name: "welcome", at: ({ link }) => link, open: true },
  { name: "link-gone", at: () => "/#owner=used-long-ago", open: true },
];

const press = (page: Page, name: string) => page.getByRole("button", { name }).click();

/** Waits until nothing on the page is still on its way. */
export async function settled(page: Page) {
  await page.waitForFunction(() => {
    const waits = document.querySelector(
      ".skeleton, .frame-wait, .graph-wait, [aria-label=Loading], [aria-label='Laying out the graph']",
    );
    const graph = document.querySelector(".graph");
    const drawn = !graph || [...graph.querySelectorAll(".react-flow__node")].some((node) => node.checkVisibility());
    return (
      !waits && drawn && document.querySelector("h1, h2, [role=alert]") !== null && document.fonts.status === "loaded"
    );
  });
}

export async function visit(page: Page, place: Place, seeded: Seeded) {
  await page.goto(place.at(seeded));
  await settled(page);
  if (place.do) {
    await place.do(page);
    await settled(page);
  }
}
