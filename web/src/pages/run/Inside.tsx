// What an agent did inside of its step: its turns, its calls, what it says now, and what that took.
import { Link } from "@tanstack/react-router";
import { useTurns } from "@/api/live/live";
import type { Run, Step } from "@/api/types";
import { byPath, type ChildStep, callOf, childRunOf, childWord, depthOf, type Spent, spentOf } from "@/lib/agent-steps";
import { changesOf } from "@/lib/diff";
import { compact, usd } from "@/lib/money";
import { between, duration } from "@/lib/time";
import { errorOf } from "@/pages/runs/queries";
import { Changes } from "@/ui/Diff";
import { JsonView } from "@/ui/JsonView";
import { Markdown } from "@/ui/Markdown";
import { Status, StatusIcon } from "@/ui/Status";
import { type Tab, Tabs } from "@/ui/Tabs";
import { Tries, WhenFacts } from "./Given";
import { RunOf } from "./Items";

/** The turns and calls as rows. */
export function Children({ steps, onChoose }: { steps: readonly ChildStep[]; onChoose: (path: string) => void }) {
  return (
    <ol className="inside">
      {steps.toSorted(byPath).map((step) => {
        const took = between(step.started_at, step.finished_at);
        const spent = spentOf(step.output);
        return (
          <li key={step.path}>
            <button type="button" className="inside-row" onClick={() => onChoose(step.path)}>
              <span style={{ paddingLeft: (depthOf(step.path) - 1) * 14 }} />
              <StatusIcon status={step.status} />
              <span className="clip grow">{childWord(step)}</span>
              {spent && <span className="faint">{compact((spent.input ?? 0) + (spent.output ?? 0))} tokens</span>}
              <span className="faint num">{took === undefined ? "" : duration(took)}</span>
              <span className="hidden-text">{step.status}</span>
            </button>
          </li>
        );
      })}
    </ol>
  );
}

/** One turn, call or question. */
export function ChildView({ run, step }: { run: Run; step: ChildStep }) {
  const error = errorOf(step.error);
  const spent = spentOf(step.output);
  const found = changesOf(step.output);
  const call = callOf(step);
  const tabs: Tab[] = [];
  if (step.error) tabs.push({ id: "error", label: "Error", show: () => <JsonView value={step.error} label="Error" /> });
  if (step.output !== null && step.output !== undefined)
    tabs.push({
      id: "output",
      label: "Output",
      show: () =>
        found ? (
          <Changes changes={found.changes} titles={found.titles} />
        ) : (
          <JsonView value={step.output} label="Output" />
        ),
    });
  const given = call?.input ?? childRunOf(step)?.input;
  if (given !== undefined)
    tabs.push({ id: "input", label: "Input", show: () => <JsonView value={given} label="Input" /> });
  if (step.attempts > 0) tabs.push({ id: "tries", label: "Tries", show: () => <Tries run={run} step={step} /> });
  return (
    <div className="stack wide">
      <dl className="facts">
        <dt>Status</dt>
        <dd>
          <Status status={step.status} />
        </dd>
        {call && (
          <>
            <dt>Operation</dt>
            <dd className="mono">
              <Link to="/operations/$operation" params={{ operation: call.operation }} className="link">
                {call.operation}
              </Link>
            </dd>
          </>
        )}
        <RunOf step={step} />
        {error && (
          <>
            <dt>Why</dt>
            <dd className="tone-bad">{error.message}</dd>
          </>
        )}
        <WhenFacts step={step} />
        {spent && <SpentFacts spent={spent} />}
      </dl>
      <SaidNow run={run} node={step.node} path={step.path} />
      {tabs.length > 0 && <Tabs tabs={tabs} />}
    </div>
  );
}

export function SpentFacts({ spent }: { spent: Spent }) {
  return (
    <>
      {spent.model && (
        <>
          <dt>Model</dt>
          <dd className="mono">{spent.model}</dd>
        </>
      )}
      <dt>Tokens</dt>
      <dd>
        {compact(spent.input)} read, {compact(spent.output)} written
      </dd>
      <dt>Cost</dt>
      <dd>{usd(spent.cost)}</dd>
    </>
  );
}

const FINAL = new Set(["succeeded", "failed", "cancelled"]);

/** What is being said in a step, word by word. */
export function SaidNow({ run, node, path }: { run: Run; node: string; path?: string }) {
  const turns = useTurns(FINAL.has(run.status) ? undefined : run.id);
  const said = turns.filter((turn) => turn.node === node && (path === undefined || turn.path === path)).at(-1);
  if (!said || said.parts.length === 0) return null;
  return (
    <section className="stack" aria-label="Said now">
      <h3>Says now{said.path && path === undefined ? `, in ${said.path}` : ""}</h3>
      <div className="said-now stack">
        {said.parts.map((part, index) => {
          const key = `${index}`;
          if (part.type === "text") return <Markdown key={key} text={part.text} />;
          if (part.type === "thinking")
            return (
              <div key={key} className="said-thinking">
                {part.text}
              </div>
            );
          return (
            <code key={key}>
              {part.name} {part.arguments}
            </code>
          );
        })}
      </div>
    </section>
  );
}

/** The agent that a step's output names. */
export function AgentOf({ output }: { output: Step["output"] }) {
  const agent = (output as { agent?: { id?: unknown; name?: unknown; version?: unknown } } | null | undefined)?.agent;
  if (typeof agent?.id !== "string") return null;
  return (
    <>
      <dt>Agent</dt>
      <dd>
        <Link to="/agents/$agentId" params={{ agentId: agent.id }} className="link">
          {String(agent.name ?? agent.id)}
        </Link>{" "}
        {agent.version !== undefined && <span className="muted">version {String(agent.version)}</span>}
      </dd>
    </>
  );
}

/** The conversation that a run answers in, if its input names one. */
export function TalkOf({ run }: { run: Run }) {
  const { agent_id, agent } = (run.input ?? {}) as Record<string, unknown>;
  const agentId = [agent_id, agent, (agent as { id?: unknown } | null)?.id].find((id) => typeof id === "string");
  if (!run.private_to) return null;
  return (
    <>
      <dt>Conversation</dt>
      <dd>
        <Link
          to="/agents/$agentId/c/$conversationId"
          params={{ agentId: typeof agentId === "string" ? agentId : "any", conversationId: run.private_to }}
          className="link"
        >
          Open it
        </Link>{" "}
        <span className="muted">Only who is in it sees this run.</span>
      </dd>
    </>
  );
}
