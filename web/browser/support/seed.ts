// A workspace as a small team would have it: projects, tasks, people, workflows, runs of every kind.
import { seedChats } from "./chat";
import { type Flows, seedFlows } from "./flows";
import type { Model } from "./model";
import type { Server } from "./server";
import { applyTriage, deliver } from "./triage";
import { until } from "./until";

interface Seeded {
  project: string;
  task: string;
  opened: string;
  waiting: string;
  failed: string;
  approval: string;
  /** Another one-time link of the owner's. */
  link: string;
  agent: string;
  /** The paths of conversations. */
  chats: { done: string; asks: string; failed: string; empty: string };
  provider: string;
  /** A run with an agent in it. */
  summed: string;
  /** Runs with lists, rounds and runs inside, and one that is paused. */
  flows: Flows;
}

export type { Seeded };

type Row = { id: string };
type Started = { run_id: string };

const PROJECTS = [
  { name: "reports-web", status: "active", priority: "high", description: "The reports that customers see and export" },
  {
    name: "billing",
    status: "active",
    priority: "critical",
    description: "Invoices, dunning, and the ledger's export",
  },
  { name: "mobile-app", status: "planning", priority: "medium", description: "Approvals and receipts on the phone" },
  { name: "office-move", status: "on_hold", priority: "low", description: "Everything about the new rooms" },
];

const TASKS: {
  title: string;
  status?: string;
  priority?: string;
  assignee?: string;
  tags?: string[];
  below?: string[];
}[] = [
  {
    title: "Exports that do not time out",
    status: "in_progress",
    priority: "high",
    assignee: "Ines",
    tags: ["export"],
    below: [
      "Stream the CSV instead of building it in memory",
      "Show how far an export is",
      "Keep finished exports for a week",
    ],
  },
  {
    title: "Accessible charts",
    priority: "medium",
    assignee: "Tomas",
    tags: ["a11y"],
    below: ["A table behind every chart", "Patterns beside colours", "Check with a screen reader"],
  },
  { title: "Quarterly report opens on the wrong quarter", status: "blocked", priority: "critical", tags: ["bug"] },
  { title: "Let people pin a report", status: "todo", priority: "low", assignee: "Ada" },
  { title: "Drop the old PDF renderer", status: "done", priority: "medium", assignee: "Tomas", tags: ["cleanup"] },
  { title: "Write down how totals are rounded", status: "todo", priority: "medium", tags: ["documentation"] },
];

const WEEKLY = {
  name: "weekly-report",
  title: "Weekly report",
  description: "Counts what was done, and asks before it goes to everybody.",
  input: {
    type: "object",
    required: ["week", "audience"],
    properties: {
      week: { type: "integer", minimum: 1, maximum: 53, description: "The week of the year." },
      audience: { type: "string", enum: ["team", "customers"], description: "Who gets it." },
      note: { type: "string", description: "A sentence to begin with." },
    },
  },
  nodes: {
    start: { kind: "trigger.manual@1" },
    done: {
      kind: "operation@1",
      after: "start",
      with: { operation: "tasks.list", input: { status: ["done"], limit: 50 } },
    },
    blocked: {
      kind: "operation@1",
      after: "start",
      with: { operation: "tasks.list", input: { status: ["blocked"], limit: 50 } },
    },
    report: {
      kind: "set@1",
      after: ["done", "blocked"],
      with: {
        week: "{{ input.week }}",
        done: "{{ map(nodes.done.output.items, task => task.title) }}",
        blocked: "{{ map(nodes.blocked.output.items, task => task.title) }}",
      },
    },
    for_customers: { kind: "if@1", after: "report", with: { when: "{{ input.audience == 'customers' }}" } },
    ask: {
      kind: "approval@1",
      after: "for_customers.true",
      with: { title: "Send week {{ input.week }} to the customers?", detail: "{{ nodes.report.output }}" },
    },
    sent: { kind: "set@1", after: ["ask.approved", "for_customers.false"], with: { to: "{{ input.audience }}" } },
  },
};

const INVOICES = {
  name: "sync-invoices",
  title: "Take over invoices",
  description: "Reads the ledger's export and makes a task for each invoice that does not add up.",
  nodes: {
    start: { kind: "trigger.manual@1" },
    rows: { kind: "set@1", after: "start", with: { rows: "{{ input.rows }}" } },
    totals: {
      kind: "set@1",
      after: "rows",
      with: { total: "{{ sum(map(nodes.rows.output.rows, row => row.amount)) }}" },
    },
    done: { kind: "set@1", after: "totals", with: { total: "{{ nodes.totals.output.total }}" } },
  },
};

/** Waits so long that a test finds it waiting. */
export const PATIENT = {
  name: "follow-up",
  title: "Follow up in an hour",
  description: "Waits an hour, then reminds of what is still open.",
  nodes: {
    start: { kind: "trigger.manual@1" },
    pause: { kind: "wait@1", after: "start", with: { seconds: 3600 } },
    remind: { kind: "set@1", after: "pause", with: { reminded: true } },
  },
};

/** An agent among the nodes of a workflow. */
export const SUMMARY = {
  name: "daily-summary",
  title: "Daily summary",
  description: "Reads what is open, and has it summed up.",
  nodes: {
    start: { kind: "trigger.manual@1" },
    open: { kind: "operation@1", after: "start", with: { operation: "tasks.list", input: { limit: 5 } } },
    sum_up: {
      kind: "agent@1",
      after: "open",
      with: { agent: "scribe", input: "Sum up the tasks.", data: "{{ nodes.open.output.items }}" },
    },
    done: { kind: "set@1", after: "sum_up", with: { text: "{{ nodes.sum_up.output.text }}" } },
  },
};

export async function apply(server: Server, file: { name: string }) {
  await server.api("PUT", `/workflows/${file.name}`, { file });
}

export async function run(server: Server, name: string, input: unknown = {}): Promise<string> {
  return (await server.api<Started>("POST", `/workflows/${name}/runs`, { input })).run_id;
}

/** Waits until a run has come to a state. */
export async function came(server: Server, id: string, ...states: string[]) {
  const there = async () => states.includes((await server.api<{ status: string }>("GET", `/runs/${id}`)).status);
  await until(`run ${id} is ${states.join(" or ")}`, there, 20_000);
}

async function people(server: Server) {
  await server.api("PATCH", "/workspace", { name: "Ledgerline" });
  await server.api("PATCH", "/me", { full_name: "Ada Moreau" });
  for (const [email, full_name, role] of [
    ["ines@ledgerline.example", "Ines Duarte", "admin"],
    ["tomas@ledgerline.example", "Tomas Novak", "member"],
    ["li@ledgerline.example", "Li Wen", "viewer"],
  ]) {
    await server.api("POST", "/members", { email, full_name, role });
  }
  await server.api("POST", "/keys", { name: "The build server", scopes: ["tasks:read", "workflows:run"] });
}

async function work(server: Server): Promise<{ project: string; task: string }> {
  const ids: string[] = [];
  for (const body of PROJECTS) ids.push((await server.api<Row>("POST", "/projects", body)).id);
  const [project = ""] = ids;
  const due = new Date(Date.now() + 3 * 86_400_000).toISOString();
  const task_patches = TASKS.flatMap(({ below = [], ...body }, index) => [
    {
      op: "create",
      temp_id: `t${index}`,
      project_id: project,
      body: { ...body, estimated_minutes: 60 * (index + 1), due_date: index % 2 ? null : due },
    },
    ...below.map((title, at) => ({
      op: "create",
      temp_id: `t${index}-${at}`,
      parent_id: `temp:t${index}`,
      body: { title, status: at === 0 ? "done" : "todo", estimated_minutes: 90 },
    })),
  ]);
  const made = await server.api<{ temp_ids: Record<string, string> }>("POST", "/patches", { task_patches });
  const task = made.temp_ids.t0 ?? "";
  await lived(server, task, made.temp_ids);
  return { project, task };
}

/** What stands beside a task that people work on. */
async function lived(server: Server, task: string, ids: Record<string, string>) {
  const description = "People give up when an export takes **more than a minute**.\n\n- stream it\n- say how far it is";
  await server.api("PATCH", `/tasks/${task}`, {
    description,
    scheduled_date: new Date().toISOString(),
    recurrence: { every: 2, unit: "week", weekdays: ["mon", "thu"] },
  });
  await server.api("POST", `/tasks/${task}/blockers`, { blocker_id: ids.t5 });
  await server.api("POST", `/tasks/${ids.t3}/blockers`, { blocker_id: task });
  await server.api("POST", `/tasks/${task}/comments`, { body: "The biggest one has `4.2 million` rows." });
  await server.api("POST", `/tasks/${task}/comments`, { body: "Then a *progress bar* is not enough: send a mail." });
  await server.api("POST", `/tasks/${task}/time`, { minutes: 95, note: "Measured where the time goes" });
  await server.api("POST", `/tasks/${ids["t0-1"]}/time`, { minutes: 40 });
  await server.api("POST", "/filters", { name: "Bugs", filter: { tag: "bug" }, shared: true });
  await server.api("POST", "/filters", { name: "What is late", filter: { due: "overdue" } });
  const gone = await server.api<Row>("POST", "/projects", { name: "The old website" });
  await server.api("POST", `/projects/${gone.id}/tasks`, { title: "Take it down" });
  await server.api("DELETE", `/projects/${gone.id}`);
}

export async function seed(server: Server, model: Model): Promise<Seeded> {
  await people(server);
  const { project, task } = await work(server);
  const hook = await applyTriage(server);
  for (const file of [WEEKLY, INVOICES, PATIENT]) await apply(server, file);

  const opened = await deliver(server, hook, "opened");
  await deliver(server, hook, "duplicate");
  for (const [number, title] of [
    [418, "Totals differ from the ledger by one cent"],
    [421, "Dark mode: axis labels cannot be read"],
    [425, "Export button missing for read-only members"],
  ] as const) {
    await deliver(server, hook, "opened", { number, title, labels: [{ name: "bug" }] });
  }
  await run(server, "weekly-report", { week: 46, audience: "team" });
  const failed = await run(server, "sync-invoices", { rows: [{ amount: 1200 }, { amount: "12,50" }] });
  await came(server, failed, "failed");
  await run(server, "follow-up");
  const customers = await run(server, "weekly-report", { week: 47, audience: "customers" });
  await deliver(server, hook, "edited");
  const { run: waiting } = await deliver(server, hook, "closed");
  await came(server, waiting, "waiting");
  await came(server, customers, "waiting");
  const talks = await seedChats(server, model);
  await apply(server, SUMMARY);
  const summed = await run(server, SUMMARY.name);
  await came(server, summed, "succeeded");
  const flows = await seedFlows(server);
  const { items } = await server.api<{ items: Row[] }>("GET", `/approvals?run_id=${waiting}`);
  const { url: link } = JSON.parse(server.command("admin", "owner-link", "--json")) as { url: string };
  const address = link.replace(/^https?:\/\/[^/]+/, "");
  return {
    project,
    task,
    opened: opened.run,
    waiting,
    failed,
    approval: items[0]?.id ?? "",
    link: address,
    summed,
    flows,
    ...talks,
  };
}
