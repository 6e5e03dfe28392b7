// A file of tasks is chosen, looked at, imported, undone; and a project goes out as a file.
import { readFile } from "node:fs/promises";
import { beforeAll, expect, test } from "vitest";
import { settled } from "./support/pages";
import { stage } from "./support/stage";
import { until } from "./support/until";

const on = stage("import");
beforeAll(() => on.signIn());

const TABLE = "What,Project,When\nWater the plants,Garden,2026-04-01\n,Garden,\nMow the lawn,Garden,soon\n";

async function titles(): Promise<string[]> {
  const { items } = await on.server.api<{ items: { title: string }[] }>("GET", "/tasks?limit=200&sort=title");
  return items.map((task) => task.title).filter((title) => TABLE.includes(title));
}

test("a table is mapped, shown with its faults, imported and undone", async () => {
  const page = await on.owner();
  await page.goto("/work");
  await page.getByRole("link", { name: "Import" }).click();
  await settled(page);
  const file = { name: "garden.csv", mimeType: "text/csv", buffer: Buffer.from(TABLE) };
  await page.locator("input[type=file]").setInputFiles(file);
  await page.getByText("No column is known as the title").waitFor();
  await page.getByLabel("What Water the plants").selectOption("title");
  await page.getByText("2 tasks: 2 new").waitFor();
  await page.getByLabel("When 2026-04-01").selectOption("due_date");
  await page.getByText("line 4").first().waitFor();
  await page.getByText("This has no title.").waitFor();
  expect(await titles()).toEqual([]);
  await page.getByRole("button", { name: "Import 2 tasks" }).click();
  await page.getByText("was imported: 2 made, 1 left out").waitFor();
  expect(await titles()).toEqual(["Mow the lawn", "Water the plants"]);
  await page.getByRole("button", { name: "Undo the import" }).click();
  await page.getByText("was undone").waitFor();
  await until("the tasks are gone", async () => (await titles()).length === 0);
});

test("a project goes out as a file", async () => {
  const project = await on.server.api<{ id: string }>("POST", "/projects", { name: "Going out" });
  const body = { title: "=danger" };
  const task_patches = [{ op: "create", project_id: project.id, body }];
  await on.server.api("POST", "/patches", { task_patches });
  const page = await on.owner();
  await page.goto(`/work/${project.id}`);
  await settled(page);
  await page.getByRole("button", { name: "Export" }).click();
  const download = page.waitForEvent("download");
  await page.getByRole("menuitem", { name: "CSV" }).click();
  const file = await download;
  expect(file.suggestedFilename()).toBe("Going-out.csv");
  expect(await readFile((await file.path()) ?? "", "utf8")).toContain("'=danger");
});
