// Runs in depth: lists, runs inside of runs, rounds of a cycle, resuming, and running again from a step or on another version.
import type { Page } from "playwright-core";
import { beforeAll, expect, test } from "vitest";
import { type Flows, MISSING, ROUNDS, seedFlows } from "./support/flows";
import { settled } from "./support/pages";
import { apply, came } from "./support/seed";
import { stage } from "./support/stage";

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
    .getByText("Resume tries “look” again, with all its tries; the 1 step not reached yet follows.")
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
