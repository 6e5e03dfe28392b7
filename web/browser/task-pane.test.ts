// A task, whole: its fields, parts, dependencies, comments, activity and time, and the timer on every page.
import type { Page } from "playwright-core";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { settled } from "./support/pages";
import { PHONE, stage } from "./support/stage";
import { until } from "./support/until";

const on = stage("task-pane");
let project = "";
let ids: Record<string, string> = {};
let made = 0;
beforeAll(() => on.signIn());

const TITLES = ["Bake the bread", "Mill the flour", "Cut the slices"];

beforeEach(async () => {
  project = (await on.server.api<{ id: string }>("POST", "/projects", { name: `Kitchen ${++made}` })).id;
  const task_patches = TITLES.map((title, index) => ({
    op: "create",
    temp_id: `t${index}`,
    project_id: project,
    body: { title: `${title} ${made}` },
  }));
  const { temp_ids } = await on.server.api<{ temp_ids: Record<string, string> }>("POST", "/patches", { task_patches });
  ids = Object.fromEntries(TITLES.map((title, index) => [title, temp_ids[`t${index}`] ?? ""]));
});

const pane = (page: Page) => page.getByRole("complementary", { name: "Task" });
const named = (title: string) => `${title} ${made}`;

async function open(title: string, search = ""): Promise<Page> {
  const page = await on.owner();
  await page.goto(`/work/${project}/${ids[title]}${search}`);
  await settled(page);
  await pane(page).getByLabel("Title").waitFor();
  return page;
}

type Row = Record<string, unknown>;
const kept = (title: string, what: string, so: (task: Row) => boolean) =>
  until(`the server has it: ${what}`, async () => so(await on.server.api<Row>("GET", `/tasks/${ids[title]}`)));

test("due, scheduled, rule and description are edited in place", async () => {
  const page = await open("Bake the bread");
  const task = pane(page);
  await task.getByRole("button", { name: /^Scheduled time/ }).click();
  await task.getByLabel(/^Scheduled time/).fill("2027-05-03T08:00");
  await page.keyboard.press("Enter");
  await kept("Bake the bread", "scheduled", (row) => String(row.scheduled_date).startsWith("2027-05-03T08:00"));
  await task.getByRole("button", { name: /^How it comes again/ }).click();
  const form = page.getByRole("dialog", { name: "Comes again" });
  await form.getByLabel("Every").fill("2");
  await form.getByLabel("Monday").check();
  await form.getByLabel("Thursday").check();
  await form.getByText("It comes every 2 weeks on Monday and Thursday.").waitFor();
  await form.getByRole("button", { name: "Save" }).click();
  await task.getByRole("button", { name: /every 2 weeks on Monday and Thursday/ }).waitFor();
  await kept("Bake the bread", "the rule", (row) =>
    JSON.stringify(row.recurrence).includes('"weekdays":["mon","thu"]'),
  );
  await task.getByLabel("Description").fill("With **rye**.\n\n- knead\n- wait");
  await task.getByLabel("Description").press("Control+Enter");
  await task.locator(".md strong", { hasText: "rye" }).waitFor();
  await task.getByRole("button", { name: "Edit the description" }).click();
  expect(await task.getByLabel("Description").inputValue()).toContain("- knead");
  await page.keyboard.press("Escape");
  // Done: the next one comes.
  await task.getByLabel(/^Status of Bake/).selectOption("done");
  await until("the next one is there", async () => {
    const { items } = await on.server.api<{ items: Row[] }>("GET", `/tasks?project_id=${project}&limit=50`);
    return items.filter((row) => row.title === named("Bake the bread")).length === 2;
  });
});

test("a refused edit is taken back with its reason", async () => {
  on.allow(/status of 422/);
  const page = await open("Bake the bread");
  await page.route("**/api/v1/patches", (route) =>
    route.fulfill({
      status: 422,
      contentType: "application/problem+json",
      body: JSON.stringify({ status: 422, code: "invalid", title: "Invalid", detail: "The oven is cold." }),
    }),
  );
  await pane(page)
    .getByLabel(/^Priority of Bake/)
    .selectOption("critical");
  await page.getByText("The change was taken back.").waitFor();
  await page.getByText("The oven is cold.").waitFor();
  await pane(page).locator(".status", { hasText: "Medium" }).waitFor();
});

test("what somebody else changed meanwhile stands in the way only of the same field", async () => {
  on.allow(/status of 412/);
  const page = await open("Bake the bread");
  await page.routeWebSocket(/events/, () => {});
  await page.reload();
  await pane(page).getByLabel("Title").waitFor();
  await on.server.api("PATCH", `/tasks/${ids["Bake the bread"]}`, { assignee: "Ines", priority: "low" });
  await pane(page)
    .getByLabel(/^Status of Bake/)
    .selectOption("in_progress");
  await page.getByText(/is in progress$/).waitFor();
  await kept("Bake the bread", "both", (row) => row.status === "in_progress" && row.assignee === "Ines");
  await on.server.api("PATCH", `/tasks/${ids["Bake the bread"]}`, { priority: "high" });
  await pane(page)
    .getByLabel(/^Priority of Bake/)
    .selectOption("critical");
  await page.getByText("The change was taken back.").waitFor();
  await page.getByRole("button", { name: "Make it anyway" }).click();
  await kept("Bake the bread", "the last word", (row) => row.priority === "critical");
});

test("a task waits for another, a circle is told in words, and lists show who is held up", async () => {
  on.allow(/status of 422/);
  const page = await open("Bake the bread");
  const add = async (words: string) => {
    await pane(page).getByRole("button", { name: "Add a task to wait for" }).click();
    await pane(page).getByRole("combobox", { name: "A task to wait for" }).fill(words);
    await pane(page).getByRole("listbox").getByRole("option").first().waitFor();
    await page.keyboard.press("Enter");
  };
  await add(`mill ${made}`);
  const links = pane(page).getByRole("region", { name: "Dependencies" });
  await links.getByRole("link", { name: named("Mill the flour") }).waitFor();
  const row = page.getByRole("row", { name: named("Bake the bread") });
  await row.getByLabel(/^Waits for/).waitFor();
  await links.getByRole("link", { name: named("Mill the flour") }).click();
  await pane(page).getByText("Holds up").waitFor();
  await add(`bake ${made}`);
  await pane(page).getByText("That would be a circle.").waitFor();
  await page.keyboard.press("Escape");
  // The other one is done, by somebody else: this one is free.
  await on.server.api("PATCH", `/tasks/${ids["Mill the flour"]}`, { status: "done" });
  await row.getByLabel(/^Waits for/).waitFor({ state: "detached" });
  await page.goto(`/work/${project}/${ids["Bake the bread"]}`);
  await links.getByRole("button", { name: /^Wait for Mill the flour/ }).click();
  await links.getByText("Nothing: it can be begun at any time.").waitFor();
  await page.keyboard.press("Control+z");
  await links.getByRole("link", { name: named("Mill the flour") }).waitFor();
});

test("comments are written, edited and deleted; the activity tells who did what", async () => {
  const page = await open("Bake the bread");
  const field = pane(page).getByLabel("Write a comment");
  await field.fill("Is the **oven** hot?");
  await page.reload();
  expect(await field.inputValue(), "a draft is kept").toBe("Is the **oven** hot?");
  await field.press("Control+Enter");
  await pane(page).locator(".comment strong", { hasText: "oven" }).waitFor();
  await pane(page).getByRole("button", { name: "Edit the comment" }).click();
  await pane(page).getByLabel("Edit your comment").fill("It is hot.");
  await pane(page).getByRole("button", { name: "Save" }).click();
  await pane(page).getByText("It is hot.").waitFor();
  await pane(page)
    .getByText(/, edited/)
    .waitFor();
  // What was said elsewhere comes by itself.
  await on.server.api("POST", `/tasks/${ids["Bake the bread"]}/comments`, { body: "Put it in, then." });
  await pane(page).getByText("Put it in, then.").waitFor();
  await pane(page).getByRole("button", { name: "Delete the comment" }).first().click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete it" }).click();
  await pane(page).getByText("It is hot.").waitFor({ state: "detached" });
  await pane(page)
    .getByLabel(/^Status of Bake/)
    .selectOption("in_progress");
  await pane(page).getByRole("tab", { name: "Activity" }).click();
  await page.waitForURL(/tab=activity/);
  const activity = pane(page).locator(".activity");
  await activity.getByText("deleted a comment").waitFor();
  await activity.locator("li", { hasText: "changed it" }).locator("ins", { hasText: "In progress" }).waitFor();
});

test("time is logged, corrected and summed up the tree; a timer runs on every page", async () => {
  const below = await on.server.api<{ id: string }>("POST", `/projects/${project}/tasks`, {
    title: "Heat the oven",
    parent_id: ids["Bake the bread"],
    estimated_minutes: 30,
  });
  await on.server.api("POST", `/tasks/${below.id}/time`, { minutes: 40 });
  const page = await open("Bake the bread", "?tab=time");
  const form = pane(page).getByRole("form", { name: "Log time" });
  await form.getByLabel("How long").fill("ages");
  await form.getByText(/^Write it like/).waitFor();
  await form.getByLabel("How long").fill("1h 20m");
  await form.getByLabel("What was done").fill("Kneading");
  await form.getByRole("button", { name: "Log it" }).click();
  await page.getByText("1 h 20 min logged.").waitFor();
  await pane(page).getByRole("row", { name: "Logged 1 h 20 min 2 h" }).waitFor();
  const entries = pane(page).getByRole("list", { name: "Logged time" });
  await entries.getByRole("button", { name: /^Minutes/ }).click();
  await entries.getByLabel("Minutes").fill("50");
  await page.keyboard.press("Enter");
  await pane(page).getByRole("row", { name: "Logged 50 min 1 h 30 min" }).waitFor();
  await entries.getByRole("button", { name: "Delete this time" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete it" }).click();
  await pane(page).getByRole("row", { name: "Logged 0 min 40 min" }).waitFor();

  await pane(page).getByLabel("Title").waitFor();
  await page.keyboard.press("t");
  const chip = page.getByRole("region", { name: "Running timer" });
  await chip.getByText(named("Bake the bread")).waitFor();
  await page.goto("/runs");
  await chip.getByRole("timer").waitFor();
  await chip.getByRole("link").click();
  await pane(page).getByRole("tab", { name: "Time", selected: true }).waitFor();
  await chip.getByRole("button", { name: /^Stop the timer/ }).click();
  await chip.waitFor({ state: "detached" });
  await page.getByText("1 min logged.").waitFor();
  await pane(page).getByRole("row", { name: "Logged 1 min 41 min" }).waitFor();
});

test("a task is moved below another and to another project, archived, and brought back", async () => {
  const other = await on.server.api<{ id: string }>("POST", "/projects", { name: `Cellar ${made}` });
  const page = await open("Cut the slices");
  await page.keyboard.press("m");
  const dialog = page.getByRole("dialog", { name: "Move the task" });
  await dialog.getByRole("combobox", { name: "The task to put it below" }).fill(`bake ${made}`);
  await dialog.getByRole("listbox").getByRole("option").first().click();
  await dialog.waitFor({ state: "detached" });
  await pane(page)
    .getByRole("link", { name: named("Bake the bread") })
    .waitFor();
  await kept("Cut the slices", "its parent", (row) => row.parent_id === ids["Bake the bread"]);
  await page.keyboard.press("m");
  await dialog.getByLabel("Project").selectOption({ label: `Cellar ${made}` });
  await dialog.getByRole("button", { name: `To the top of Cellar ${made}` }).click();
  await dialog.waitFor({ state: "detached" });
  await kept("Cut the slices", "its project", (row) => row.project_id === other.id && row.parent_id === null);
  await page.getByRole("row", { name: named("Cut the slices") }).waitFor({ state: "detached" });
  await page.keyboard.press("Control+z");
  await page.getByRole("row", { name: named("Cut the slices") }).waitFor();
  await pane(page).getByRole("button", { name: "Put it into the archive" }).click();
  await pane(page).getByText("In the archive: lists leave it out").waitFor();
  await page.getByRole("row", { name: named("Cut the slices") }).waitFor({ state: "detached" });
  await pane(page).getByRole("button", { name: "Bring it back", exact: true }).click();
  await page.getByRole("row", { name: named("Cut the slices") }).waitFor();
});

test("a phone edits a task as well", async () => {
  const page = await on.owner({ viewport: PHONE, hasTouch: true, isMobile: true });
  await page.goto(`/work/${project}/${ids["Bake the bread"]}`);
  await pane(page).getByRole("tab", { name: "Time" }).tap();
  await pane(page).getByRole("button", { name: "Start the timer" }).last().tap();
  const chip = page.getByRole("region", { name: "Running timer" });
  await pane(page).getByRole("button", { name: "Close the pane" }).tap();
  await chip.getByRole("button", { name: /^Stop the timer/ }).tap();
  await chip.waitFor({ state: "detached" });
});
