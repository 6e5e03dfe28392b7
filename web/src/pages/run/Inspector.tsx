// What one step, or the whole run, was given and came to.
import { Link } from "@tanstack/react-router";
import { X } from "lucide-react";
import { type ReactNode, useState } from "react";
import type { Run, Step } from "@/api/types";
import { useHotkeys } from "@/app/hotkeys";
import { failedExpression, type WorkflowFile } from "@/lib/graph-model";
import { errorOf } from "@/pages/runs/queries";
import { ActorName } from "@/ui/ActorName";
import { JsonView } from "@/ui/JsonView";
import { CopyId } from "@/ui/parts";
import { Status } from "@/ui/Status";
import { Time, Took } from "@/ui/Time";

interface InspectorProps {
  run: Run;
  step: Step | undefined;
  file: unknown;
  onClose?: () => void;
}

export function Inspector({ run, step, file, onClose }: InspectorProps) {
  useHotkeys(onClose ? [{ keys: "escape", does: "Back to the whole run", group: "Run", run: onClose }] : []);
  return (
    <aside className="pane inspector" aria-label={step ? `Step ${step.node}` : "The run"}>
      <div className="pane-head">
        <h2 className="grow clip">{step ? step.node : "The run"}</h2>
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
        {step ? (
          <StepView key={step.node} step={step} file={file as WorkflowFile | undefined} />
        ) : (
          <RunDetails run={run} />
        )}
      </div>
    </aside>
  );
}

interface Tab {
  id: string;
  label: string;
  show: () => ReactNode;
}

function Tabs({ tabs, first }: { tabs: Tab[]; first?: string }) {
  const [chosen, setChosen] = useState(first);
  const shown = tabs.find((tab) => tab.id === chosen) ?? tabs[0];
  return (
    <>
      <div className="tabs" role="tablist">
        {tabs.map((tab) => (
          <button
            type="button"
            role="tab"
            key={tab.id}
            className="tab"
            aria-selected={tab === shown}
            onClick={() => setChosen(tab.id)}
          >
            {tab.label}
          </button>
        ))}
      </div>
      <div role="tabpanel">{shown?.show()}</div>
    </>
  );
}

function StepView({ step, file }: { step: Step; file: WorkflowFile | undefined }) {
  const written = file?.nodes?.[step.node];
  const error = errorOf(step.error);
  const expression = failedExpression(file, step.error);
  const tabs: Tab[] = [];
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
        {step.attempts > 0 && (
          <>
            <dt>Tries</dt>
            <dd>{step.attempts}</dd>
          </>
        )}
        {step.started_at && (
          <>
            <dt>Began</dt>
            <dd>
              <Time at={step.started_at} />
              <span className="muted">
                {", took "}
                <Took from={step.started_at} to={step.finished_at} />
              </span>
            </dd>
          </>
        )}
        {step.wait_until && (
          <>
            <dt>Waits until</dt>
            <dd>
              <Time at={step.wait_until} />
            </dd>
          </>
        )}
      </dl>
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
