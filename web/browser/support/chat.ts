// What tests of conversations begin with: a provider that is the stand-in, an agent that plans, a project about billing.
import { MODEL, type Model } from "./model";
import { planner, WISH } from "./planner";
import type { Server } from "./server";
import { until } from "./until";

export const AGENT = {
  name: "task-keeper",
  title: "Task keeper",
  description: "Looks after the team's tasks, and asks before it changes one.",
  spec: {
    model: `stand-in/${MODEL}`,
    instructions: "You look after the team's tasks. Say what you are going to do, and do it in one patch set.",
    tools: [{ name: "tasks.*" }, { name: "patches.*" }],
  },
};

/** The server calls models of this machine only when it is told that it may. */
export const ALLOW = { SYNAPSCALE_LLM_ALLOW: "127.0.0.1" };

export async function addProvider(server: Server, model: Model) {
  await server.api("POST", "/models/providers", {
    preset: "openai_compatible",
    name: "stand-in",
    base_url: model.url,
    key: model.key,
    settings: { default_model: MODEL },
  });
}

export async function addAgent(server: Server, fields: object = {}): Promise<string> {
  return (await server.api<{ id: string }>("POST", "/agents", { ...AGENT, ...fields })).id;
}

export const BILLING = ["Reconcile billing with the ledger", "Send the billing reminders", "Billing: check the VAT"];
export const OTHER = "Water the plants";

/** A project with tasks about billing and one about something else; answers its id. */
export async function addBilling(server: Server, name: string): Promise<string> {
  const project = (await server.api<{ id: string }>("POST", "/projects", { name })).id;
  const task_patches = [...BILLING, OTHER].map((title) => ({ op: "create", project_id: project, body: { title } }));
  await server.api("POST", "/patches", { task_patches });
  return project;
}

interface Sent {
  conversation: string;
  run: string;
}

/** Begins a conversation, or goes on with one. */
async function send(server: Server, agent: string, text: string, known?: string): Promise<Sent> {
  const begin = () => server.api<{ id: string }>("POST", "/conversations", { agent_id: agent });
  const conversation = known ?? (await begin()).id;
  const { run_id } = await server.api<{ run_id: string }>("POST", `/conversations/${conversation}/messages`, { text });
  return { conversation, run: run_id };
}

async function over(server: Server, run: string) {
  const ends = ["succeeded", "failed", "cancelled"];
  const status = async () => (await server.api<{ status: string }>("GET", `/runs/${run}`)).status;
  await until(`run ${run} is over`, async () => ends.includes(await status()), 20_000);
}

interface Pending {
  items: { id: string }[];
}

/** The approval that a run waits for. */
async function asked(server: Server, run: string): Promise<string> {
  let id = "";
  await until(`run ${run} asks`, async () => {
    const { items } = await server.api<Pending>("GET", `/approvals?run_id=${run}&status=pending`);
    id = items[0]?.id ?? "";
    return id !== "";
  });
  return id;
}

const ANSWER = `Yes. **Three** of them are late:

1. *Quarterly report opens on the wrong quarter*, which is blocked
2. *Accessible charts*
3. *Write down how totals are rounded*

| Task | Days late |
| --- | --- |
| Quarterly report | 3 |
| Accessible charts | 1 |

\`\`\`sql
select title from tasks where due_date < now()
\`\`\`
`;

export interface Talks {
  agent: string;
  chats: { done: string; asks: string; failed: string; empty: string };
  provider: string;
}

/** A provider, a route, agents, and conversations of every kind. */
export async function seedChats(server: Server, model: Model): Promise<Talks> {
  await addProvider(server, model);
  const { items } = await server.api<{ items: { id: string }[] }>("GET", "/models/providers");
  const deployments = [{ provider_id: items[0]?.id, model: MODEL }];
  await server.api("POST", "/models/routes", { alias: "default", strategy: "ordered", deployments });
  const agent = await addAgent(server);
  const scribe = await addAgent(server, { name: "scribe", title: "Scribe", description: "Writes summaries." });
  const project = await addBilling(server, "ledger");
  const path = (conversation: string, of = agent) => `/agents/${of}/c/${conversation}`;

  model.script = planner(project);
  const done = await send(server, agent, WISH);
  const approval = await asked(server, done.run);
  await server.api("POST", `/approvals/${approval}/decide`, { approve: true });
  await over(server, done.run);
  model.script = () => ({ text: ANSWER });
  const late = await send(server, agent, "Is something late?", done.conversation);
  await over(server, late.run);

  model.script = () => ({ text: "Hm.", calls: [{ name: "tasks_list", arguments: { limit: "many" } }] });
  const loop = await send(server, scribe, "Which tasks are there?");
  await over(server, loop.run);
  const empty = await server.api<{ id: string }>("POST", "/conversations", { agent_id: scribe });

  model.script = planner(project);
  const asks = await send(server, agent, `And once more: ${WISH}`);
  await asked(server, asks.run);
  model.script = () => ({ text: ANSWER });
  return {
    agent,
    chats: {
      done: path(done.conversation),
      asks: path(asks.conversation),
      failed: path(loop.conversation, scribe),
      empty: path(empty.id, scribe),
    },
    provider: items[0]?.id ?? "",
  };
}
