// The first owner's way in, and the main job as they see it: an issue arrives, a person decides, everything can be undone.
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { EMAIL, PASSWORD, stage } from "./support/stage";
import { applyTriage, deliver } from "./support/triage";
import { until } from "./support/until";

const on = stage("owner");
/** Said by the browser itself when the page asks who is signed in, and nobody is. */
const NOBODY = /status of 401/;
const TITLE = "CSV export times out for reports over 50,000 rows";

test("the one-time link lets the first owner in, and only once", async () => {
  on.allow(NOBODY, /status of 410/);
  const page = await on.stranger();
  await page.goto(on.server.link);
  await page.getByRole("heading", { name: "Welcome to main" }).waitFor();
  expect(page.url(), "the secret leaves the address bar at once").not.toContain("owner=");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByLabel("The same again").fill("another one than that");
  await page.getByText("The two are not the same.").waitFor();
  await page.getByLabel("The same again").fill(PASSWORD);
  await page.getByRole("button", { name: "Set password and go in" }).click();
  await page.getByRole("heading", { name: `Hello, ${EMAIL}` }).waitFor();
  await page.getByText("Nothing has happened here yet").waitFor();

  const late = await on.stranger();
  await late.goto(on.server.link);
  await late.getByRole("heading", { name: "This link no longer opens anything" }).waitFor();
  await late.getByText("synapscale admin owner-link").waitFor();
  await late.getByRole("link", { name: "Sign in instead" }).click();
  await signIn(late, "a wrong password, surely");
  await late.getByText("E-mail and password do not belong together.").waitFor();
  await signIn(late, PASSWORD);
  await late.getByRole("heading", { name: `Hello, ${EMAIL}` }).waitFor();
});

async function signIn(page: Page, password: string) {
  await page.getByLabel("E-mail").fill(EMAIL);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

test("an issue becomes a task, a person agrees to delete it, and it is brought back", async () => {
  on.allow(NOBODY);
  const page = await on.stranger();
  await page.goto("/runs");
  await signIn(page, PASSWORD);
  await page.getByRole("heading", { name: "Runs" }).waitFor();
  await page.getByText("Nothing has run yet").waitFor();
  // What is on the page from here on came without a reload.
  await page.evaluate(() => Object.assign(globalThis, { here: true }));

  const hook = await applyTriage(on.server);
  const runs = page.getByRole("grid", { name: "Runs" });
  const first = runs.getByRole("row").filter({ has: page.getByRole("link", { name: "issue-triage" }) });
  await first.getByText("Succeeded").waitFor();
  expect((await deliver(on.server, hook, "opened")).body.outcome).toBe("new");
  await page.getByRole("button", { name: "1 new run" }).click();
  await until("both runs stand in the list", async () => (await runs.getByRole("link").count()) === 2);
  await page.getByRole("link", { name: "Work", exact: true }).click();
  await page.getByRole("link", { name: "reports-web" }).click();
  await page.getByRole("row", { name: TITLE }).waitFor();

  await page.getByRole("link", { name: "Home" }).click();
  const waits = page.getByRole("region", { name: "Waits for you" });
  await waits.getByText("Nothing waits for a decision.").waitFor();
  const { run } = await deliver(on.server, hook, "closed");
  await waits.getByRole("link", { name: "Delete the task" }).click();
  const pane = page.getByRole("complementary", { name: "Approval" });
  await pane.getByText(`Delete task ${TITLE}`).waitFor();
  await pane.getByRole("link", { name: "Step ask" }).click();
  await page.waitForURL(`**/runs/${run}?*`);

  const banner = page.getByRole("region", { name: "Waits for a decision" });
  await banner.getByText(`Delete task ${TITLE}`).waitFor();
  const line = page.getByRole("region", { name: "Time line" });
  await line.getByRole("button", { name: "Waiting ask" }).waitFor();
  await page.locator(".step.is-waiting").getByText("ask", { exact: true }).waitFor();
  await banner.getByLabel("Comment").fill("It was fixed last week.");
  await banner.getByRole("button", { name: "Approve" }).click();
  await line.getByRole("button", { name: /^Succeeded delete/ }).waitFor();
  await page.locator(".run-facts").getByText("Succeeded").waitFor();
  await page.locator(".step.is-succeeded").getByText("ask", { exact: true }).waitFor();
  await banner.waitFor({ state: "detached" });
  await page.getByRole("complementary", { name: "Step ask" }).getByText("It was fixed last week.").waitFor();

  await page.getByRole("link", { name: "Work", exact: true }).click();
  await page.getByRole("link", { name: "reports-web" }).click();
  await page.getByText("No task yet").waitFor();
  await page.getByRole("link", { name: "History" }).click();
  await page.getByRole("row", { name: "1 task deleted" }).click();
  await page.getByRole("complementary", { name: "Patch set" }).getByRole("button", { name: "Undo" }).click();
  await page.getByText("Undone", { exact: true }).waitFor();
  await page.goBack();
  await page.getByRole("row", { name: TITLE }).waitFor();
  expect(await page.evaluate(() => "here" in globalThis), "the page was never loaded again").toBe(true);
});
