// The audit trail with its filters and its export; consumers, and what they gave up.
import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { beforeAll, expect, test } from "vitest";
import { standInLetters } from "./support/letters";
import { settled } from "./support/pages";
import { apply, came, PATIENT, run } from "./support/seed";
import { stage } from "./support/stage";
import { until } from "./support/until";

const on = stage("events");
let project = "";
let task = "";
beforeAll(async () => {
  await on.signIn();
  project = (await on.server.api<{ id: string }>("POST", "/projects", { name: "Told of" })).id;
  const task_patches = [{ op: "create", temp_id: "t", project_id: project, body: { title: "Watch this" } }];
  const made = await on.server.api<{ temp_ids: Record<string, string> }>("POST", "/patches", { task_patches });
  task = made.temp_ids.t ?? "";
  await on.server.api("PATCH", `/tasks/${task}`, { title: "Watch that", priority: "high" });
  await apply(on.server, PATIENT);
  await came(on.server, await run(on.server, PATIENT.name), "waiting");
});

const pane = (page: Page) => page.getByRole("complementary", { name: "Event" });
const rows = (page: Page) => page.getByRole("grid", { name: "Events" }).getByRole("row");

test("an event shows what was before and after, its patch set, and keeps its address", async () => {
  const page = await on.owner();
  await page.goto(`/events?subject=task:${task}`);
  await settled(page);
  await page
    .getByRole("row", { name: /task.updated/ })
    .first()
    .click();
  await pane(page).locator("del", { hasText: "Watch this" }).waitFor();
  await pane(page).locator("ins", { hasText: "Watch that" }).waitFor();
  await pane(page).getByRole("button", { name: "Close the pane" }).click();
  await page.getByRole("row", { name: /task.created/ }).click();
  await pane(page).getByRole("link", { name: "undo it in the history" }).waitFor();
  await pane(page).getByRole("region", { name: "Of the same story" }).getByText("patch_set.applied").click();
  await pane(page).getByRole("heading", { name: "patch_set.applied" }).waitFor();
  // By its address alone, and with a list that does not have it.
  const address = new URL(page.url()).pathname;
  await page.goto(`${address}?kinds=run.*`);
  await pane(page).getByRole("heading", { name: "patch_set.applied" }).waitFor();
});

test("the trail is narrowed by actor, kind and time, and turned round", async () => {
  const page = await on.owner();
  await page.goto("/events");
  await settled(page);
  await page.getByLabel("Kind").selectOption({ label: "Work" });
  await until("no run is listed", async () => (await page.getByRole("row", { name: /run\./ }).count()) === 0);
  await rows(page).nth(1).getByText("task.updated").waitFor();
  await page.locator("h1").click();
  await page.keyboard.press("o");
  await rows(page).nth(1).getByText("project.created").waitFor();
  expect(new URL(page.url()).searchParams.get("oldest")).toBe("true");
  await page.getByRole("button", { name: "When" }).click();
  await rows(page).nth(1).getByText("task.updated").waitFor();

  await page.getByLabel("From").fill("2031-01-01T00:00");
  await page.getByLabel("From").press("Enter");
  await page.getByText("No event fits these filters").waitFor();
  await page.getByRole("button", { name: "Show all events" }).click();
  await rows(page).nth(3).waitFor();
  // The owner's key did all this for the owner.
  await page.getByLabel("By", { exact: true }).selectOption({ index: 1 });
  await page
    .getByRole("row", { name: /run.started/ })
    .first()
    .waitFor();
  await page.goto("/events?actor=00000000-0000-7000-8000-000000000001");
  await page.getByText("No event fits these filters").waitFor();
});

test("what fits is written to a file, and what is new is told", async () => {
  const page = await on.owner();
  await page.goto("/events?kinds=task.*");
  await settled(page);
  const before = (await rows(page).count()) - 1;
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Export" }).click(),
  ]);
  const lines = readFileSync(await download.path(), "utf8")
    .trim()
    .split("\n");
  expect(download.suggestedFilename()).toMatch(/^events-.*\.ndjson$/);
  expect(lines.map((line) => JSON.parse(line).kind)).toEqual(expect.arrayContaining(["task.created", "task.updated"]));
  expect(lines).toHaveLength(before);
  await page.getByText(`${before} events were written.`).waitFor();

  await on.server.api("PATCH", `/tasks/${task}`, { priority: "low" });
  await page.getByRole("button", { name: "1 new event" }).waitFor();
  await page.keyboard.press("n");
  await until("it stands on top", async () => (await rows(page).count()) - 1 === before + 1);
});

test("consumers tell how far they are; without one the page says so", async () => {
  const page = await on.owner();
  await page.goto("/consumers");
  await page.getByText("Nothing of this server consumes events").waitFor();
  await page.getByText("Nothing was given up").waitFor();
});

test("dead letters show their cause and event, and are replayed and dropped: one, many, all", async () => {
  const page = await on.owner();
  const letters = await standInLetters(on.server, page, 250);
  const billing = letters.filter((letter) => letter.consumer === "billing").length;
  await page.goto("/");
  await settled(page);
  await page.keyboard.press("g");
  await page.keyboard.press("d");
  await page.waitForURL("**/consumers");
  const list = page.getByRole("grid", { name: "Dead letters" });
  await list.getByRole("row").nth(1).click();
  const letter = page.getByRole("complementary", { name: "Dead letter" });
  await letter.getByText("it is being rebuilt").waitFor();
  await letter.getByRole("figure", { name: "Data" }).waitFor();
  await letter.getByRole("button", { name: "Replay" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("heading", { name: "Replay 1 dead letter?" }).waitFor();
  await dialog.getByRole("button", { name: "Replay it" }).click();
  await page.getByText("1 dead letter handled again soon.").waitFor();
  await letter.getByText("This dead letter is gone").waitFor();
  expect(letters).toHaveLength(249);
  await page.keyboard.press("Escape");

  await list.getByRole("row").nth(1).getByRole("checkbox").click();
  await list
    .getByRole("row")
    .nth(3)
    .getByRole("checkbox")
    .click({ modifiers: ["Shift"] });
  await page.getByRole("button", { name: "Drop 3" }).click();
  await dialog.getByRole("button", { name: "Keep" }).click();
  await page.keyboard.press("Shift+D");
  await dialog.getByRole("button", { name: "Drop them" }).click();
  await page.getByText("3 dead letters dropped.").waitFor();
  expect(letters).toHaveLength(246);

  // All of one consumer, more than one page of them.
  await page.getByRole("button", { name: /^search-index/ }).click();
  await page.getByRole("heading", { name: "Dead letters of search-index" }).waitFor();
  await page.getByRole("button", { name: "Replay all" }).click();
  const left = letters.filter((each) => each.consumer === "search-index").length;
  await dialog.getByRole("heading", { name: `Replay ${left} dead letters?` }).waitFor();
  await dialog.getByRole("button", { name: "Replay them" }).click();
  await page.getByText(`${left} dead letters handled again soon.`).waitFor();
  await page.getByText("Nothing was given up").waitFor();
  expect(letters.length).toBeLessThanOrEqual(billing);
});
