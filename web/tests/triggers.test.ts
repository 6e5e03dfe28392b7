import { expect, it } from "vitest";
import { cronWords, inZone } from "@/lib/cron-words";
import { fileChanges } from "@/lib/file-diff";

it.each([
  ["* * * * *", "Every minute"],
  ["*/15 * * * *", "Every 15 minutes"],
  ["0 * * * *", "Every hour, on the hour"],
  ["5,35 * * * *", "Every hour, at :05 and :35"],
  ["0 */6 * * *", "Every 6 hours, on the hour"],
  ["30 9 * * *", "Every day at 09:30"],
  ["30 9 * * MON-FRI", "On working days at 09:30"],
  ["0 8,20 * * 6,0", "On Saturdays and Sundays at 08:00 and 20:00"],
  ["0 8 * * 7", "On Sundays at 08:00"],
  ["0 8 * * mon,thu", "On Mondays and Thursdays at 08:00"],
  ["0 0 1 * *", "On the 1st of each month at 00:00"],
  ["0 12 2,3,11,22 * *", "On the 2nd, 3rd, 11th and 22nd of each month at 12:00"],
  ["15 7 1 JAN,JUL *", "On the 1st of January and July at 07:15"],
  ["0 9-17 * * 1-5", "On working days, every hour from 09 to 17, at :00"],
  ["*/10 8 * * *", "Every 10 minutes of the hour from 08:00"],
])("%s is %s", (cron, words) => expect(cronWords(cron)).toBe(words));

it.each(["0 0 L * *", "0 0 * * 5#2", "@daily", "61 * * * *", "0 0 1 * 1", "", "1-0 * * * *", "*/0 * * * *"])(
  "%s needs more than a sentence",
  (cron) => expect(cronWords(cron)).toBeUndefined(),
);

it("a moment stands as the zone's clock shows it", () => {
  expect(inZone("2026-11-23T08:30:00Z", "Europe/Berlin", "en-GB")).toMatch(/Mon.* 23 Nov.* 09:30/);
  expect(inZone("2026-11-23T08:30:00Z", "Nowhere/Land", "en-GB")).toMatch(/08:30.*UTC/);
});

it("two versions of a file differ by their fields, and node by node", () => {
  const node = { kind: "set@1", with: { n: 1 } };
  const before = { name: "w", title: "One", nodes: { a: node, b: node } };
  const after = { name: "w", title: "Two", nodes: { a: node, b: { ...node, with: { n: 2 } }, c: node } };
  const changes = fileChanges(before, after);
  expect(Object.keys(changes)).toEqual(["title", "node b", "node c"]);
  expect(changes.title).toEqual({ before: "One", after: "Two" });
  expect(changes["node c"]).toEqual({ before: null, after: JSON.stringify(node, null, 2) });
  expect(fileChanges(before, structuredClone(before))).toEqual({});
  expect(fileChanges(null, { name: "w" })).toEqual({ name: { before: null, after: "w" } });
});
