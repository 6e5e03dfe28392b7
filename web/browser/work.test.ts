// Around the tasks: filters that are kept, search, trash, archive, and what one has to do today.
import type { Page } from "playwright-core";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { settled } from "./support/pages";
import { EMAIL, PHONE, stage } from "./support/stage";
import { until } from "./support/until";

const on = stage("work");
let project = "";
let made = 0;
beforeAll(() => on.signIn());

beforeEach(async () => {
  project = (await on.server.api<{ id: string }>("POST", "/projects", { name: `Library ${++made}` })).id;
});

async function add(...tasks: Record<string, unknown>[]): Promise<string[]> {
  const task_patches = tasks.map((body, index) => ({ op: "create", temp_id: `t${index}`, project_id: project, body }));
  const { temp_ids } = await on.server.api<{ temp_ids: Record<string, string> }>("POST", "/patches", { task_patches });
  return tasks.map((_, index) => temp_ids[`t${index}`] ?? "");
}

async function open(path: string): Promise<Page> {
  const page = await on.owner();
  await page.goto(path);
  await settled(page);
  return page;
}

const row = (page: Page, name: string) => page.getByRole("row", { name });

test("a filter is kept, opened, changed, renamed, shared and deleted", async () => {
  await add({ title: "Sort the maps", priority: "high" }, { title: "Dust the shelves", priority: "low" });
  const page = await open(`/work/${project}?view=table&priority=high`);
  await page.getByRole("button", { name: "Keep filter" }).click();
  const form = page.getByRole("dialog", { name: "Keep the filter" });
  await form.getByLabel("Name").fill("What matters");
  await form.getByRole("button", { name: "Keep it" }).click();
  const saved = page.getByRole("region", { name: "Saved filters" });
  await saved.getByRole("link", { name: "What matters" }).waitFor();
  await page.waitForURL(/saved=/);
  await page.goto("/work");
  await saved.getByRole("link", { name: "What matters" }).click();
  await row(page, "Sort the maps").waitFor();
  expect(await row(page, "Dust the shelves").count()).toBe(0);
  await page.getByLabel("Priority", { exact: true }).selectOption("low");
  await page.getByRole("button", { name: "Save to “What matters”" }).click();
  await page.getByText("“What matters” means this now.").waitFor();
  const menu = saved.getByRole("button", { name: "What to do with What matters" });
  await menu.click();
  await page.getByRole("menuitem", { name: "Share with everybody here" }).click();
  await page.getByText("Everybody here sees “What matters” now.").waitFor();
  await menu.click();
  await page.getByRole("menuitem", { name: "Rename…" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("What does not");
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await saved.getByRole("link", { name: "What does not" }).waitFor();
  const { items } = await on.server.api<{ items: Record<string, unknown>[] }>("GET", "/filters");
  expect(items).toMatchObject([{ name: "What does not", shared: true, filter: { priority: ["low"] } }]);
  await saved.getByRole("button", { name: "What to do with What does not" }).click();
  await page.getByRole("menuitem", { name: "Delete…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete it" }).click();
  await saved.getByRole("link").waitFor({ state: "detached" });
});

test("a filter from elsewhere with several words is shown as it is", async () => {
  await add({ title: "Bind", status: "blocked" }, { title: "Lend", status: "todo" }, { title: "Burn", status: "done" });
  const filter = { status: ["todo", "blocked"], project_id: project, due: "none" };
  const { id } = await on.server.api<{ id: string }>("POST", "/filters", { name: "Open books", filter, sort: "title" });
  const page = await open("/work");
  await page.getByRole("link", { name: "Open books" }).click();
  await page
    .getByRole("region", { name: "Filter", exact: true })
    .getByText("to do or blocked, due at no time")
    .waitFor();
  await row(page, "Bind").waitFor();
  await row(page, "Lend").waitFor();
  expect(await row(page, "Burn").count()).toBe(0);
  await on.server.api("DELETE", `/filters/${id}`);
});

test("tasks are found by their words, in the search and in the palette", async () => {
  await add(
    { title: `Zurückgegebene Bücher ${made}`, description: "The returned books stand beside the lift." },
    { title: "Nothing of the kind" },
  );
  const page = await open("/work/search");
  await page.getByLabel("Words to look for").fill("zuruckgeg");
  await page.waitForURL(/q=zuruckgeg/);
  await row(page, "Zurückgegebene").waitFor();
  expect(await page.locator(".row mark").allInnerTexts()).toEqual(["Zurückgeg"]);
  await page.getByLabel("Words to look for").fill("books lift");
  await until("both are marked", async () => (await page.locator(".row mark").allInnerTexts()).join() === "books,lift");
  await page.getByLabel("Words to look for").fill("volcano");
  await page.getByText("No task has all these words").waitFor();
  await page.getByLabel("Words to look for").fill("returned");
  await row(page, "Zurückgegebene").waitFor();
  await page.locator(".list").focus();
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.getByRole("complementary", { name: "Task" }).getByLabel("Title").waitFor();
  await page.goto("/runs");
  await settled(page);
  await page.keyboard.press("Control+k");
  const palette = page.getByRole("dialog", { name: "Search pages and operations" });
  await palette.getByRole("combobox").fill(`bücher ${made}`);
  await palette.getByRole("option", { name: `Zurückgegebene Bücher ${made}` }).click();
  await page.getByRole("complementary", { name: "Task" }).getByLabel("Title").waitFor();
  await page.keyboard.press("Control+k");
  await palette.getByRole("combobox").fill("the lift");
  await palette.getByRole("option", { name: "Look for “the lift” in all tasks" }).click();
  await row(page, "Zurückgegebene").waitFor();
});

test("what was deleted together comes back together, or goes for good", async () => {
  on.allow(/status of 401/);
  const [shelf = ""] = await add({ title: "A shelf" }, { title: "A lamp" });
  await on.server.api("POST", `/projects/${project}/tasks`, { title: "A plank", parent_id: shelf });
  const page = await open(`/work/${project}?view=tree`);
  await row(page, "A shelf").waitFor();
  for (const name of ["A shelf", "A lamp"]) {
    await row(page, name).getByText(name).click();
    const pane = page.getByRole("complementary", { name: "Task" });
    await pane.getByRole("button", { name: "Delete the task" }).click();
    await pane.waitFor({ state: "detached" });
  }
  await page.getByRole("link", { name: "Trash" }).click();
  await row(page, "A shelf, A plank 2 tasks").getByRole("button", { name: "Bring back" }).click();
  await row(page, "A shelf").waitFor({ state: "detached" });
  await page.getByText("“A shelf” is back, 2 tasks").waitFor();
  await row(page, "A lamp").getByRole("button", { name: "Delete “A lamp” for good" }).click();
  const asked = page.getByRole("dialog", { name: "Delete “A lamp” for good?" });
  await asked.getByRole("button", { name: "Keep" }).click();
  await row(page, "A lamp").getByRole("button", { name: "Delete “A lamp” for good" }).click();
  await asked.getByRole("button", { name: "Delete for good" }).click();
  await page.getByText("1 task went for good.").waitFor();
  await page.getByText("The trash is empty").waitFor();
  await page.goto(`/work/${project}`);
  await row(page, "A plank").waitFor();
  expect(await row(page, "A lamp").count()).toBe(0);
  // Members may bring back, and not delete for good.
  await on.server.api("POST", "/members", {
    email: `mia${made}@example.com`,
    full_name: "Mia",
    role: "member",
    password: "a longer one, this",
  });
  await on.server.api("DELETE", `/tasks/${shelf}`);
  const hers = await on.stranger();
  await hers.goto("/work/trash");
  await hers.getByLabel("E-mail").fill(`mia${made}@example.com`);
  await hers.getByLabel("Password").fill("a longer one, this");
  await hers.getByRole("button", { name: "Sign in" }).click();
  await row(hers, "A shelf").getByRole("button", { name: "Bring back" }).waitFor();
  expect(await hers.getByRole("button", { name: /for good/ }).count()).toBe(0);
});

test("the archive is looked into, and tasks come back from it", async () => {
  const [old = ""] = await add({ title: `An old ledger ${made}` }, { title: "A new one" });
  await on.server.api("POST", `/tasks/${old}/archive`);
  const page = await open("/work");
  await page.getByRole("navigation", { name: "Work" }).getByRole("link", { name: "Archive" }).click();
  await row(page, `An old ledger ${made}`).getByText("archived").waitFor();
  await page.goto(`/work/${project}?view=tree`);
  await row(page, "A new one").waitFor();
  expect(await row(page, "An old ledger").count()).toBe(0);
  await page.getByRole("button", { name: "More filters" }).click();
  await page.getByLabel("Archive", { exact: true }).selectOption("included");
  await row(page, "An old ledger").getByText("An old ledger").click();
  await page.getByRole("button", { name: "Bring it back", exact: true }).click();
  await row(page, "An old ledger").locator(".chip", { hasText: "archived" }).waitFor({ state: "detached" });
});

test("a day's work: overdue, due, scheduled and begun, mine or everybody's", async () => {
  // The timer's minutes and the status may come to the server at the same time.
  on.allow(/status of 412/);
  const at = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();
  const midnight = new Date();
  midnight.setUTCHours(23, 59, 0, 0);
  const [late = ""] = await add(
    { title: "Late book", due_date: at(-30), assignee: EMAIL },
    { title: "Book of the day", due_date: midnight.toISOString(), assignee: EMAIL },
    { title: "Scheduled book", scheduled_date: midnight.toISOString(), assignee: EMAIL },
    { title: "Begun book", status: "in_progress", assignee: EMAIL },
    { title: "Another's book", due_date: at(-30), assignee: "Ines" },
    { title: "Finished book", due_date: at(-30), assignee: EMAIL, status: "done" },
  );
  await on.server.api("POST", `/tasks/${late}/timer`);
  const page = await open("/work/mine");
  const part = (name: string) => page.getByRole("region", { name, exact: true });
  await part("Overdue").getByText("Late book").waitFor();
  await part("Due today").getByText("Book of the day").waitFor();
  await part("Scheduled today").getByText("Scheduled book").waitFor();
  await part("Begun").getByText("Begun book").waitFor();
  await part("At it now").getByText("Late book").waitFor();
  expect(await page.getByText("Another's book").count()).toBe(0);
  expect(await page.getByText("Finished book").count()).toBe(0);
  await part("At it now").getByRole("button", { name: "Stop the timer" }).first().click();
  await part("At it now").waitFor({ state: "detached" });
  await part("Overdue").getByLabel("Status of Late book").selectOption("done");
  await part("Overdue").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Everybody's" }).click();
  await page.waitForURL(/who=all/);
  await part("Overdue").getByText("Another's book").waitFor();
  await page.goto("/");
  await page.getByRole("region", { name: "Your work today" }).getByText("Book of the day").waitFor();
});

test("a phone reaches all of it", async () => {
  const page = await on.owner({ viewport: PHONE, hasTouch: true, isMobile: true });
  await page.goto("/work");
  const places = page.getByRole("navigation", { name: "Work" });
  await places.getByRole("link", { name: "Trash" }).tap();
  await page.getByRole("heading", { name: "Trash" }).waitFor();
  await places.getByRole("link", { name: "My work today" }).tap();
  await page.getByRole("heading", { name: "My work today" }).waitFor();
});
