// Tasks in columns and in trees: dragged, moved by keys, and one switch that remembers how one looks at them.
import type { Page } from "playwright-core";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { settled } from "./support/pages";
import { PHONE, stage } from "./support/stage";
import { until } from "./support/until";

const on = stage("board");
let project = "";
let made = 0;
beforeAll(() => on.signIn());

beforeEach(async () => {
  project = (await on.server.api<{ id: string }>("POST", "/projects", { name: `Garden ${++made}` })).id;
  const task_patches = ["Dig", "Sow", "Water", "Weed"].map((title, index) => ({
    op: "create",
    temp_id: `t${index}`,
    project_id: project,
    body: { title, status: title === "Weed" ? "in_progress" : "todo" },
  }));
  await on.server.api("POST", "/patches", { task_patches });
});

async function open(search: string, options?: Parameters<typeof on.owner>[0]): Promise<Page> {
  const page = await on.owner(options);
  await page.goto(`/work/${project}${search}`);
  await settled(page);
  return page;
}

interface Row {
  id: string;
  title: string;
  status: string;
  parent_id: string | null;
}

async function rows(): Promise<Row[]> {
  const path = `/tasks?project_id=${project}&sort=position&limit=50`;
  return (await on.server.api<{ items: Row[] }>("GET", path)).items;
}

const column = (page: Page, name: string) => page.getByRole("region", { name: new RegExp(`^${name}, \\d`) });
const card = (page: Page, title: string) => page.locator(".board-card", { hasText: title });
const titles = (page: Page, name: string) => column(page, name).locator(".board-title").allInnerTexts();
const order = (page: Page, name: string, wanted: string[]) =>
  until(`${name} is ${wanted.join()}`, async () => (await titles(page, name)).join() === wanted.join());
const kept = (what: string, so: (all: Row[]) => boolean) =>
  until(`the server has it: ${what}`, async () => so(await rows()));

test("cards are dragged between columns and within, and undone", async () => {
  const page = await open("?view=board");
  await order(page, "To do", ["Dig", "Sow", "Water"]);
  await card(page, "Dig").dragTo(card(page, "Weed"), { targetPosition: { x: 40, y: 70 } });
  await order(page, "In progress", ["Weed", "Dig"]);
  await page.getByText("“Dig” is in progress").waitFor();
  await kept("another status", (all) => all.find((row) => row.title === "Dig")?.status === "in_progress");
  await card(page, "Water").dragTo(card(page, "Sow"), { targetPosition: { x: 40, y: 10 } });
  await order(page, "To do", ["Water", "Sow"]);
  await kept(
    "the order",
    (all) => all.map((row) => row.title).indexOf("Water") < all.map((row) => row.title).indexOf("Sow"),
  );
  await page.keyboard.press("Control+z");
  await order(page, "To do", ["Sow", "Water"]);
  await page.keyboard.press("Control+z");
  await order(page, "To do", ["Dig", "Sow", "Water"]);
  await page.keyboard.press("Control+Shift+z");
  await order(page, "In progress", ["Weed", "Dig"]);
});

test("cards are walked, moved and opened with keys", async () => {
  const page = await open("?view=board");
  await page.locator("main").focus();
  const focused = () => page.evaluate(() => document.activeElement?.textContent);
  await page.keyboard.press("j");
  await until("the first card has the focus", async () => (await focused()) === "Dig");
  await page.keyboard.press("ArrowDown");
  await until("the second", async () => (await focused()) === "Sow");
  await page.keyboard.press("Alt+ArrowDown");
  await order(page, "To do", ["Dig", "Water", "Sow"]);
  await page.keyboard.press("Alt+ArrowUp");
  await order(page, "To do", ["Dig", "Sow", "Water"]);
  await page.keyboard.press("Alt+ArrowRight");
  await order(page, "In progress", ["Sow", "Weed"]);
  await until("it keeps the focus", async () => (await focused()) === "Sow");
  await page.keyboard.press("ArrowLeft");
  await until("one in the column before", async () => (await focused()) === "Dig");
  await page.keyboard.press("x");
  await page.getByRole("region", { name: "What to do with the chosen tasks" }).getByText("1 chosen").waitFor();
  await page.keyboard.press("Enter");
  await page.getByRole("complementary", { name: "Task" }).getByLabel("Title").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("complementary", { name: "Task" }).waitFor({ state: "detached" });
});

test("a refused drop goes back to where it was", async () => {
  on.allow(/status of 422/);
  const page = await open("?view=board");
  await page.route("**/api/v1/patches", (route) =>
    route.fulfill({
      status: 422,
      contentType: "application/problem+json",
      body: JSON.stringify({ status: 422, code: "invalid", title: "Invalid", detail: "It rains." }),
    }),
  );
  await card(page, "Sow").dragTo(column(page, "Done"));
  await page.getByText("It rains.").waitFor();
  await order(page, "To do", ["Dig", "Sow", "Water"]);
});

test("the switch remembers the view; filters stay in the address", async () => {
  const page = await open("");
  const views = page.getByRole("group", { name: "View" });
  await views.getByRole("button", { name: "Board" }).click();
  await page.waitForURL(/view=board/);
  await page.goto(`/work/${project}`);
  await column(page, "To do").waitFor();
  await page.getByLabel("Filter by text").fill("so");
  await page.waitForURL(/text=so/);
  await order(page, "To do", ["Sow"]);
  await page.getByRole("button", { name: "More filters" }).click();
  await page.getByLabel("Due", { exact: true }).selectOption("overdue");
  await page.getByText("No task fits these filters").waitFor();
  await page.reload();
  expect(await page.getByLabel("Due", { exact: true }).inputValue()).toBe("overdue");
  await page.getByRole("button", { name: "No filter" }).click();
  await order(page, "To do", ["Dig", "Sow", "Water"]);
  // The board of every project comes page by page.
  await page.goto("/work/all?view=board&text=Weed");
  await card(page, "Weed").first().waitFor();
  await card(page, "Weed").first().dragTo(column(page, "Blocked"));
  await column(page, "Blocked").locator(".board-card").first().waitFor();
  await page.goto(`/work/${project}`);
  await views.getByRole("button", { name: "Tree" }).click();
});

test("rows of the tree are dragged into others and between them, and moved by keys", async () => {
  const page = await open("?view=tree");
  const row = (name: string) => page.getByRole("row", { name });
  // By its title: fields in the row are not to be dragged by.
  const drag = (from: string, to: string, y: number) =>
    row(from).dragTo(row(to), { sourcePosition: { x: 120, y: 18 }, targetPosition: { x: 200, y } });
  const all = async () => (await page.locator(".row .title-cell > .clip").allInnerTexts()).join();
  await drag("Water", "Dig", 18);
  await until("it is below", async () => (await row("Water").getAttribute("aria-level")) === "2");
  await drag("Weed", "Dig", 3);
  await until("it is first", async () => (await all()) === "Weed,Dig,Water,Sow");
  await kept("parents", (kept) => kept.find((each) => each.title === "Water")?.parent_id !== null);
  // Never below itself.
  await drag("Dig", "Water", 18);
  expect(await all()).toBe("Weed,Dig,Water,Sow");
  await row("Sow").getByRole("checkbox").check();
  await row("Weed").getByRole("checkbox").check();
  await drag("Weed", "Water", 33);
  await page.getByText("2 tasks were moved").waitFor();
  await until("both went, in their order", async () => (await all()) === "Dig,Water,Weed,Sow");
  await page.keyboard.press("Control+z");
  await until("both are back", async () => (await all()) === "Weed,Dig,Water,Sow");
  await page.locator("main").focus();
  await page.keyboard.press("j");
  await page.keyboard.press("Alt+ArrowDown");
  await until("one down", async () => (await all()) === "Dig,Water,Weed,Sow");
  await page.keyboard.press("Alt+ArrowRight");
  await until("below the one above", async () => (await row("Weed").getAttribute("aria-level")) === "2");
  await page.keyboard.press("Alt+ArrowUp");
  await until("above its sibling", async () => (await all()) === "Dig,Weed,Water,Sow");
  await page.keyboard.press("Alt+ArrowLeft");
  await until("out again, right after", async () => (await all()) === "Dig,Water,Weed,Sow");
});

test("a phone sees the columns one beside the other", async () => {
  const page = await open("?view=board", { viewport: PHONE, hasTouch: true, isMobile: true });
  await column(page, "To do").waitFor();
  await card(page, "Dig").tap();
  const pane = page.getByRole("complementary", { name: "Task" });
  await pane.getByLabel("Status of Dig").selectOption("done");
  await pane.getByRole("button", { name: "Close the pane" }).tap();
  await order(page, "Done", ["Dig"]);
});
