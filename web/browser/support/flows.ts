// Workflows that go round, work through lists, call one another, and stop for somebody to look at them.
import { apply, came, run } from "./seed";
import type { Server } from "./server";

const start = { kind: "trigger.manual@1" };

/** Fails for odd numbers that are told to. */
export const ITEM = {
  name: "check-invoice",
  title: "Check an invoice",
  description: "Looks whether one invoice adds up.",
  nodes: {
    start,
    odd: { kind: "if@1", after: "start", with: { when: "{{ input.fails }}" } },
    stop: {
      kind: "fail@1",
      after: "odd.true",
      with: { code: "does_not_add_up", message: "Invoice {{ input.n }} is off by one cent." },
    },
    fine: { kind: "set@1", after: "odd.false", with: { n: "{{ input.n }}" } },
  },
};

/** Runs another workflow for each of sixty items. */
export const LIST = {
  name: "check-invoices",
  title: "Check all invoices",
  description: "Checks each invoice of the month, and collects those that do not add up.",
  nodes: {
    start,
    each: {
      kind: "foreach@1",
      after: "start",
      with: {
        items: "{{ range(0, input.count) }}",
        workflow: ITEM.name,
        input: { n: "{{ item }}", fails: "{{ item % 20 == 7 }}" },
        on_item_error: "collect",
      },
    },
    sum: { kind: "set@1", after: "each", with: { failed: "{{ nodes.each.output.failed }}" } },
  },
};

/** Runs another workflow once. */
export const OUTER = {
  name: "month-end",
  title: "End of the month",
  nodes: {
    start,
    invoices: { kind: "workflow@1", after: "start", with: { workflow: LIST.name, input: { count: 2 } } },
    done: { kind: "set@1", after: "invoices", with: { failed: "{{ nodes.invoices.output.failed }}" } },
  },
};

/** Counts to a number, round by round. */
export const ROUNDS = {
  name: "count-up",
  title: "Count up",
  nodes: {
    start,
    head: { kind: "merge@1", after: ["start", "more.true"], join: "any", with: { max_iterations: 20 } },
    count: { kind: "set@1", after: "head", with: { n: "{{ (nodes.count?.output.n ?? 0) + 1 }}" } },
    more: { kind: "if@1", after: "count", with: { when: "{{ nodes.count.output.n < input.to }}" } },
    end: { kind: "set@1", after: "more.false", with: { reached: "{{ nodes.count.output.n }}" } },
  },
};

/** What `HALTS` looks for. */
export const MISSING = { name: "not-there-yet", nodes: { start } };

/** Is paused until the workflow that it looks for is there. */
export const HALTS = {
  name: "nightly-import",
  title: "Nightly import",
  description: "Takes over what came in during the day.",
  nodes: {
    start,
    prepare: { kind: "set@1", after: "start", with: { ready: true } },
    look: {
      kind: "operation@1",
      after: "prepare",
      with: { operation: "workflows.get", input: { name: MISSING.name } },
      // biome-ignore lint/suspicious/noThenProperty: so it is called in the file of a workflow.
      retry: { max_attempts: 1, then: "pause" },
    },
    end: { kind: "set@1", after: "look", with: { found: true } },
  },
};

/** Starts by the clock, and by what happens to tasks. */
export const CLOCK = {
  name: "morning-round",
  title: "Morning round",
  description: "Looks at what is open, on working days and whenever a task is blocked.",
  nodes: {
    mornings: {
      kind: "trigger.schedule@1",
      with: { cron: "30 9 * * MON-FRI", timezone: "Europe/Berlin", missed: "skip" },
    },
    blocked: {
      kind: "trigger.event@1",
      with: { kinds: ["task.updated"], filter: "event.changes.status?.after == 'blocked'" },
    },
    look: { kind: "set@1", after: ["mornings", "blocked"], join: "any", with: { looked: true } },
  },
};

export interface Flows {
  list: string;
  outer: string;
  rounds: string;
  paused: string;
}

/** One run of each. */
export async function seedFlows(server: Server, count = 60): Promise<Flows> {
  for (const file of [ITEM, LIST, OUTER, ROUNDS, HALTS, CLOCK]) await apply(server, file);
  const list = await run(server, LIST.name, { count });
  const outer = await run(server, OUTER.name);
  const rounds = await run(server, ROUNDS.name, { to: 5 });
  const paused = await run(server, HALTS.name);
  await apply(server, { ...HALTS, title: "Nightly import, with a check" } as typeof HALTS);
  for (const id of [list, outer, rounds]) await came(server, id, "succeeded");
  await came(server, paused, "paused");
  return { list, outer, rounds, paused };
}
