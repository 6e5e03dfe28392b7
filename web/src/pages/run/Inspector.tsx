// What one step, or the whole run, was given and came to.
import { Link } from "@tanstack/react-router";
import { X } from "lucide-react";
import type { Run, Step } from "@/api/types";
import { useHotkeys } from "@/app/hotkeys";
import { childWord, isChild, spentOf } from "@/lib/agent-steps";
import { failedExpression, type WorkflowFile } from "@/lib/graph-model";
import { roundOf } from "@/lib/rounds";
import { errorOf } from "@/pages/runs/queries";
import { ActorName } from "@/ui/ActorName";
import { JsonView } from "@/ui/JsonView";
import { CopyId, shortId } from "@/ui/parts";
import { Status } from "@/ui/Status";
import { type Tab, Tabs } from "@/ui/Tabs";
import { Given, Tries, WhenFacts } from "./Given";
import { AgentOf, Children, ChildView, SaidNow, SpentFacts, TalkOf } from "./Inside";
import { Items, RunOf } from "./Items";
import { RerunButton } from "./Rerun";
import { InRound } from "./Rounds";

interface InspectorProps {
  run: Run;
  step: Step | undefined;
  /** The round of its cycle that is asked for; the last one unless given. */
  round?: string;
  steps: readonly Step[];
  file: unknown;
  onChoose: (id: string, path?: string) => void;
  onClose?: () => void;
}

export function Inspector({ run, step, round, steps, file, onChoose, onClose }: InspectorProps) {
  const child = step !== undefined && isChild(step);
  useHotkeys(onClose ? [{ keys: "escape", does: "Back to the whole run", group: "Run", run: onClose }] : []);
  return (
    <aside className="pane inspector" aria-label={step ? `Step ${step.node}` : "The run"}>
      <div className="pane-head">
        <h2 className="grow clip">
          {step && child ? (
            <>
              <button type="button" className="inspector-up" onClick={() => onChoose(step.node)}>
                {step.node}
              </button>
              {" › "}
              {childWord(step)}
            </>
          ) : (
            (step?.node ?? "The run")
          )}
        </h2>
        {step && !child && <RerunButton run={run} node={step.node} />}
        {onClose && (
          <button
            type="button"
            className="button small quiet icon"
            aria-label="Back to the whole run"
            onClick={onClose}
          >
            <X />
          </button>
        )}
      </div>
      <div className="pane-body">
        {step && child ? (
          <ChildView key={step.path} run={run} step={step} />
        ) : step ? (
          <InRound key={step.node} run={run} step={step} round={round} onChoose={onChoose}>
            {(shown) => (
              <StepView
                run={run}
                step={shown}
                steps={steps}
                file={file as WorkflowFile | undefined}
                onChoose={onChoose}
              />
            )}
          </InRound>
        ) : (
          <RunDetails run={run} />
        )}
      </div>
    </aside>
  );
}

interface StepViewProps {
  run: Run;
  step: Step;
  steps: readonly Step[];
  file: WorkflowFile | undefined;
  onChoose: (id: string, path?: string) => void;
}

function StepView({ run, step, steps, file, onChoose }: StepViewProps) {
  // Of earlier rounds the list of steps does not have what is inside.
  const inside = steps.filter(
    (each) => each.node === step.node && isChild(each) && roundOf(each.path) === roundOf(step.path),
  );
  const spent = spentOf(step.output);
  const written = file?.nodes?.[step.node];
  const error = errorOf(step.error);
  const expression = failedExpression(file, step.error);
  const tabs: Tab[] = [];
  const list = step.kind.startsWith("foreach@");
  if (list && (inside.length > 0 || !step.finished_at))
    tabs.push({
      id: "inside",
      label: "Items",
      show: () => <Items run={run} step={step} items={inside} onChoose={(path) => onChoose(step.node, path)} />,
    });
  else if (inside.length > 0)
    tabs.push({
      id: "inside",
      label: "What it did",
      show: () => <Children steps={inside} onChoose={(path) => onChoose(step.node, path)} />,
    });
  if (step.error) tabs.push({ id: "error", label: "Error", show: () => <JsonView value={step.error} label="Error" /> });
  tabs.push({
    id: "output",
    label: "Output",
    show: () =>
      step.output === null || step.output === undefined ? (
        <p className="muted inspector-none">{step.finished_at ? "It gave nothing." : "It has given nothing yet."}</p>
      ) : (
        <JsonView value={step.output} label="Output" />
      ),
  });
  tabs.push({ id: "input", label: "Input", show: () => <Given run={run} step={step} /> });
  if (step.attempts > 0) tabs.push({ id: "tries", label: "Tries", show: () => <Tries run={run} step={step} /> });
  if (written)
    tabs.push({ id: "written", label: "As written", show: () => <JsonView value={written} label="As written" /> });
  return (
    <div className="stack wide">
      <dl className="facts">
        <dt>Status</dt>
        <dd>
          <Status status={step.status} />
          {step.port && step.port !== "out" && <span className="muted"> left by {step.port}</span>}
        </dd>
        <dt>Kind</dt>
        <dd className="mono">{step.kind}</dd>
        {error && (
          <>
            <dt>Why</dt>
            <dd className="tone-bad">{error.message}</dd>
          </>
        )}
        {expression && (
          <>
            <dt>As written</dt>
            <dd className="mono" title={expression.pointer}>
              {expression.text}
            </dd>
          </>
        )}
        <WhenFacts step={step} />
        {inside.length === 1 && <RunOf step={inside[0]} />}
        {spent && <SpentFacts spent={spent} />}
        <AgentOf output={step.output} />
      </dl>
      <SaidNow run={run} node={step.node} />
      <Tabs tabs={tabs} />
    </div>
  );
}

/** What the run as a whole was given and came to. */
export function RunDetails({ run }: { run: Run }) {
  const tabs: Tab[] = [{ id: "input", label: "Input", show: () => <JsonView value={run.input} label="Input" /> }];
  if (run.error)
    tabs.unshift({ id: "error", label: "Error", show: () => <JsonView value={run.error} label="Error" /> });
  if (run.output !== null && run.output !== undefined) {
    tabs.push({ id: "output", label: "Output", show: () => <JsonView value={run.output} label="Output" /> });
  }
  if (run.response)
    tabs.push({ id: "answer", label: "Answer", show: () => <JsonView value={run.response} label="Answer" /> });
  return (
    <div className="stack wide">
      <dl className="facts">
        <TalkOf run={run} />
        {run.workflow_name && (
          <>
            <dt>Workflow</dt>
            <dd>
              <Link
                to="/workflows/$name"
                params={{ name: run.workflow_name }}
                search={{ version: run.workflow_version ?? undefined }}
                className="link"
              >
                {run.workflow_name}
              </Link>{" "}
              version {run.workflow_version}
            </dd>
          </>
        )}
        <dt>Trigger</dt>
        <dd>{run.trigger}</dd>
        <dt>Runs as</dt>
        <dd>
          <ActorName actor={run.actor} />
        </dd>
        {run.on_behalf_of && (
          <>
            <dt>For</dt>
            <dd>
              <ActorName actor={run.on_behalf_of} />
            </dd>
          </>
        )}
        {run.parent_run_id && (
          <>
            <dt>Part of</dt>
            <dd>
              <Link
                to="/runs/$runId"
                params={{ runId: run.parent_run_id }}
                search={{ step: run.parent_node ?? undefined }}
                className="link"
              >
                step {run.parent_node} of the run {shortId(run.parent_run_id)}
              </Link>{" "}
              <span className="muted">which waits for its end</span>
            </dd>
          </>
        )}
        {run.depth > 0 && !run.parent_run_id && (
          <>
            <dt>Begun by</dt>
            <dd>another run; {run.depth === 1 ? "one stands" : `${run.depth} stand`} before it in the chain</dd>
          </>
        )}
        {run.priority !== 0 && (
          <>
            <dt>Priority</dt>
            <dd>{run.priority}</dd>
          </>
        )}
        <dt>Worked</dt>
        <dd>{run.work_ms.toLocaleString()} ms, waits not counted</dd>
        <dt>Story</dt>
        <dd>
          <CopyId id={run.correlation} />
        </dd>
      </dl>
      <Tabs tabs={tabs} />
    </div>
  );
}
