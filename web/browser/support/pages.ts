// The list of pages that are looked at in every look and size. A new page is one line here.
import type { Page } from "playwright-core";
import { standInLetters } from "./letters";
import type { Seeded } from "./seed";
import type { Server } from "./server";

export interface Place {
  name: string;
  at: (seeded: Seeded) => string;
  /** What to do before one goes there. */
  before?: (page: Page, server: Server) => Promise<unknown>;
  /** What to do there before it is looked at. */
  do?: (page: Page) => Promise<unknown>;
  /** It is for those who are not signed in. */
  open?: boolean;
}

export const PLACES: Place[] = [
  { name: "home", at: () => "/" },
  { name: "home-letters", at: () => "/", before: letters },
  { name: "runs", at: () => "/runs" },
  { name: "runs-filtered", at: () => "/runs?status=failed%2Cpaused&inside=true&since=1d" },
  { name: "run-waiting", at: ({ waiting }) => `/runs/${waiting}` },
  { name: "run-failed", at: ({ failed }) => `/runs/${failed}` },
  { name: "run-step", at: ({ opened }) => `/runs/${opened}?step=create` },
  { name: "run-events", at: ({ opened }) => `/runs/${opened}?view=events` },
  { name: "run-list", at: ({ flows }) => `/runs/${flows.list}?step=each` },
  { name: "run-item", at: ({ flows }) => `/runs/${flows.list}?step=each&path=i7` },
  { name: "run-rounds", at: ({ flows }) => `/runs/${flows.rounds}?step=count&path=%222%22` },
  { name: "run-paused", at: ({ flows }) => `/runs/${flows.paused}` },
  {
    name: "run-again",
    at: ({ flows }) => `/runs/${flows.paused}`,
    do: (page) => press(page, "From a step, or on another version"),
  },
  { name: "approvals", at: () => "/approvals" },
  { name: "approval", at: ({ approval }) => `/approvals/${approval}` },
  { name: "workflows", at: () => "/workflows" },
  { name: "workflow", at: () => "/workflows/issue-triage" },
  { name: "workflow-run", at: () => "/workflows/weekly-report?start=true" },
  { name: "workflow-file", at: () => "/workflows/weekly-report?view=file" },
  { name: "workflow-versions", at: () => "/workflows/issue-triage?view=versions" },
  { name: "workflow-compared", at: () => "/workflows/nightly-import?view=versions&compare=2" },
  { name: "workflow-hooks", at: () => "/workflows/issue-triage?view=hooks" },
  { name: "workflow-triggers", at: () => "/workflows/morning-round?view=triggers" },
  { name: "triggers", at: () => "/triggers" },
  { name: "trigger", at: () => "/triggers", do: (page) => page.getByRole("row", { name: /On working days/ }).click() },
  { name: "triggers-none", at: () => "/triggers?text=nothing-is-called-that" },
  { name: "projects", at: () => "/work" },
  { name: "tasks-tree", at: ({ project }) => `/work/${project}?view=tree` },
  { name: "tasks-table", at: () => "/work/all?view=table" },
  { name: "tasks-board", at: ({ project }) => `/work/${project}?view=board` },
  { name: "tasks-board-all", at: () => "/work/all?view=board&due=any" },
  { name: "tasks-filters", at: ({ project }) => `/work/${project}?view=tree&archived=included&status=todo,blocked` },
  { name: "tasks-change", at: ({ project }) => `/work/${project}?view=tree`, do: changeMany },
  { name: "task", at: ({ project, task }) => `/work/${project}/${task}` },
  { name: "task-activity", at: ({ project, task }) => `/work/${project}/${task}?tab=activity` },
  { name: "task-time", at: ({ project, task }) => `/work/${project}/${task}?tab=time` },
  { name: "task-rule", at: ({ project, task }) => `/work/${project}/${task}`, do: openRule },
  {
    name: "task-move",
    at: ({ project, task }) => `/work/${project}/${task}`,
    do: (page) => press(page, "Move the task"),
  },
  { name: "work-mine", at: () => "/work/mine?who=all" },
  { name: "work-mine-empty", at: () => "/work/mine" },
  { name: "work-search", at: () => "/work/search?q=export" },
  { name: "work-search-empty", at: () => "/work/search" },
  { name: "work-trash", at: () => "/work/trash" },
  {
    name: "filter-form",
    at: ({ project }) => `/work/${project}?view=tree&priority=high,critical`,
    do: (page) => press(page, "Keep filter"),
  },
  { name: "palette-tasks", at: () => "/", do: findInPalette },
  { name: "import", at: () => "/work/import" },
  { name: "import-preview", at: () => "/work/import", do: chooseFile },
  { name: "history", at: () => "/work/history", do: (page) => page.getByRole("row").nth(1).click() },
  { name: "events", at: () => "/events" },
  { name: "event", at: () => "/events", do: (page) => page.getByRole("row").nth(1).click() },
  { name: "events-oldest", at: () => "/events?oldest=true&kinds=task.*,project.*,patch_set.*" },
  { name: "event-changed", at: () => "/events?kinds=task.created", do: (page) => page.getByRole("row").nth(1).click() },
  { name: "events-none", at: () => "/events?from=2031-01-01T00:00:00Z" },
  { name: "consumers", at: () => "/consumers", before: letters },
  { name: "consumers-none", at: () => "/consumers" },
  { name: "dead-letter", at: () => "/consumers", before: letters, do: (page) => page.getByRole("row").nth(1).click() },
  { name: "dead-letters-all", at: () => "/consumers", before: letters, do: (page) => press(page, "Replay all") },
  { name: "operations", at: () => "/operations" },
  { name: "operation", at: () => "/operations/tasks.create" },
  { name: "models", at: () => "/models" },
  { name: "models-new", at: () => "/models?provider=new" },
  {
    name: "models-provider",
    at: ({ provider }) => `/models?provider=${provider}`,
    do: (page) => press(page, "Test now"),
  },
  { name: "models-routes", at: () => "/models/routes" },
  { name: "models-route", at: () => "/models/routes", do: (page) => page.getByRole("row").nth(1).click() },
  { name: "models-route-new", at: () => "/models/routes?route=new" },
  { name: "models-known", at: () => "/models/known" },
  { name: "models-usage", at: () => "/models/usage?measure=tokens" },
  { name: "models-usage-table", at: () => "/models/usage?by=model&table=true" },
  { name: "models-try", at: () => "/models/try", do: ask },
  { name: "agents", at: () => "/agents" },
  { name: "agent", at: ({ agent }) => `/agents/${agent}` },
  { name: "agent-versions", at: ({ agent }) => `/agents/${agent}?view=versions` },
  { name: "agent-figures", at: ({ agent }) => `/agents/${agent}?view=figures` },
  { name: "agent-chats", at: ({ agent }) => `/agents/${agent}?view=chats` },
  { name: "agent-new", at: () => "/agents/new", do: (page) => page.getByLabel("Search operations").fill("patches") },
  { name: "chats", at: () => "/chat" },
  { name: "chats-archived", at: () => "/chat?archived=true" },
  { name: "chat", at: ({ chats }) => chats.done, do: unfold },
  { name: "chat-asks", at: ({ chats }) => chats.asks },
  { name: "chat-failed", at: ({ chats }) => chats.failed },
  { name: "chat-empty", at: ({ chats }) => chats.empty },
  { name: "chat-edit", at: ({ chats }) => chats.done, do: edit },
  { name: "chat-people", at: ({ chats }) => chats.done, do: (page) => press(page, "Who takes part") },
  { name: "run-agent", at: ({ summed }) => `/runs/${summed}?step=sum_up` },
  { name: "settings", at: () => "/settings" },
  { name: "settings-workspace", at: () => "/settings/workspace" },
  { name: "settings-members", at: () => "/settings/members" },
  { name: "settings-keys", at: () => "/settings/keys" },
  { name: "palette", at: () => "/", do: (page) => page.keyboard.press("Control+k") },
  { name: "keys", at: () => "/runs", do: (page) => page.keyboard.press("?") },
  { name: "menu", at: () => "/work", do: (page) => page.getByRole("button", { name: /^You:/ }).click() },
  { name: "chosen", at: () => "/runs", do: (page) => page.getByRole("row").nth(2).getByRole("checkbox").click() },
  { name: "chosen-again", at: () => "/runs?status=failed", do: again },
  { name: "member-form", at: () => "/settings/members", do: (page) => press(page, "Add a member") },
  { name: "member-leaves", at: () => "/settings/members", do: (page) => press(page, "Remove ines@ledgerline.example") },
  { name: "key-form", at: () => "/settings/keys", do: (page) => press(page, "New key") },
  { name: "project-form", at: () => "/work", do: (page) => press(page, "New project") },
  { name: "empty", at: () => "/runs?text=nothing-is-called-that" },
  { name: "missing", at: () => "/runs/00000000-0000-7000-8000-000000000000" },
  { name: "nowhere", at: () => "/nowhere" },
  { name: "sign-in", at: () => "/sign-in", open: true },
  { name: "welcome", at: ({ link }) => link, open: true },
  { name: "link-gone", at: () => "/#owner=used-long-ago", open: true },
];

function letters(page: Page, server: Server) {
  return standInLetters(server, page, 40);
}

const press = (page: Page, name: string) => page.getByRole("button", { name }).click();

async function changeMany(page: Page) {
  await page.getByRole("row").nth(1).getByRole("checkbox").click();
  await page.getByRole("row").nth(5).getByRole("checkbox").click();
  await press(page, "Change…");
  await page.getByLabel("New priority").selectOption("critical");
  await page.getByText("2 tasks change").waitFor();
}

async function findInPalette(page: Page) {
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").fill("exports");
  await page.getByRole("option", { name: "Exports that do not time out" }).waitFor();
}

function openRule(page: Page) {
  return page.getByRole("button", { name: /^How it comes again/ }).click();
}

async function again(page: Page) {
  await page.getByRole("row").nth(1).getByRole("checkbox").click();
  await page.getByRole("button", { name: "Run 1 again" }).click();
}

/** What a call of a tool was given and gave. */
function unfold(page: Page) {
  return page.locator(".tool-row", { hasText: "patches.apply" }).click();
}

function edit(page: Page) {
  return page.getByRole("button", { name: "Change and send again" }).last().click();
}

async function chooseFile(page: Page) {
  const table =
    "Title,Project,Due,Labels\nWater the plants,Garden,2026-04-01,home\n,Garden,,\nMow the lawn,Garden,soon,\n";
  const file = { name: "garden.csv", mimeType: "text/csv", buffer: Buffer.from(table) };
  await page.locator("input[type=file]").setInputFiles(file);
  await page.getByText("This has no title.").waitFor();
}

async function ask(page: Page) {
  await page.getByLabel("Question").fill("Say hello");
  await press(page, "Ask");
  await page.getByText("Answered by").waitFor();
}

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

export async function visit(page: Page, place: Place, seeded: Seeded, server: Server) {
  await place.before?.(page, server);
  await page.goto(place.at(seeded));
  await settled(page);
  if (place.do) {
    await place.do(page);
    await settled(page);
  }
}
