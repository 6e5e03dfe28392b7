// On first sight: what failed, why, and what one can do; or what the run asks.
import { Link } from "@tanstack/react-router";
import { CirclePause, CircleX, UserCheck } from "lucide-react";
import type { Run, Step } from "@/api/types";
import { isChild } from "@/lib/agent-steps";
import { failedExpression } from "@/lib/graph-model";
import { AskedDetail } from "@/pages/approvals/AskedDetail";
import { Decide } from "@/pages/approvals/Decide";
import { errorOf } from "@/pages/runs/queries";
import { useRunApprovals } from "./queries";
import { RerunButton, ResumeButton, ResumeWords } from "./Rerun";

interface BannersProps {
  run: Run;
  steps: readonly Step[];
  file: unknown;
  onStep: (id: string) => void;
}

export function Banners({ run, steps, file, onStep }: BannersProps) {
  const approvals = useRunApprovals(run.id);
  const failed = run.status === "failed" || run.status === "paused";
  const asked = approvals.data?.items ?? [];
  if (!failed && asked.length === 0) return null;
  return (
    <div className="run-banners">
      {failed && <Failure run={run} steps={steps} file={file} onStep={onStep} />}
      {asked.map((approval) => (
        <section key={approval.id} className="notice wait" aria-label="Waits for a decision">
          <UserCheck aria-hidden />
          <div className="stack grow">
            <strong>{approval.title}</strong>
            <AskedDetail detail={approval.detail} />
            <Decide approval={approval} />
          </div>
        </section>
      ))}
    </div>
  );
}

function Failure({ run, steps, file, onStep }: BannersProps) {
  const step = steps.findLast((each) => each.status === "failed" && !isChild(each));
  const error = errorOf(step?.error) ?? errorOf(run.error);
  const expression = failedExpression(file, step?.error ?? run.error);
  const Icon = run.status === "paused" ? CirclePause : CircleX;
  return (
    <section className="notice bad" aria-label="What failed">
      <Icon aria-hidden />
      <div className="stack grow">
        <div>
          <strong>
            {step ? `Step “${step.node}” failed` : run.status === "paused" ? "The run was paused" : "The run failed"}
          </strong>
          {step && step.attempts > 1 && ` after ${step.attempts} tries`}
          {error && (
            <>
              : {error.message} <code className="faint">{error.code}</code>
            </>
          )}
        </div>
        {expression && (
          <div>
            As written: <code>{expression.text}</code>
          </div>
        )}
        {run.status === "paused" ? (
          <ResumeWords steps={steps} />
        ) : (
          <div className="muted">What the steps before it did stays done.</div>
        )}
        <div className="bar wrap">
          {step && (
            <button type="button" className="button small" onClick={() => onStep(step.node)}>
              Look at the step
            </button>
          )}
          <ResumeButton run={run} />
          {step && <RerunButton run={run} node={step.node} />}
          {run.workflow_name && (
            <Link
              to="/workflows/$name"
              params={{ name: run.workflow_name }}
              search={{ start: true, like: run.id }}
              className="button small"
            >
              Change the input and run
            </Link>
          )}
        </div>
      </div>
    </section>
  );
}
