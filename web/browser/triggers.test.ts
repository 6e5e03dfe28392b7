// What starts runs by itself: schedules in words and turns, events, webhooks with their secrets.
import type { Page } from "playwright-core";
import { beforeAll, expect, test } from "vitest";
import { CLOCK } from "./support/flows";
import { settled } from "./support/pages";
import { apply, came, PATIENT } from "./support/seed";
import { stage } from "./support/stage";
import { applyTriage } from "./support/triage";
import { until } from "./support/until";

const on = stage("triggers");
beforeAll(async () => {
  await on.signIn();
  await apply(on.server, CLOCK);
  await applyTriage(on.server);
});

const pane = (page: Page) => page.getByRole("complementary", { name: "Trigger" });

test("a schedule stands in words with its next turns, is fired by hand, and pauses with its workflow", async () => {
  const page = await on.owner();
  await page.goto("/");
  await page.getByRole("link", { name: "Triggers" }).click();
  await page.getByRole("row", { name: /On working days at 09:30/ }).click();
  await pane(page).getByText("Europe/Berlin").waitFor();
  await pane(page).getByText("None for turns more than five minutes late").waitFor();
  await pane(page).locator(".turns li").nth(4).waitFor();
  expect(await pane(page).locator(".turns li").allInnerTexts()).toEqual(Array(5).fill(expect.stringMatching(/09:30/)));

  await page.keyboard.press("f");
  await page.getByText("“mornings” was fired.").waitFor();
  const last = pane(page).getByRole("region", { name: "Last runs" });
  await last.getByText("Succeeded").waitFor();
  await last.getByRole("link", { name: "All" }).click();
  await page.getByRole("grid", { name: "Runs" }).getByRole("link", { name: CLOCK.name }).waitFor();
  await page.goBack();

  await pane(page).getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Pause the workflow" }).click();
  await page.getByText(`${CLOCK.name} is paused.`).waitFor();
  await pane(page).getByText("turns pass without a run").waitFor();
  await page
    .getByRole("row", { name: /On working days/ })
    .getByText("Paused")
    .waitFor();
  expect(await pane(page).getByRole("button", { name: "Fire now" }).count()).toBe(0);
  await page.keyboard.press("p");
  await page.getByText(`${CLOCK.name} takes runs again.`).waitFor();
  await pane(page).getByRole("button", { name: "Fire now" }).waitFor();
});

test("an event trigger shows what it waits for, and its runs as they come", async () => {
  const page = await on.owner();
  await page.goto(`/workflows/${CLOCK.name}?view=triggers`);
  await settled(page);
  const card = page.getByRole("listitem", { name: "Trigger blocked" });
  await card.getByText("task.updated").waitFor();
  await card.getByText("event.changes.status?.after == 'blocked'").waitFor();
  await card.getByText("none yet").waitFor();
  const project = await on.server.api<{ id: string }>("POST", "/projects", { name: "Events" });
  const task = await on.server.api<{ id: string }>("POST", `/projects/${project.id}/tasks`, { title: "Stuck" });
  await on.server.api("PATCH", `/tasks/${task.id}`, { status: "blocked" });
  await card.getByRole("link", { name: "its run" }).click();
  await page.waitForURL("**/runs/*");
  const run = new URL(page.url()).pathname.split("/").at(-1) ?? "";
  await came(on.server, run, "succeeded");
});

test("a webhook's secret is replaced, and told once", async () => {
  const page = await on.owner();
  await page.goto("/triggers?kind=hook");
  await settled(page);
  await page.getByRole("row", { name: /GitHub/ }).click();
  await pane(page).getByText("/hooks/").waitFor();
  await pane(page).getByRole("button", { name: "New secret" }).click();
  await page.getByRole("button", { name: "Make a new secret" }).click();
  const told = page.getByRole("dialog", { name: /The new secret/ });
  const secret = await told.locator(".secret").innerText();
  expect(secret.length).toBeGreaterThan(20);
  await page.keyboard.press("Escape");
  expect(await told.locator(".secret").innerText()).toBe(secret);
  await told.getByRole("button", { name: "I have kept it" }).click();
  await told.waitFor({ state: "detached" });
  await pane(page).getByText("opens it until").waitFor();
  expect(await page.getByText(secret).count()).toBe(0);
});

test("filters stand in the address, and empty lists say what to do", async () => {
  const page = await on.owner();
  await page.goto("/triggers");
  await settled(page);
  const rows = page.getByRole("grid", { name: "Triggers" }).getByRole("row");
  await rows.nth(3).waitFor();
  const all = await rows.count();
  await page.getByLabel("Kind").selectOption("event");
  await until("one of them", async () => (await rows.count()) === 2);
  await page.getByLabel("Workflow, step or words").fill("nothing is called that");
  await page.getByText("No trigger fits these filters").waitFor();
  await page.getByRole("button", { name: "Show all triggers" }).click();
  await until("all again", async () => (await rows.count()) === all);
});

test("two versions of a workflow are compared, field by field and node by node", async () => {
  await apply(on.server, PATIENT);
  const nodes = { ...PATIENT.nodes, pause: { ...PATIENT.nodes.pause, with: { seconds: 60 } } };
  await apply(on.server, { ...PATIENT, title: "Follow up in a minute", nodes } as typeof PATIENT);
  const page = await on.owner();
  await page.goto(`/workflows/${PATIENT.name}?view=versions`);
  await settled(page);
  await page.getByRole("grid", { name: "Versions" }).getByRole("row").nth(1).click();
  const compared = page.getByRole("complementary", { name: "Version 2" });
  await compared.locator("ins", { hasText: "Follow up in a minute" }).waitFor();
  await compared.locator(".removed", { hasText: "3600" }).waitFor();
  await compared.locator(".added", { hasText: "60" }).waitFor();
  await page.reload();
  await compared.getByText("node pause").waitFor();
  await compared.getByRole("button", { name: "Show its graph" }).click();
  await page.locator(".react-flow__node").first().waitFor();
});
