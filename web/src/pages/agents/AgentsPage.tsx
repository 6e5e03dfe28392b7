// The agents of the workspace: what they think with, what they cost, and how well they do.
import { Link, useNavigate } from "@tanstack/react-router";
import { Bot, MessageSquarePlus, Plus } from "lucide-react";
import type { Agent } from "@/api/agents-types";
import { useMay } from "@/api/session";
import { useHotkeys } from "@/app/hotkeys";
import { useTrail } from "@/app/title";
import { usd } from "@/lib/money";
import { ProblemPage } from "@/ui/Problem";
import { Empty, FilterSelect } from "@/ui/parts";
import { Status, wordOf } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { type Column, VirtualList } from "@/ui/VirtualList";
import { successOf } from "./figures";
import { useAgents } from "./queries";
import { AGENT_STATUSES, listRoute } from "./route";
import { useTalk } from "./talk";

export function AgentsPage() {
  const { status } = listRoute.useSearch();
  const navigate = useNavigate();
  const may = useMay();
  const { query, items, more } = useAgents(status);
  useTrail([{ label: "Agents" }]);
  const writes = may("agents:write");
  const make = () => void navigate({ to: "/agents/new" });
  useHotkeys(writes ? [{ keys: "n", does: "New agent", group: "Agents", run: make }] : []);
  const add = writes && (
    <Link to="/agents/new" className="button primary small">
      <Plus aria-hidden /> New agent
    </Link>
  );
  return (
    <div className="page">
      <div className="page-head">
        <h1>Agents</h1>
        <FilterSelect
          label="Status"
          all="All of them"
          value={status}
          options={AGENT_STATUSES.map((value) => ({ value, label: wordOf(value) }))}
          onChange={(next) => void navigate({ to: "/agents", search: { status: next }, replace: true })}
        />
        {items.length > 0 && add}
      </div>
      {query.error && items.length === 0 ? (
        <ProblemPage error={query.error} what="The agents could not be loaded" onRetry={() => void query.refetch()} />
      ) : (
        <VirtualList
          name="agents"
          label="Agents"
          items={items}
          idOf={(agent) => agent.id}
          columns={COLUMNS}
          loading={query.isPending}
          more={more}
          onOpen={(agent) => void navigate({ to: "/agents/$agentId", params: { agentId: agent.id } })}
          empty={
            <Empty
              icon={<Bot aria-hidden />}
              title={status ? "None of these" : "There is no agent yet"}
              action={!status && add}
            >
              An agent is a model with instructions and tools. It reads and changes what you allow, and asks before it
              does. Talk to it, or let a workflow call it.
            </Empty>
          }
        />
      )}
    </div>
  );
}

const COLUMNS: Column<Agent>[] = [
  { id: "status", title: "Status", width: "88px", from: 600, cell: (agent) => <Status status={agent.status} /> },
  {
    id: "name",
    title: "Agent",
    width: "minmax(0, 1fr)",
    phone: true,
    cell: (agent) => (
      <div className="bar">
        <Link to="/agents/$agentId" params={{ agentId: agent.id }} className="clip agents-name">
          {agent.title || agent.name}
        </Link>
        <span className="clip faint">{agent.description}</span>
      </div>
    ),
  },
  {
    id: "model",
    title: "Model",
    width: "minmax(80px, 180px)",
    from: 700,
    cell: (agent) => <span className="mono clip">{agent.spec.model}</span>,
  },
  {
    id: "runs",
    title: "Runs",
    width: "64px",
    num: true,
    from: 820,
    cell: (agent) => agent.performance_metrics.runs.toLocaleString(),
  },
  {
    id: "success",
    title: "Success",
    width: "72px",
    num: true,
    from: 560,
    cell: (agent) => successOf(agent.performance_metrics) ?? <span className="faint">–</span>,
  },
  {
    id: "cost",
    title: "Known cost",
    width: "88px",
    num: true,
    from: 640,
    cell: (agent) =>
      agent.performance_metrics.runs === 0 ? (
        <span className="faint">–</span>
      ) : (
        usd(agent.performance_metrics.cost_nano_usd)
      ),
  },
  {
    id: "last",
    title: "Last run",
    width: "88px",
    num: true,
    from: 900,
    cell: (agent) => <Time at={agent.performance_metrics.last_run_at} />,
  },
  { id: "talk", title: "", width: "72px", phone: true, cell: (agent) => <TalkButton agent={agent} /> },
];

function TalkButton({ agent }: { agent: Agent }) {
  const talk = useTalk();
  if (!talk.may || agent.status !== "active") return null;
  return (
    <button
      type="button"
      className="button small"
      aria-label={`Talk to ${agent.title || agent.name}`}
      disabled={talk.busy}
      onClick={() => talk.start(agent)}
    >
      <MessageSquarePlus aria-hidden /> Talk
    </button>
  );
}
