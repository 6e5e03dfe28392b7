// Several runs at once; members, roles and keys; what a form does with what is wrong.
import type { Page } from "playwright-core";
import { beforeAll, expect, test } from "vitest";
import { settled } from "./support/pages";
import { apply, came, PATIENT, run } from "./support/seed";
import { stage } from "./support/stage";
import { until } from "./support/until";

const on = stage("bulk");
beforeAll(async () => {
  await on.signIn();
  await apply(on.server, PATIENT);
});

const region = (page: Page) => page.getByRole("region", { name: "What to do with the chosen runs" });

test("several runs are cancelled, and started again", async () => {
  const ids = await Promise.all([1, 2, 3, 4].map(() => run(on.server, PATIENT.name)));
  for (const id of ids) await came(on.server, id, "waiting");
  const page = await on.owner();
  await page.goto("/runs");
  await settled(page);
  const rows = page.getByRole("grid", { name: "Runs" }).getByRole("row");
  await rows.nth(1).getByRole("checkbox").click();
  await rows
    .nth(3)
    .getByRole("checkbox")
    .click({ modifiers: ["Shift"] });
  await region(page).getByText("3 chosen").waitFor();
  expect(await region(page).getByRole("button", { name: /again/ }).isDisabled(), "none of them has ended").toBe(true);
  await region(page).getByRole("button", { name: "Cancel 3" }).click();
  const asked = page.getByRole("dialog", { name: "Cancel 3 runs?" });
  await asked.getByRole("button", { name: "Keep" }).click();
  await asked.waitFor({ state: "detached" });
  await region(page).getByRole("button", { name: "Cancel 3" }).click();
  await asked.getByRole("button", { name: "Cancel them" }).click();
  await page.getByText("3 runs cancelled.").waitFor();
  await until(
    "three are cancelled in the list",
    async () => (await rows.locator(".status", { hasText: "Cancelled" }).count()) === 3,
  );
  expect(await rows.locator(".status", { hasText: "Waiting" }).count()).toBe(1);

  await page.getByRole("checkbox", { name: "Choose all that are loaded" }).click();
  await region(page).getByText("4 chosen").waitFor();
  // The news of what was done must not lie over the buttons for the next thing.
  await region(page).getByRole("button", { name: "Run 3 again" }).click({ timeout: 3_000 });
  await page.getByRole("dialog").getByRole("button", { name: "Start new runs" }).click();
  await page.getByText("3 runs started again.").waitFor();
  await page.getByRole("button", { name: "3 new runs" }).click();
  await until("four are waiting", async () => (await rows.locator(".status", { hasText: "Waiting" }).count()) === 4);
  await page.getByRole("button", { name: "Cancelled" }).click();
  await until("the filter shows three", async () => (await rows.count()) === 1 + 3);
  await rows.nth(1).getByRole("link").click();
  await page.getByRole("button", { name: "Run again" }).click();
  await page.getByText("Started again with the same input.").waitFor();
  await page.locator(".run-facts").getByText("Waiting").waitFor();
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Cancel the run" }).click();
  await page.locator(".run-facts").getByText("Cancelled").waitFor();
});

test("a run is started by the form of its workflow", async () => {
  on.allow(/status of 4/);
  const page = await on.owner();
  await page.goto("/workflows");
  await page.getByRole("link", { name: `Run ${PATIENT.name}` }).click();
  const pane = page.getByRole("complementary", { name: "Run the workflow" });
  await pane.getByLabel("Input").fill("{ not json");
  await pane.getByRole("button", { name: "Start the run" }).click();
  await pane.getByText("This is no JSON").waitFor();
  await pane.getByLabel("Input").fill('{ "about": "the letter" }');
  await pane.getByRole("button", { name: "Start the run" }).click();
  await page.waitForURL("**/runs/*");
  await page.getByRole("complementary", { name: "The run" }).getByText('"the letter"').waitFor();
});

test("a member is added, gets another role, and is removed", async () => {
  on.allow(/status of 4/);
  const page = await on.owner();
  await page.goto("/settings/members");
  await page.getByRole("button", { name: "Add a member" }).click();
  const form = page.getByRole("dialog", { name: "Add a member" });
  await form.getByLabel("E-mail").fill("ines@example.com");
  await form.getByLabel("Full name").fill("Ines Duarte");
  await form.getByLabel("First password").fill("short");
  await form.getByRole("button", { name: "Add" }).click();
  await form.getByText("Nobody was added").waitFor();
  expect(await form.getByLabel("E-mail").inputValue(), "what was typed stays").toBe("ines@example.com");
  await form.getByLabel("First password").fill("a longer one, this");
  await form.getByLabel("Role").selectOption("viewer");
  await form.getByRole("button", { name: "Add" }).click();
  await page.getByText("ines@example.com is a member now.").waitFor();
  await form.waitFor({ state: "detached" });
  const row = page.getByRole("row", { name: "Ines Duarte" });
  await row.getByLabel("Role of ines@example.com").selectOption("member");
  await page.getByText("The role was changed.").waitFor();
  await until("the role is kept", async () => (await role("ines@example.com")) === "member");

  // She sees the work, and not what is the owner's to manage.
  const hers = await on.stranger();
  await hers.goto("/settings/members");
  await hers.getByLabel("E-mail").fill("ines@example.com");
  await hers.getByLabel("Password").fill("a longer one, this");
  await hers.getByRole("button", { name: "Sign in" }).click();
  await hers.getByRole("row", { name: "Ines Duarte" }).waitFor();
  expect(await hers.getByRole("button", { name: "Add a member" }).count()).toBe(0);
  expect(await hers.getByLabel("Role of ines@example.com").isDisabled()).toBe(true);
  for (const address of ["/", "/runs", "/work", "/settings", "/workflows/follow-up?view=hooks"]) {
    await hers.goto(address);
    await settled(hers);
    expect(await hers.getByRole("alert").count(), `nothing is refused at ${address}`).toBe(0);
  }

  await row.getByRole("button", { name: "Remove ines@example.com" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await page.getByText("Removed from the workspace.").waitFor();
  await row.waitFor({ state: "detached" });
  await hers.goto("/runs");
  await hers.getByText("no workspace", { exact: false }).or(hers.getByText("Sign in")).first().waitFor();
});

async function role(email: string): Promise<string | undefined> {
  const { items } = await on.server.api<{ items: { role: string; user: { email: string } }[] }>("GET", "/members");
  return items.find((member) => member.user.email === email)?.role;
}

test("the last owner stays one", async () => {
  on.allow(/status of 4/);
  const page = await on.owner();
  await page.goto("/settings/members");
  await page.getByLabel("Role of owner@example.com").selectOption("viewer");
  await page.getByText("The role stays as it was.").waitFor();
  expect(await page.getByLabel("Role of owner@example.com").inputValue()).toBe("owner");
});

test("a key is shown once, opens what it should, and nothing after it was revoked", async () => {
  on.allow(/status of 4/);
  const page = await on.owner();
  await page.goto("/settings/keys");
  await page.getByRole("button", { name: "New key" }).click();
  const form = page.getByRole("dialog", { name: "New key" });
  await form.getByLabel("What it is for").fill("Nightly import");
  await form.getByLabel("What it may do").fill("nonsense");
  await form.getByRole("button", { name: "Make the key" }).click();
  await form.getByText("The key was not made").waitFor();
  await form.getByLabel("What it may do").fill("tasks:read, projects:read");
  await form.getByLabel("Until").fill("2031-01-01T00:00");
  await form.getByRole("button", { name: "Make the key" }).click();
  const made = page.getByRole("dialog", { name: "The key “Nightly import”" });
  const secret = await made.locator("code").innerText();
  expect(secret).toMatch(/^syn_/);
  // It must be answered: neither Escape nor a click beside it loses the key.
  await page.keyboard.press("Escape");
  await page.mouse.click(5, 5);
  expect(await made.locator("code").innerText()).toBe(secret);
  const ask = async (path: string) =>
    (await fetch(`${on.server.url}/api/v1${path}`, { headers: { authorization: `Bearer ${secret}` } })).status;
  expect([await ask("/tasks"), await ask("/runs")]).toEqual([200, 403]);
  await made.getByRole("button", { name: "I have kept it" }).click();
  await made.waitFor({ state: "detached" });
  const row = page.getByRole("row", { name: "Nightly import" });
  await row.getByText("tasks:read, projects:read").waitFor();
  await page.reload();
  await row.waitFor();
  expect(await page.getByText(secret).count(), "the key is shown no second time").toBe(0);
  await row.getByRole("button", { name: "Revoke Nightly import" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await page.getByText("The key opens nothing any more.").waitFor();
  expect(await ask("/tasks")).toBe(401);
});

test("workspace and profile are renamed, and keep the name", async () => {
  const page = await on.owner();
  await page.goto("/settings/workspace");
  await page.getByLabel("Name").fill("Ledgerline");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved.").waitFor();
  await page.getByRole("button", { name: "Workspace Ledgerline" }).waitFor();
  await page.getByRole("link", { name: "You", exact: true }).click();
  await page.getByLabel("Full name").fill("Ada Moreau");
  await page.getByLabel("Time zone").selectOption("Europe/Lisbon");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "You: Ada Moreau" }).waitFor();
  await page.reload();
  await page.getByLabel("Full name").waitFor();
  expect(await page.getByLabel("Full name").inputValue()).toBe("Ada Moreau");
  expect(await page.getByLabel("Time zone").inputValue()).toBe("Europe/Lisbon");
});

test("an operation is called by its form", async () => {
  on.allow(/status of 422/);
  const page = await on.owner();
  await page.goto("/operations/projects.create");
  const pane = page.getByRole("complementary", { name: "Operation projects.create" });
  await pane.getByRole("button", { name: "Call" }).click();
  await pane.locator(".wrong").first().waitFor();
  await pane.getByLabel(/^name/).fill("By the form");
  await pane.getByRole("button", { name: "Call" }).click();
  await pane.getByText('"By the form"').waitFor();
  await page.getByRole("link", { name: "Work", exact: true }).click();
  await page.getByRole("link", { name: "By the form" }).waitFor();
});
