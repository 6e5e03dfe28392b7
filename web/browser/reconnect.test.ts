// A server that goes away: the page says so quietly, keeps its place, and catches up by itself.
import { beforeAll, expect, test } from "vitest";
import { settled } from "./support/pages";
import { stage } from "./support/stage";
import { until } from "./support/until";

const on = stage("reconnect");
let project = "";
beforeAll(async () => {
  await on.signIn();
  const made = await on.server.api<{ id: string }>("POST", "/projects", { name: "Through the storm" });
  project = made.id;
  const task_patches = Array.from({ length: 120 }, (_, index) => ({
    op: "create",
    project_id: project,
    body: { title: `Task ${String(index + 1).padStart(3, "0")}` },
  }));
  await on.server.api("POST", "/patches", { task_patches });
});

test("a killed server is told of quietly; afterwards the page catches up without losing its place", async () => {
  on.allow(/WebSocket|ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/);
  const page = await on.owner();
  await page.goto(`/work/${project}`);
  await settled(page);
  const list = page.getByRole("treegrid", { name: "Tasks" });
  await list.evaluate((element) => element.scrollTo({ top: 2000 }));
  const row = page.getByRole("row", { name: "Task 060" });
  await row.waitFor();
  await page.getByLabel("New task", { exact: true }).fill("Typed in the storm");
  const bar = page.getByText("No live connection.");

  await on.server.kill();
  await bar.waitFor();
  await page.getByLabel("New task", { exact: true }).press("Enter");
  await page.getByText("The task was not made.").waitFor();
  expect(await page.getByLabel("New task", { exact: true }).inputValue(), "what was typed").toBe("Typed in the storm");

  await on.server.start();
  // Somebody else was quicker than this page's next try.
  const items = await on.server.api<{ items: { id: string }[] }>("GET", `/tasks?project_id=${project}&text=Task+060`);
  await on.server.api("PATCH", `/tasks/${items.items[0]?.id}`, { title: "Task 060, changed meanwhile" });
  await bar.waitFor({ state: "detached", timeout: 20_000 });
  await page.getByRole("row", { name: "Task 060, changed meanwhile" }).waitFor();
  expect(await list.evaluate((element) => element.scrollTop), "the place in the list").toBe(2000);
  await page.getByLabel("New task", { exact: true }).press("Enter");
  await until("the task was made", async () => {
    const found = await on.server.api<{ items: unknown[] }>("GET", `/tasks?project_id=${project}&text=storm`);
    return found.items.length === 1;
  });
});
