// The steps in the order in which they began, each with its time as a bar; waits are hatched.
import { useMemo, useSyncExternalStore } from "react";
import type { Run, Step } from "@/api/types";
import { between, duration } from "@/lib/time";
import { type Bar, bars } from "@/lib/timeline";
import { ProblemNotice } from "@/ui/Problem";
import { Status, toneOf } from "@/ui/Status";

interface TimelineProps {
  run: Run;
  steps: readonly Step[];
  error: unknown;
  chosen?: string;
  onChoose: (id: string) => void;
}

const TICK_MS = 1_000;

function tick(watcher: () => void) {
  const timer = setInterval(watcher, TICK_MS);
  return () => clearInterval(timer);
}

export function Timeline({ run, steps, error, chosen, onChoose }: TimelineProps) {
  const now = useSyncExternalStore(
    run.finished_at ? () => () => {} : tick,
    () => Math.floor(Date.now() / TICK_MS) * TICK_MS,
  );
  const rows = useMemo(
    () => bars(steps, run.started_at ?? run.created_at, run.finished_at, Math.max(now, Date.now())),
    [steps, run, now],
  );
  const rest = steps.length - rows.length;
  return (
    <section className="timeline" aria-label="Time line">
      {error !== null && <ProblemNotice error={error} what="The steps could not be loaded" />}
      <ol>
        {rows.map((row) => (
          <Line key={row.step.node + row.step.path} bar={row} chosen={row.step.node === chosen} onChoose={onChoose} />
        ))}
      </ol>
      {rest > 0 && (
        <p className="faint timeline-rest">
          {rest} {rest === 1 ? "step was" : "steps were"} not reached{run.finished_at ? "" : " yet"}, or skipped.
        </p>
      )}
    </section>
  );
}

function Line({ bar, chosen, onChoose }: { bar: Bar; chosen: boolean; onChoose: (id: string) => void }) {
  const { step } = bar;
  const took = between(step.started_at, step.finished_at);
  return (
    <li>
      <button
        type="button"
        className={`timeline-row${chosen ? " chosen" : ""}`}
        aria-pressed={chosen}
        onClick={() => onChoose(step.node)}
      >
        <Status status={step.status} iconOnly />
        <span className="clip timeline-name">
          {step.node}
          {step.path && <span className="faint"> {step.path}</span>}
        </span>
        <span className="timeline-track" aria-hidden>
          <span
            className={`timeline-bar bar-${toneOf(step.status)}${bar.waits ? " waits" : ""}`}
            style={{ left: `${bar.from * 100}%`, width: `${bar.width * 100}%` }}
          />
        </span>
        <span className="num faint timeline-took">
          {step.attempts > 1 && `${step.attempts} tries, `}
          {took === undefined ? "" : duration(took)}
        </span>
      </button>
    </li>
  );
}
