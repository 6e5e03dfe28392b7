// Sessions in several browsers: signing out everywhere, and signing in again where one was.
import type { Page } from "playwright-core";
import { beforeAll, expect, test } from "vitest";
import { settled } from "./support/pages";
import { EMAIL, PASSWORD, stage } from "./support/stage";

const on = stage("sessions");
beforeAll(() => on.signIn());

const menu = async (page: Page, item: string) => {
  await page.getByRole("button", { name: /^You:/ }).click();
  await page.getByRole("menuitem", { name: item, exact: true }).click();
};

test("signing out everywhere ends the other browser, which goes on where it was after signing in again", async () => {
  on.allow(/status of 401/);
  const here = await on.owner();
  await here.goto("/settings");
  const there = await on.stranger();
  await there.goto("/work?text=report");
  await there.waitForURL("**/sign-in?*");
  await there.getByLabel("E-mail").fill(EMAIL);
  await there.getByLabel("Password").fill(PASSWORD);
  await there.getByRole("button", { name: "Sign in" }).click();
  await there.getByRole("heading", { name: "Projects" }).waitFor();
  expect(new URL(there.url()).search).toBe("?text=report");
  await there.getByRole("button", { name: "New project" }).click();
  const form = there.getByRole("dialog", { name: "New project" });
  await form.getByLabel("Name").fill("Half typed");

  await menu(here, "Sign out everywhere");
  await here.getByRole("heading", { name: "Sign in to SynapScale" }).waitFor();
  await form.getByRole("button", { name: "Make the project" }).click();
  const again = there.getByRole("dialog", { name: "Your session ended" });
  await again.getByLabel("Password").fill(PASSWORD);
  expect(await again.getByLabel("E-mail").inputValue()).toBe(EMAIL);
  await again.getByRole("button", { name: "Sign in" }).click();
  await again.waitFor({ state: "detached" });
  expect(await form.getByLabel("Name").inputValue(), "what was typed is still there").toBe("Half typed");
  await form.getByRole("button", { name: "Make the project" }).click();
  await there.getByRole("heading", { name: "Half typed" }).waitFor();
});

test("signing out leaves nothing of the workspace on the page", async () => {
  on.allow(/status of 401/);
  const page = await on.stranger();
  await page.goto("/events");
  await page.getByLabel("E-mail").fill(EMAIL);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Events and audit" }).waitFor();
  await settled(page);
  await menu(page, "Sign out");
  await page.getByRole("heading", { name: "Sign in to SynapScale" }).waitFor();
  await page.goBack();
  await page.getByRole("heading", { name: "Sign in to SynapScale" }).waitFor();
  expect(await page.getByText("project.created").count()).toBe(0);
});
