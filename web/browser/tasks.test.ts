// Tasks edited in place and with keys; every page from the palette; addresses that keep the place.
import type { Page } from "playwright-core";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { settled } from "./support/pages";
import { DESKTOP, PHONE, stage } from "./support/stage";
import { until } from "./support/until";

const on = stage("tasks");
let project = "";
let name = "";
let made = 0;
beforeAll(() => on.signIn());

beforeEach(async () => {
  name = `Release ${++made}`;
  project = (await on.server.api<{ id: string }>("POST", "/projects", { name })).id;
  const task_patches = ["Write the notes", "Tag it", "Tell everybody"].map((title) => ({
    op: "create",
    project_id: project,
    body: { title },
  }));
  await on.server.api("POST", "/patches", { task_patches });
});

const list = (page: Page) => page.getByRole("treegrid", { name: "Tasks" });
const row = (page: Page, name: string) => page.getByRole("row", { name });

async function open(): Promise<Page> {
  const page = await on.owner();
  await page.goto(`/work/${project}`);
  await settled(page);
  await row(page, "Tag it").waitFor();
  return page;
}

interface Task {
  title: string;
  status: string;
  assignee: string | null;
  estimated_minutes: number | null;
  tags: string[];
  due_date: string | null;
}

async function kept(so: (task: Task) => boolean, of: string) {
  await until(`the server has it: ${of}`, async () => {
    const { items } = await on.server.api<{ items: Task[] }>("GET", `/tasks?project_id=${project}&limit=50`);
    return items.some(so);
  });
}

test("a title is edited in place, and taken back by the keyboard", async () => {
  const page = await open();
  await row(page, "Tag it").getByText("Tag it").dblclick();
  const field = list(page).getByLabel("Title");
  await field.fill("Tag and sign it");
  await field.press("Enter");
  await row(page, "Tag and sign it").waitFor();
  await page.getByText("The title was changed").waitFor();
  await kept((task) => task.title === "Tag and sign it", "the new title");
  await page.keyboard.press("Control+z");
  await page.getByText("Undone: The title was changed").waitFor();
  await row(page, "Tag it").waitFor();
  await kept((task) => task.title === "Tag it", "the old title");
  await page.getByRole("button", { name: "Redo" }).click();
  await row(page, "Tag and sign it").waitFor();
});

test("rows are walked, edited, finished, moved and deleted with keys", async () => {
  const page = await open();
  await page.locator("main").focus();
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("e");
  await list(page).getByLabel("Title").fill("Tag it tomorrow");
  await page.keyboard.press("Escape");
  expect(await row(page, "Tag it tomorrow").count(), "Escape leaves it as it was").toBe(0);
  await page.keyboard.press("d");
  await page.getByText("“Tag it” is done").waitFor();
  await kept((task) => task.title === "Tag it" && task.status === "done", "done");
  await page.keyboard.press("]");
  await page.getByText("“Tag it” was moved").waitFor();
  expect(await row(page, "Tag it").getAttribute("aria-level")).toBe("2");
  await page.keyboard.press("[");
  await until("it stands at the top again", async () => (await row(page, "Tag it").getAttribute("aria-level")) === "1");
  await page.keyboard.press("Backspace");
  await row(page, "Tag it").waitFor({ state: "detached" });
  await page.keyboard.press("Control+z");
  await row(page, "Tag it").waitFor();
});

test("the cells and the pane edit every field", async () => {
  const page = await open();
  await page.getByLabel("New task", { exact: true }).fill("Thank the translators");
  await page.getByLabel("New task", { exact: true }).press("Enter");
  await row(page, "Thank the translators").waitFor();
  await page.getByLabel("Status of Thank the translators").selectOption("in_progress");
  await page.getByRole("button", { name: /^Who does Thank the translators/ }).click();
  await list(page).getByLabel("Who does Thank the translators").fill("Ines");
  await page.keyboard.press("Enter");
  await kept((task) => task.assignee === "Ines" && task.status === "in_progress", "who and status");
  await row(page, "Thank the translators").getByText("Thank the translators").click();
  const pane = page.getByRole("complementary", { name: "Task" });
  await pane.getByRole("button", { name: /^Estimate/ }).click();
  await pane.getByLabel("Estimate in minutes").fill("90");
  await page.keyboard.press("Enter");
  await pane.getByText("1 h 30 min").waitFor();
  await pane.getByRole("button", { name: /^Tags/ }).click();
  await pane.getByLabel("Tags, with commas in between").fill("people, release");
  await page.keyboard.press("Enter");
  await pane.getByRole("button", { name: /^When/ }).click();
  await pane.getByLabel(/^When/).fill("2027-03-01T09:30");
  await page.keyboard.press("Enter");
  await pane.getByLabel("Description").fill("By letter.");
  await pane.getByLabel("Description").press("Control+Enter");
  await kept(
    ({ tags, estimated_minutes, due_date }) =>
      tags.join() === "people,release" && estimated_minutes === 90 && Boolean(due_date?.startsWith("2027-03-01T09:30")),
    "estimate, tags and date",
  );
  await pane.getByLabel("New task below this one").fill("Find their addresses");
  await pane.getByLabel("New task below this one").press("Enter");
  await row(page, "Find their addresses").waitFor();
  // What somebody else does comes by itself.
  await on.server.api("POST", `/projects/${project}/tasks`, { title: "From somewhere else" });
  await row(page, "From somewhere else").waitFor();
  await pane.getByRole("button", { name: "Delete the task" }).click();
  await pane.waitFor({ state: "detached" });
  await row(page, "Find their addresses").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Undo" }).last().click();
  await row(page, "Find their addresses").waitFor();
});

test("changes made faster than the server answers are all kept", async () => {
  const page = await open();
  let answer = () => {};
  const slow = new Promise<void>((resolve) => {
    answer = resolve;
  });
  await page.route("**/api/v1/patches", async (route) => {
    await slow;
    await route.continue();
  });
  await page.getByLabel("Status of Tag it").selectOption("in_progress");
  await page.getByLabel("Priority of Tag it").selectOption("high");
  await page.getByRole("button", { name: /^Who does Tag it/ }).click();
  await list(page).getByLabel("Who does Tag it").fill("Ines");
  await page.keyboard.press("Enter");
  answer();
  await kept(
    (task) => task.title === "Tag it" && task.status === "in_progress" && task.assignee === "Ines",
    "both changes of the same task",
  );
  await row(page, "Tag it").getByText("Ines").waitFor();
  await row(page, "Tag it").locator(".status", { hasText: "High" }).waitFor();
});

test("several tasks are changed as one, and undone as one", async () => {
  const page = await open();
  await row(page, "Write the notes").getByRole("checkbox").check();
  await row(page, "Tell everybody")
    .getByRole("checkbox")
    .click({ modifiers: ["Shift"] });
  const bar = page.getByRole("region", { name: "What to do with the chosen tasks" });
  await bar.getByText("3 chosen").waitFor();
  await bar.getByLabel("Set the priority").selectOption("critical");
  await page.getByText("3 tasks: critical priority").waitFor();
  await bar.waitFor({ state: "detached" });
  await page.keyboard.press("Control+z");
  await page.getByText("Undone: 3 tasks: critical priority").waitFor();
  await until(
    "none is critical",
    async () => (await list(page).locator(".status", { hasText: "Critical" }).count()) === 0,
  );
});

test("addresses keep the place: reload, back, filters", async () => {
  const page = await open();
  await page.getByLabel("Status", { exact: true }).selectOption("todo");
  await page.getByLabel("Filter by text").fill("tell");
  await page.waitForURL(/text=tell/);
  await row(page, "Write the notes").waitFor({ state: "detached" });
  await row(page, "Tell everybody").getByText("Tell everybody").click();
  const pane = page.getByRole("complementary", { name: "Task" });
  await pane.waitFor();
  await page.reload();
  await pane.getByLabel("Title").waitFor();
  expect(await page.getByLabel("Filter by text").inputValue()).toBe("tell");
  expect(await row(page, "Write the notes").count()).toBe(0);
  await page.keyboard.press("Escape");
  await pane.waitFor({ state: "detached" });
  await page.getByRole("link", { name: "Runs" }).click();
  await page.getByRole("heading", { name: "Runs" }).waitFor();
  await page.goBack();
  await row(page, "Tell everybody").waitFor();
  const { search } = new URL(page.url());
  expect(new URLSearchParams(search).get("status")).toBe("todo");
  expect(await page.getByLabel("Filter by text").inputValue()).toBe("tell");
  expect(await page.getByLabel("Status", { exact: true }).inputValue()).toBe("todo");
});

test("the palette reaches every page, and ? lists the keys", async () => {
  const page = await open();
  const names = await page.getByRole("navigation", { name: "Pages" }).locator("a .nav-label").allInnerTexts();
  expect(names.length).toBeGreaterThan(6);
  const palette = page.getByRole("dialog", { name: "Search pages and operations" });
  for (const place of names) {
    await page.keyboard.press("Control+k");
    await palette.getByRole("combobox").fill(place);
    await palette.getByRole("option", { name: place }).first().click();
    await palette.waitFor({ state: "detached" });
    await page.locator("nav .nav-item.active").getByText(place, { exact: true }).waitFor();
    await settled(page);
  }
  await page.keyboard.press("Control+k");
  await palette.getByRole("combobox").fill(name.toLowerCase());
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name }).waitFor();
  await page.keyboard.press("?");
  const sheet = page.getByRole("dialog", { name: "Keys" });
  for (const does of ["Search pages and operations", "Go to Runs", "Edit the title", "Undo what you did last"]) {
    await sheet.getByText(does).waitFor();
  }
  await page.keyboard.press("Escape");
  await sheet.waitFor({ state: "detached" });
  await page.keyboard.press("g");
  await page.keyboard.press("r");
  await page.getByRole("heading", { name: "Runs" }).waitFor();
});

test("a phone reaches what a desk does", async () => {
  const page = await on.owner({ viewport: PHONE, hasTouch: true, isMobile: true });
  await page.goto("/");
  const bar = page.getByRole("navigation", { name: "Pages" });
  await bar.getByRole("link", { name: "Work" }).tap();
  await page.getByRole("link", { name }).tap();
  await row(page, "Tag it").getByText("Tag it").tap();
  const pane = page.getByRole("complementary", { name: "Task" });
  await pane.getByLabel("Status of Tag it").selectOption("done");
  await pane.getByRole("button", { name: "Close the pane" }).tap();
  await kept((task) => task.title === "Tag it" && task.status === "done", "done");
  await bar.getByRole("button", { name: "More" }).tap();
  await page.getByRole("option", { name: "Settings" }).tap();
  await page.getByRole("heading", { name: "You" }).waitFor();
  await page.setViewportSize(DESKTOP);
  await page.getByRole("link", { name: "Members" }).waitFor();
});
