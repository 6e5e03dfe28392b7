// Many tasks changed as one set: looked at before, done at once, undone and done again.
import type { Page } from "playwright-core";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { settled } from "./support/pages";
import { stage } from "./support/stage";
import { until } from "./support/until";

const on = stage("tasks-bulk");
let project = "";
let made = 0;
beforeAll(() => on.signIn());

beforeEach(async () => {
  project = (await on.server.api<{ id: string }>("POST", "/projects", { name: `Ship ${++made}` })).id;
  const task_patches = ["Hull", "Mast", "Sail", "Rope"].map((title, index) => ({
    op: "create",
    temp_id: `t${index}`,
    ...(title === "Rope" ? { parent_id: "temp:t2" } : { project_id: project }),
    body: { title, tags: ["wood"] },
  }));
  await on.server.api("POST", "/patches", { task_patches });
});

async function open(view: string): Promise<Page> {
  const page = await on.owner();
  await page.goto(`/work/${project}?view=${view}`);
  await settled(page);
  return page;
}

interface Row {
  title: string;
  status: string;
  tags: string[];
  due_date: string | null;
  project_id: string;
  archived_at: string | null;
}

async function rows(of = project): Promise<Row[]> {
  const path = `/tasks?project_id=${of}&archived=included&limit=50`;
  return (await on.server.api<{ items: Row[] }>("GET", path)).items;
}

const bar = (page: Page) => page.getByRole("region", { name: "What to do with the chosen tasks" });
const kept = (what: string, so: (all: Row[]) => boolean) =>
  until(`the server has it: ${what}`, async () => so(await rows()));

test("a change of many is looked at, done as one, undone and done again", async () => {
  const page = await open("tree");
  await page.getByRole("row", { name: "Hull" }).getByRole("checkbox").check();
  await page
    .getByRole("row", { name: "Sail" })
    .getByRole("checkbox")
    .click({ modifiers: ["Shift"] });
  await bar(page).getByText("3 chosen").waitFor();
  await page.keyboard.press("c");
  const dialog = page.getByRole("dialog", { name: "Change 3 tasks" });
  await dialog.getByLabel("New status").selectOption("in_progress");
  await dialog.getByLabel("Tags to add, with commas in between").fill("urgent");
  await dialog.getByLabel("Tag to take away").selectOption("wood");
  await dialog.getByLabel("Due: new date").selectOption("set");
  await dialog.getByLabel("Due on").fill("2028-05-01T12:00");
  await dialog.getByText(/3 tasks change: .*status of 3/).waitFor();
  await dialog.getByText(/tags of 3/).waitFor();
  await until("each is shown", async () => (await dialog.locator(".diff-row").count()) === 3);
  expect(
    (await rows()).every((row) => row.status === "todo"),
    "nothing is done yet",
  ).toBe(true);
  await dialog.getByRole("button", { name: "Change them" }).click();
  await dialog.waitFor({ state: "detached" });
  await bar(page).waitFor({ state: "detached" });
  await page.getByText("3 tasks changed").waitFor();
  const changed = (all: Row[]) =>
    all.filter((row) => row.status === "in_progress" && row.tags.join() === "urgent" && row.due_date).length;
  await kept("three are changed", (all) => changed(all) === 3);
  await page.keyboard.press("Control+z");
  await page.getByText("Undone: 3 tasks changed").waitFor();
  await kept("none is", (all) => changed(all) === 0);
  await page.keyboard.press("Control+Shift+z");
  await page.getByText("Done again: 3 tasks changed").waitFor();
  await kept("three are again", (all) => changed(all) === 3);
  // The toast's own buttons do the same.
  await page.getByRole("button", { name: "Undo" }).last().click();
  await kept("none is again", (all) => changed(all) === 0);
  await page.getByRole("button", { name: "Redo" }).last().click();
  await kept("and all are", (all) => changed(all) === 3);
});

test("a change that does nothing cannot be made, and one that is refused says why", async () => {
  on.allow(/status of 422/);
  const page = await open("tree");
  await page.getByRole("row", { name: "Sail" }).getByRole("checkbox").check();
  await bar(page).getByRole("button", { name: "Change…" }).click();
  const dialog = page.getByRole("dialog", { name: "Change 1 task" });
  await dialog.getByLabel("New status").selectOption("todo");
  await dialog.getByText("Nothing would change: all of them are so already.").waitFor();
  expect(await dialog.getByRole("button", { name: "Change them" }).isDisabled()).toBe(true);
  // Below what is part of itself.
  await dialog.getByLabel("New status").selectOption("");
  await dialog.getByLabel("New project").selectOption({ label: `Ship ${made}` });
  await dialog.getByRole("button", { name: "at the top" }).click();
  await dialog.getByRole("combobox", { name: "The task to put them below" }).fill("rope");
  await dialog.getByRole("listbox").getByRole("option").first().click();
  await dialog.getByText("This cannot be done").waitFor();
  expect(await dialog.getByRole("button", { name: "Change them" }).isDisabled()).toBe(true);
  await dialog.getByRole("button", { name: "Leave them" }).click();
});

test("from a table, tasks go to another project with what is below them", async () => {
  const other = await on.server.api<{ id: string }>("POST", "/projects", { name: `Dock ${made}` });
  const page = await open("table");
  await page.getByRole("row", { name: "Sail" }).getByRole("checkbox").check();
  await bar(page).getByRole("button", { name: "Change…" }).click();
  const dialog = page.getByRole("dialog", { name: "Change 1 task" });
  await dialog.getByLabel("New project").selectOption({ label: `Dock ${made}` });
  await dialog.getByText(/2 tasks change/).waitFor();
  await dialog.getByRole("button", { name: "Change them" }).click();
  await page.getByRole("row", { name: "Rope" }).waitFor({ state: "detached" });
  expect((await rows(other.id)).map((row) => row.title).sort()).toEqual(["Rope", "Sail"]);
  await page.keyboard.press("Control+z");
  await page.getByRole("row", { name: "Rope" }).waitFor();
});

test("from a board, tasks go into the archive and into the trash with what is below them", async () => {
  const page = await open("board");
  await page.getByRole("checkbox", { name: "Choose Sail" }).check();
  await bar(page).getByRole("button", { name: "Archive…" }).click();
  let dialog = page.getByRole("dialog", { name: "Put 1 task into the archive" });
  await dialog.getByText("2 tasks change: archive of 2.").waitFor();
  await dialog.getByRole("button", { name: "Put them away" }).click();
  await page.locator(".board-card", { hasText: "Rope" }).waitFor({ state: "detached" });
  await kept("both are put away", (all) => all.filter((row) => row.archived_at).length === 2);
  await page.goto(`/work/${project}?view=board&archived=only`);
  await page.getByRole("checkbox", { name: "Choose Sail" }).check();
  await bar(page).getByRole("button", { name: "Bring back…" }).click();
  dialog = page.getByRole("dialog", { name: "Bring 1 task back from the archive" });
  await dialog.getByRole("button", { name: "Bring them back" }).click();
  await kept("both are back", (all) => all.every((row) => row.archived_at === null));
  await page.goto(`/work/${project}?view=board`);
  await page.getByRole("checkbox", { name: "Choose Sail" }).check();
  await page.keyboard.press("Backspace");
  dialog = page.getByRole("dialog", { name: "Delete 1 task" });
  await dialog.getByText("2 tasks go into the trash.").waitFor();
  await dialog.getByRole("button", { name: "Delete them" }).click();
  await page.locator(".board-card", { hasText: "Rope" }).waitFor({ state: "detached" });
  await page.keyboard.press("Control+z");
  await page.locator(".board-card", { hasText: "Rope" }).waitFor();
});
