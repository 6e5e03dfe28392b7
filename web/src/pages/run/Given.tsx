// What a step was given, when it ran, and how each of its tries went.
import type { Run, Step } from "@/api/types";
import { errorOf } from "@/pages/runs/queries";
import { JsonView } from "@/ui/JsonView";
import { ProblemNotice } from "@/ui/Problem";
import { SkeletonRows } from "@/ui/parts";
import { Status } from "@/ui/Status";
import { Time, Took } from "@/ui/Time";
import { useStep } from "./queries";

interface GivenProps {
  run: Run;
  step: Step;
}

export function Given({ run, step }: GivenProps) {
  const detail = useStep(run.id, step);
  if (!step.started_at) return <p className="muted inspector-none">It has not begun.</p>;
  if (detail.isError)
    return (
      <ProblemNotice error={detail.error} what="The step could not be read" onRetry={() => void detail.refetch()} />
    );
  if (!detail.data) return <SkeletonRows rows={3} />;
  const { input, input_error } = detail.data;
  const failed = errorOf(input_error);
  if (failed) return <p className="tone-bad inspector-none">{failed.message}</p>;
  if (input === null || input === undefined) return <p className="muted inspector-none">It was given nothing.</p>;
  return <JsonView value={input} label="Input" />;
}

export function Tries({ run, step }: GivenProps) {
  const detail = useStep(run.id, step);
  if (detail.isError)
    return (
      <ProblemNotice error={detail.error} what="The step could not be read" onRetry={() => void detail.refetch()} />
    );
  if (!detail.data) return <SkeletonRows rows={3} />;
  return (
    <ol className="tries">
      {detail.data.tries.map((each) => (
        <li key={each.attempt}>
          <div className="bar">
            <span className="muted">{each.attempt}.</span>
            <Status status={each.status} />
            <Time at={each.started_at} />
            <span className="muted">
              <Took from={each.started_at} to={each.finished_at} />
            </span>
          </div>
          {each.error !== null && <p className="tone-bad">{errorOf(each.error)?.message}</p>}
          {each.retry_at && (
            <p className="muted">
              {"tried again "}
              <Time at={each.retry_at} />
            </p>
          )}
        </li>
      ))}
    </ol>
  );
}

/** How often it was tried, when it began and how long it took, as rows of its facts. */
export function WhenFacts({ step }: { step: Step }) {
  return (
    <>
      {step.attempts > 1 && (
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
    </>
  );
}
