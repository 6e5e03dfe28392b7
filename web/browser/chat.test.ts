// Models, agents and conversations against a stand-in for a provider: words as they come, tools, questions, branches.
import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ALLOW, addAgent, addBilling, BILLING, OTHER } from "./support/chat";
import { answers, gate, lastWords, MODEL, Model } from "./support/model";
import { settled } from "./support/pages";
import { NEXT_WEEK, planner, SPLIT, WISH } from "./support/planner";
import { apply, came, run, SUMMARY } from "./support/seed";
import { stage } from "./support/stage";
import { until } from "./support/until";

const on = stage("chat", ALLOW);
let model: Model;
let agent = "";
let made = 0;
beforeAll(async () => {
  model = await Model.start();
  await on.signIn();
});
afterAll(() => model?.stop());
beforeEach(() => {
  model.pace = 1;
  model.asked.length = 0;
  model.script = () => ({ text: "Hello there." });
});

interface Task {
  title: string;
  due_date: string | null;
}
const tasksOf = async (project: string) =>
  (await on.server.api<{ items: Task[] }>("GET", `/tasks?project_id=${project}&limit=50`)).items;

const box = (page: Page) => page.getByRole("textbox", { name: /^Say something to/ });
const replies = (page: Page) => page.getByRole("article", { name: /answers$/ });

async function say(page: Page, text: string) {
  await box(page).fill(text);
  await box(page).press("Enter");
}

/** The agent's own page, and from there a conversation that has just begun. */
async function talk(): Promise<Page> {
  agent ||= await addAgent(on.server, { name: "scribe", title: "Scribe" });
  const page = await on.owner();
  await page.goto(`/agents/${agent}`);
  await settled(page);
  await page.getByRole("button", { name: "Start a conversation" }).click();
  await box(page).waitFor();
  return page;
}

test("a provider is added and tested, and a wrong key is told", async () => {
  const page = await on.owner();
  await page.goto("/models");
  await settled(page);
  await page.getByRole("button", { name: "Add a provider" }).click();
  const pane = page.getByRole("complementary", { name: "Add a provider" });
  await pane.getByLabel("Kind").selectOption("openai_compatible");
  await pane.getByLabel("Name").fill("stand-in");
  await pane.getByLabel("Address").fill(model.url);
  await pane.getByLabel(/^Key/).fill("sk-wrong");
  await pane.getByLabel("Default model").fill(MODEL);
  await pane.getByRole("button", { name: "Add and test" }).click();
  const own = page.getByRole("complementary", { name: "stand-in" });
  await own.getByText("It does not answer as it should.").waitFor();
  await own.getByLabel(/^Key/).fill(model.key);
  await own.getByRole("button", { name: "Save" }).click();
  await own.getByText(/^It answers/).waitFor();
  await own.getByText(MODEL, { exact: true }).first().waitFor();
  expect(await page.content(), "the key is never shown").not.toContain(model.key);
  await page.getByRole("link", { name: "Try it" }).click();
  await page.getByLabel("Question").fill("Are you there?");
  await page.getByRole("button", { name: "Ask" }).click();
  await page.getByText("Hello there.").waitFor();
  expect(lastWords(model.asked.at(-1) ?? never())).toBe("Are you there?");
});

function never(): never {
  throw new Error("the model was not asked");
}

test("an agent is made, asks before it changes tasks, and what it did is undone", async () => {
  const project = await addBilling(on.server, "Ledger");
  model.script = planner(project);
  const page = await on.owner();
  await page.goto("/agents");
  await settled(page);
  await page.getByRole("link", { name: "New agent" }).click();
  await page.getByLabel("Title").fill("Task keeper");
  await page.getByLabel("Name").fill("task-keeper");
  await page.getByLabel("Instructions").fill("You look after the team's tasks.");
  await page.getByRole("combobox", { name: "Model" }).fill(`stand-in/${MODEL}`);
  for (const tools of ["tasks.*", "patches.*"]) {
    const finder = page.getByLabel("Search operations");
    await finder.fill(tools);
    await finder.press("Enter");
    await page.getByLabel(`Whether ${tools} asks`).waitFor();
  }
  await page.getByRole("button", { name: "Make the agent" }).click();
  await page.getByText("Task keeper is ready.").waitFor();
  await page.getByRole("button", { name: "Start a conversation" }).click();

  await say(page, WISH);
  await page.getByText("I look at what there is first.").waitFor();
  const asked = page.getByRole("region", { name: "Waits for your decision" });
  await asked.waitFor();
  expect(model.asked.at(-1)?.tools).toEqual(expect.arrayContaining(["tasks_list", "patches_apply"]));
  for (const title of [...BILLING, ...SPLIT]) await asked.getByText(title).first().waitFor();
  expect(await asked.getByText(OTHER).count(), "what is not about billing stays").toBe(0);
  expect((await tasksOf(project)).length, "nothing is done before it is allowed").toBe(BILLING.length + 1);
  await asked.getByRole("button", { name: "Approve" }).click();
  await page.getByText("the first task has three parts now").waitFor();
  await asked.waitFor({ state: "detached" });
  await replies(page).getByText("next week", { exact: true }).waitFor();

  const work = await on.owner();
  await work.goto(`/work/${project}`);
  await settled(work);
  for (const title of SPLIT) await work.getByRole("row", { name: title }).waitFor();
  const due = (await tasksOf(project)).filter((task) => task.due_date?.startsWith(NEXT_WEEK.slice(0, 10)));
  expect(due.map((task) => task.title).toSorted()).toEqual(BILLING.toSorted());

  // Also after a reload, when everything comes from what the server has kept.
  await page.reload();
  const row = page.locator(".tool", { hasText: "patches.apply" });
  await row.getByRole("button", { name: "Undo" }).click();
  await row.getByText("undone").waitFor();
  for (const title of SPLIT) await work.getByRole("row", { name: title }).waitFor({ state: "detached" });
  const before = await tasksOf(project);
  expect(before.map((task) => task.title).toSorted()).toEqual([...BILLING, OTHER].toSorted());
  expect(before.every((task) => task.due_date === null)).toBe(true);
});

test("what is rejected is not done, and the model reads why", async () => {
  const project = await addBilling(on.server, "Rejected");
  model.script = planner(project);
  const page = await talk();
  await say(page, WISH);
  const asked = page.getByRole("region", { name: "Waits for your decision" });
  await asked.getByLabel("Comment").fill("Not before the audit.");
  await asked.getByRole("button", { name: "Reject" }).click();
  await page.getByText("Understood, then I leave everything as it is.").waitFor();
  const told = answers(model.asked.at(-1) ?? never());
  expect(told.at(-1)).toContain("Not before the audit.");
  await replies(page).locator(".tool", { hasText: "patches.apply" }).getByText("rejected").waitFor();
  expect((await tasksOf(project)).length).toBe(BILLING.length + 1);
});

test("a reply that is stopped keeps what it said", async () => {
  const { open, opened } = gate();
  model.script = () => ({ text: "One two three four five six.", pause: { words: 3, until: opened } });
  const page = await talk();
  await say(page, "count");
  await replies(page).getByText("One two three").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Send", exact: true }).waitFor();
  await replies(page).locator(".message-end").waitFor();
  await replies(page).getByText("One two three").waitFor();
  await page.reload();
  await replies(page).getByText("One two three").waitFor();
  expect(await replies(page).innerText()).not.toContain("four");
  await until("the provider is left alone", () => model.left > 0);
  open();
  model.script = () => ({ text: "Yes, we can." });
  await say(page, "can we go on?");
  await replies(page).getByText("Yes, we can.").waitFor();
});

test("who reloads in the middle of a reply sees it all", async () => {
  const { open, opened } = gate();
  model.script = () => ({ text: "The first half, and the second half.", pause: { words: 4, until: opened } });
  const page = await talk();
  await say(page, "both halves");
  await replies(page).getByText("The first half, and").waitFor();
  await page.reload();
  await replies(page).getByText("The first half, and").waitFor();
  await page.getByRole("button", { name: "Stop the reply" }).waitFor();
  open();
  await replies(page).getByText("The first half, and the second half.").waitFor();
  await page.getByRole("button", { name: "Send", exact: true }).waitFor();
  expect(model.asked.length, "it was asked once").toBe(1);
});

test("words that are changed make a branch, and one can go back to the other", async () => {
  model.script = (asked) => ({ text: `You said: ${lastWords(asked)}` });
  const page = await talk();
  await say(page, "apples");
  await page.getByText("You said: apples").waitFor();
  await page.getByRole("button", { name: "Send", exact: true }).waitFor();
  await page.getByRole("article", { name: "Said" }).hover();
  await page.getByRole("button", { name: "Change and send again" }).click();
  const field = page.getByLabel("Change what you said");
  await field.fill("pears");
  await field.press("Enter");
  await page.getByText("You said: pears").waitFor();
  const branches = page.getByRole("group", { name: "Branch 2 of 2" });
  await branches.waitFor();
  expect(await page.getByText("You said: apples").count()).toBe(0);
  expect(model.asked.at(-1)?.messages.some((message) => JSON.stringify(message).includes("apples"))).toBe(false);
  await branches.getByRole("button", { name: "Branch before" }).click();
  await page.getByText("You said: apples").waitFor();
  await page.getByRole("group", { name: "Branch 1 of 2" }).waitFor();
  await page.reload();
  await page.getByText("You said: apples").waitFor();
  await page.getByRole("button", { name: "Answer again" }).click();
  await replies(page).getByRole("group", { name: "Branch 2 of 2" }).waitFor();
  await page.getByText("You said: apples").waitFor();
});

test("a run goes again from its agent, and what the calls took is shown", async () => {
  agent ||= await addAgent(on.server, { name: "scribe", title: "Scribe" });
  model.script = (asked) => ({ text: `Summary ${++made}: ${lastWords(asked).length > 0 ? "all is well" : ""}.` });
  await apply(on.server, SUMMARY);
  const first = await run(on.server, SUMMARY.name);
  await came(on.server, first, "succeeded");
  const page = await on.owner();
  await page.goto(`/runs/${first}?step=sum_up`);
  await settled(page);
  const inspector = page.getByRole("complementary");
  await inspector.getByRole("button", { name: /^Turn 1/ }).waitFor();
  await inspector.getByRole("link", { name: "scribe" }).waitFor();
  await page.getByRole("button", { name: "Re-run from here" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Start the new run" }).click();
  await page.waitForURL((url) => /\/runs\//.test(url.pathname) && !url.pathname.endsWith(first));
  const again = new URL(page.url()).pathname.split("/").at(-1) ?? "";
  await came(on.server, again, "succeeded");
  expect(made, "the model was asked anew").toBe(2);
  const done = await on.server.api<{ output: unknown }>("GET", `/runs/${again}`);
  expect(JSON.stringify(done)).toContain("Summary 2");

  await page.goto("/models/usage?by=model&table=true");
  await settled(page);
  await page
    .getByRole("row", { name: new RegExp(MODEL) })
    .first()
    .waitFor();
  await page.goto("/models");
  await settled(page);
  await page
    .getByRole("row", { name: /stand-in/ })
    .getByText(/^\d+/)
    .first()
    .waitFor();
});
