// Runs in depth: lists, runs inside of runs, rounds of a cycle, resuming, and running again from a step or on another version.
import type { Page } from "playwright-core";
import { beforeAll, expect, test } from "vitest";
import { CLOCK, type Flows, ITEM, MISSING, ROUNDS, seedFlows } from "./support/flows";
import { settled } from "./support/pages";
import { apply, came, PATIENT, run } from "./support/seed";
import { stage } from "./support/stage";
import { until } from "./support/until";

const on = stage("flows");
let flows: Flows;
beforeAll(async () => {
  await on.signIn();
  flows = await seedFlows(on.server);
});

const inspector = (page: Page) => page.getByRole("complementary");

test("a list shows how far it is, what failed first, and leads to each of its runs and back", async () => {
  const page = await on.owner();
  await page.goto(`/runs/${flows.list}?step=each`);
  await settled(page);
  const pane = inspector(page);
  expect(await page.locator(".react-flow__edge-path").count(), "edges between three steps").toBe(2);
  await pane.getByText("60 of 60").waitFor();
  await pane.getByText("3 failed").first().waitFor();
  const rows = pane.locator(".item-row");
  expect(await rows.count(), "one page").toBe(50);
  expect(await rows.nth(0).innerText()).toMatch(/Item 7[\s\S]*Invoice 7 is off by one cent/);
  expect(await rows.nth(3).innerText()).toMatch(/Item 0/);
  await pane.getByRole("button", { name: "Next page" }).click();
  await pane.getByText("51–60 of 60").waitFor();
  expect(await rows.count()).toBe(10);
  await pane.getByLabel("Which items").selectOption("failed");
  await pane.getByText("Item 47").waitFor();
  expect(await rows.count()).toBe(3);

  await pane.getByRole("link", { name: "The run of item 27" }).click();
  await page.waitForURL((url) => !url.pathname.endsWith(flows.list));
  await page.getByRole("region", { name: "What failed" }).getByText("Invoice 27 is off by one cent.").first().waitFor();
  await page.getByRole("link", { name: "part of another run" }).click();
  await page.waitForURL(`**/runs/${flows.list}?step=each`);

  // On the time line so many stand folded.
  const line = page.getByRole("region", { name: "Time line" });
  const fold = line.getByRole("button", { name: "What each did" });
  expect(await fold.getAttribute("aria-expanded")).toBe("false");
  await fold.click();
  await line.getByRole("button", { name: /Item 59/ }).waitFor();
});

test("a run inside of a run is one click away in both directions, and `u` goes up", async () => {
  const page = await on.owner();
  await page.goto(`/runs/${flows.outer}?step=invoices`);
  await settled(page);
  await inspector(page)
    .getByRole("link", { name: /check-invoices/ })
    .click();
  await page.waitForURL((url) => !url.pathname.endsWith(flows.outer));
  await page.getByRole("link", { name: "part of another run" }).waitFor();
  await page
    .getByRole("navigation", { name: /trail|breadcrumb|where/i })
    .getByText("month-end")
    .waitFor();
  await page.keyboard.press("u");
  await page.waitForURL(`**/runs/${flows.outer}*`);
});

test("each round of a cycle can be looked at", async () => {
  const page = await on.owner();
  await page.goto(`/runs/${flows.rounds}?step=count`);
  await settled(page);
  const pane = inspector(page);
  const round = pane.getByLabel("Round", { exact: true });
  await pane.getByText("of 5").waitFor();
  expect(await round.inputValue()).toBe("5");
  await pane.getByRole("figure", { name: "Output" }).getByText("5").waitFor();
  await pane.getByRole("button", { name: "Round before" }).click();
  await pane.getByRole("figure", { name: "Output" }).getByText("4").waitFor();
  expect(new URL(page.url()).searchParams.get("path")).toMatch(/4/);
  await round.blur();
  await page.locator("h1").click();
  await page.keyboard.press("[");
  await pane.getByRole("figure", { name: "Output" }).getByText("3").waitFor();
  await pane.getByRole("tab", { name: "Tries" }).click();
  await pane.locator(".tries").getByText("Succeeded").waitFor();
  await page.reload();
  await settled(page);
  expect(await round.inputValue(), "the round is in the address").toBe("3");
});

test("a paused run says why, and goes on", async () => {
  const page = await on.owner();
  await page.goto(`/runs/${flows.paused}`);
  await settled(page);
  const banner = page.getByRole("region", { name: "What failed" });
  await banner
    .getByText("Resume tries “look” again, with all its tries; the one step not reached yet follows.")
    .waitFor();
  await apply(on.server, MISSING);
  await banner.getByRole("button", { name: "Resume" }).click();
  await page.getByText("The run goes on.").waitFor();
  await page.locator(".run-facts").getByText("Succeeded").waitFor();
  await banner.waitFor({ state: "detached" });
});

test("a run goes again from a step, and a version that differs is refused in words", async () => {
  on.allow(/status of 409/);
  await apply(on.server, {
    ...ROUNDS,
    nodes: {
      ...ROUNDS.nodes,
      begin: { kind: "set@1", after: "start", with: { ready: true } },
      head: { ...ROUNDS.nodes.head, after: ["begin", "more.true"] },
    },
  } as typeof ROUNDS);
  const page = await on.owner();
  await page.goto(`/runs/${flows.rounds}?step=end`);
  await settled(page);
  await inspector(page).getByRole("button", { name: "Re-run from here" }).click();
  const dialog = page.getByRole("dialog", { name: "Run again" });
  expect(await dialog.getByLabel("From").inputValue()).toBe("end");
  await dialog.getByText("count, head, more").waitFor();
  await dialog.getByLabel("On version").selectOption("2");
  await dialog.getByRole("button", { name: "Start the new run" }).click();
  await dialog.getByText("The two versions differ before this step").waitFor();
  await dialog
    .getByText("`begin` before `end`", { exact: false })
    .or(dialog.getByText("would not have run", { exact: false }))
    .waitFor();
  await dialog.getByRole("button", { name: "Take this run’s version" }).click();
  await dialog.getByRole("button", { name: "Start the new run" }).click();
  await page.waitForURL((url) => /\/runs\//.test(url.pathname) && !url.pathname.endsWith(flows.rounds));
  const again = new URL(page.url()).pathname.split("/").at(-1) ?? "";
  await came(on.server, again, "succeeded");
  await page.locator(".run-facts").getByText("version 1").waitFor();
  await dialog.waitFor({ state: "detached" });

  // By the keyboard: the whole run on the current version.
  await page.keyboard.press("r");
  await dialog.getByLabel("On version").selectOption("2");
  await dialog.getByLabel("From").press("Enter");
  await dialog.getByRole("button", { name: "Start the new run" }).click();
  await page.locator(".run-facts").getByText("version 2").waitFor();
});

test("the list has no runs inside of runs unless one asks, and takes several statuses, a text and a trigger", async () => {
  const page = await on.owner();
  await page.goto("/runs");
  await settled(page);
  const grid = page.getByRole("grid", { name: "Runs" });
  const links = (name: string) => grid.getByRole("link", { name, exact: true });
  await links("check-invoices").first().waitFor();
  expect(await links("check-invoice").count(), "runs of items").toBe(0);
  await page.getByLabel("Runs inside of runs too").check();
  await links("check-invoice").first().waitFor();
  await page.getByLabel("Id, workflow or error").fill("off by one cent");
  await until("those with the error", async () => (await links("check-invoice").count()) === 3);
  expect(await grid.getByText("Succeeded").count()).toBe(0);
  await page.getByLabel("Id, workflow or error").fill(flows.list);
  await until("the run of that id", async () => (await grid.getByRole("link").count()) === 1);
  await page.getByLabel("Id, workflow or error").fill("nothing is called that");
  await page.getByText("No run fits these filters").waitFor();
  await page.getByRole("button", { name: "Show all runs" }).click();
  await links("check-invoice").first().waitFor();

  // Two statuses are one list, the newest first.
  await page.getByRole("button", { name: "Failed" }).click();
  await page.getByRole("button", { name: "Succeeded" }).click();
  await until(
    "both",
    async () => (await grid.getByText("Failed").count()) > 0 && (await grid.getByText("Succeeded").count()) > 0,
  );
  expect(new URL(page.url()).searchParams.get("status")).toBe("failed,succeeded");
  await page.getByLabel("Since", { exact: true }).selectOption("1h");
  await page.reload();
  await settled(page);
  await links("check-invoice").first().waitFor();
  expect(await page.getByRole("button", { name: "Failed" }).getAttribute("aria-pressed")).toBe("true");
});

test("all that fit are counted, run again and cancelled, with how far it is", async () => {
  await apply(on.server, PATIENT);
  const count = 120;
  await Promise.all(Array.from({ length: count }, () => run(on.server, PATIENT.name)));
  const page = await on.owner();
  await page.goto(`/runs?workflow=${PATIENT.name}`);
  await settled(page);
  const bulk = page.getByRole("region", { name: "What to do with the chosen runs" });
  await page.getByRole("row").nth(1).getByRole("checkbox").click();
  await page.keyboard.press("Shift+X");
  await bulk.getByText(`${count} that fit`).waitFor();
  expect(await bulk.getByRole("button", { name: /again/ }).isDisabled(), "none of them has ended").toBe(true);
  await page.keyboard.press("c");
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("heading", { name: `Cancel ${count} runs?` }).waitFor();
  await dialog.getByLabel("Reason").fill("Not needed");
  await dialog.getByRole("button", { name: "Cancel them" }).click();
  await page.getByText(`${count} runs cancelled.`).waitFor({ timeout: 30_000 });
  await bulk.waitFor({ state: "detached" });
  await until("all of them have ended", async () => {
    const path = `/runs?workflow=${PATIENT.name}&limit=200`;
    const { items } = await on.server.api<{ items: { status: string }[] }>("GET", path);
    return items.length === count && items.every((item) => item.status === "cancelled");
  });

  await page.getByRole("row").nth(1).getByRole("checkbox").click();
  await bulk.getByRole("button", { name: "Run 1 again" }).click();
  await dialog.getByLabel("On version").selectOption("latest");
  await dialog.getByRole("button", { name: "Start new runs" }).click();
  await page.getByText("1 run started again.").waitFor();
  await page.getByRole("button", { name: "1 new run" }).waitFor();
  await page.keyboard.press("n");
  await page.getByRole("row").nth(1).getByText("Waiting").waitFor();
});

test("home tells what failed in the last day and what comes next, one click away", async () => {
  await apply(on.server, CLOCK);
  const page = await on.owner();
  await page.goto("/");
  await settled(page);
  // Runs inside of runs are their callers' business.
  await page.getByRole("region", { name: "Failed in the last day" }).getByText("Nothing failed").waitFor();
  await came(on.server, await run(on.server, ITEM.name, { n: 1, fails: true }), "failed");
  const failed = page.getByRole("region", { name: "Failed in the last day" });
  await failed.getByText("Invoice 1 is off by one cent.").waitFor();
  const next = page.getByRole("region", { name: "Next by the clock" });
  await next.getByText("On working days at 09:30").waitFor();
  await page.keyboard.press("f");
  await page.waitForURL("**/runs?*");
  await page.getByRole("grid", { name: "Runs" }).getByRole("link", { name: ITEM.name }).click();
  await page.getByRole("region", { name: "What failed" }).waitFor();
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").fill("next turns");
  await page.keyboard.press("Enter");
  await page.getByRole("row", { name: /On working days/ }).waitFor();
});
