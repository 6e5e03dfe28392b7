// One agent: what it is told and may do, its versions, its figures, and its conversations.
import { useNavigate } from "@tanstack/react-router";
import { Archive, CirclePause, CirclePlay, MessageSquarePlus, MoreHorizontal, Trash2 } from "lucide-react";
import { useState } from "react";
import type { Agent, AgentStatus } from "@/api/agents-types";
import { keys } from "@/api/cache";
import { useChange } from "@/api/call";
import { useMay } from "@/api/session";
import { useHotkeys } from "@/app/hotkeys";
import { useTrail } from "@/app/title";
import { compact, usd } from "@/lib/money";
import { duration } from "@/lib/time";
import { ConversationList } from "@/pages/chat/ConversationList";
import { Confirm } from "@/ui/Dialog";
import { Menu, MenuItem, MenuLine } from "@/ui/Menu";
import { ProblemPage } from "@/ui/Problem";
import { CopyId, SkeletonRows } from "@/ui/parts";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { toast, toastError } from "@/ui/toasts";
import { AgentEditor } from "./AgentEditor";
import { successOf } from "./figures";
import { useAgent } from "./queries";
import { type AgentView, route } from "./route";
import { useTalk } from "./talk";
import { VersionsView } from "./VersionsView";
import "./agents.css";

export function AgentPage() {
  const { agentId } = route.useParams();
  const query = useAgent(agentId);
  const name = query.data?.title || query.data?.name;
  useTrail([{ label: "Agents", to: "/agents" }, { label: name ?? "Agent" }]);
  if (query.error && !query.data) {
    return (
      <ProblemPage error={query.error} what="The agent could not be loaded" onRetry={() => void query.refetch()} />
    );
  }
  if (!query.data) return <SkeletonRows rows={4} />;
  return <Shown key={query.data.id} agent={query.data} />;
}

const VIEWS: { value: AgentView | undefined; label: string }[] = [
  { value: undefined, label: "What it does" },
  { value: "versions", label: "Versions" },
  { value: "figures", label: "Figures" },
  { value: "chats", label: "Conversations" },
];

function Shown({ agent }: { agent: Agent }) {
  const search = route.useSearch();
  const navigate = useNavigate();
  const talk = useTalk();
  const may = useMay();
  const ready = talk.may && agent.status === "active";
  const go = (view: AgentView | undefined) =>
    void navigate({ to: "/agents/$agentId", params: { agentId: agent.id }, search: { view }, replace: true });
  useHotkeys(ready ? [{ keys: "c", does: "Start a conversation", group: "Agent", run: () => talk.start(agent) }] : []);
  return (
    <div className="page">
      <div className="page-head agent-head">
        <h1 className="clip">{agent.title || agent.name}</h1>
        <Status status={agent.status} />
        <span className="muted">version {agent.version}</span>
        <CopyId id={agent.name} label={agent.name} />
        <span className="grow" />
        {may("agents:write") && <Doors agent={agent} />}
        {ready && (
          <button type="button" className="button primary small" disabled={talk.busy} onClick={() => talk.start(agent)}>
            <MessageSquarePlus aria-hidden /> Start a conversation
          </button>
        )}
      </div>
      <div className="tabs agent-tabs" role="tablist" aria-label="Views of the agent">
        {VIEWS.filter((view) => view.value !== "chats" || talk.may).map((view) => (
          <button
            type="button"
            role="tab"
            key={view.label}
            className="tab"
            aria-selected={search.view === view.value}
            onClick={() => go(view.value)}
          >
            {view.label}
          </button>
        ))}
      </div>
      {search.view === undefined && <AgentEditor agent={agent} />}
      {search.view === "versions" && <VersionsView agent={agent} />}
      {search.view === "figures" && <Figures agent={agent} />}
      {search.view === "chats" && (
        <div className="page-body">
          <ConversationList agentId={agent.id} />
        </div>
      )}
    </div>
  );
}

function Doors({ agent }: { agent: Agent }) {
  const navigate = useNavigate();
  const [asking, setAsking] = useState(false);
  const touches = [keys.agents(), keys.agent(agent.id)];
  const turn = useChange<Agent>("agents.update", {
    touches,
    onFailed: (error) => toastError("The agent stays as it was.", error),
  });
  const remove = useChange("agents.delete", {
    touches: [keys.agents()],
    onDone: () => {
      toast(`${agent.title || agent.name} is gone. Its conversations stay readable.`);
      void navigate({ to: "/agents" });
    },
    onFailed: (error) => toastError("The agent was not deleted.", error),
  });
  const set = (status: AgentStatus, done: string) => {
    const back = { label: "Undo", run: () => turn.mutate({ agent_id: agent.id, status: agent.status }) };
    turn.mutate(
      { agent_id: agent.id, status, revision: agent.revision },
      { onSuccess: () => toast(done, { action: back }) },
    );
  };
  const name = agent.title || agent.name;
  return (
    <>
      {agent.status === "active" ? (
        <button
          type="button"
          className="button small"
          disabled={turn.isPending}
          onClick={() => set("paused", `${name} is paused: it takes no new work.`)}
        >
          <CirclePause aria-hidden /> Pause
        </button>
      ) : (
        <button
          type="button"
          className="button small"
          disabled={turn.isPending}
          onClick={() => set("active", `${name} works again.`)}
        >
          <CirclePlay aria-hidden /> {agent.status === "paused" ? "Resume" : "Bring back"}
        </button>
      )}
      <Menu
        align="end"
        trigger={
          <button type="button" className="button small quiet icon" aria-label="More">
            <MoreHorizontal />
          </button>
        }
      >
        {agent.status !== "archived" && (
          <MenuItem icon={<Archive aria-hidden />} onSelect={() => set("archived", `${name} is archived.`)}>
            Archive
          </MenuItem>
        )}
        <MenuLine />
        <MenuItem icon={<Trash2 aria-hidden />} onSelect={() => setAsking(true)}>
          Delete
        </MenuItem>
      </Menu>
      {asking && (
        <Confirm
          danger
          title={`Delete ${name}?`}
          text="Its conversations stay readable, and workflows that call it fail from then on."
          action="Delete it"
          busy={remove.isPending}
          onConfirm={() => remove.mutate({ agent_id: agent.id })}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  );
}

function Figures({ agent }: { agent: Agent }) {
  const figures = agent.performance_metrics;
  const rows: [name: string, value: React.ReactNode][] = [
    ["Runs", figures.runs.toLocaleString()],
    ["Succeeded", `${figures.succeeded.toLocaleString()}${successOf(figures) ? ` (${successOf(figures)})` : ""}`],
    ["Failed", figures.failed.toLocaleString()],
    ["Stopped at a limit", figures.stopped.toLocaleString()],
    ["Turns", figures.turns.toLocaleString()],
    ["Calls of tools", figures.tool_calls.toLocaleString()],
    ["Calls that failed", figures.tool_errors.toLocaleString()],
    ["Tokens read", compact(figures.input_tokens)],
    ["Tokens written", compact(figures.output_tokens)],
    ["Cost, as far as known", figures.runs === 0 ? "–" : usd(figures.cost_nano_usd)],
    ["A run takes", figures.mean_ms === null ? "–" : `${duration(figures.mean_ms)} on average`],
    ["Last run", <Time key="last" at={figures.last_run_at} />],
  ];
  return (
    <div className="page-body padded">
      <dl className="agent-figures">
        {rows.map(([name, value]) => (
          <div key={name} className="card">
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <p className="muted">Counted from runs that are over.</p>
    </div>
  );
}
