// The steps in the order in which they began, each with its time as a bar; waits are hatched.
import { ChevronDown, ChevronRight } from "lucide-react";
import { useMemo, useState, useSyncExternalStore } from "react";
import type { Run, Step } from "@/api/types";
import { childWord, depthOf, isChild } from "@/lib/agent-steps";
import { isRound, roundWord } from "@/lib/rounds";
import { between, duration } from "@/lib/time";
import { type Bar, bars, unfolded } from "@/lib/timeline";
import { ProblemNotice } from "@/ui/Problem";
import { Status, toneOf } from "@/ui/Status";

interface TimelineProps {
  run: Run;
  steps: readonly Step[];
  error: unknown;
  chosen?: string;
  /** What is chosen inside of the step. */
  path?: string;
  onChoose: (id: string, path?: string) => void;
}

const TICK_MS = 1_000;

function tick(watcher: () => void) {
  const timer = setInterval(watcher, TICK_MS);
  return () => clearInterval(timer);
}

export function Timeline({ run, steps, error, chosen, path, onChoose }: TimelineProps) {
  const [flipped, setFlipped] = useState<ReadonlySet<string>>(new Set());
  const now = useSyncExternalStore(
    run.finished_at ? () => () => {} : tick,
    () => Math.floor(Date.now() / TICK_MS) * TICK_MS,
  );
  const rows = useMemo(
    () => bars(steps, run.started_at ?? run.created_at, run.finished_at, Math.max(now, Date.now())),
    [steps, run, now],
  );
  const lines = useMemo(() => unfolded(rows, flipped), [rows, flipped]);
  const rest = steps.length - rows.length;
  const fold = (node: string) => {
    const next = new Set(flipped);
    if (!next.delete(node)) next.add(node);
    setFlipped(next);
  };
  return (
    <section className="timeline" aria-label="Time line">
      {error !== null && <ProblemNotice error={error} what="The steps could not be loaded" />}
      <ol>
        {lines.map(({ bar, inside, open, more }) => {
          const child = isChild(bar.step);
          return (
            <Line
              key={bar.step.node + bar.step.path}
              bar={bar}
              chosen={bar.step.node === chosen && (child ? bar.step.path === path : !path || isRound(path))}
              open={inside ? open : undefined}
              more={more}
              onFold={() => fold(bar.step.node)}
              onChoose={onChoose}
            />
          );
        })}
      </ol>
      {rest > 0 && (
        <p className="faint timeline-rest">
          {rest} {rest === 1 ? "step was" : "steps were"} not reached{run.finished_at ? "" : " yet"}, or skipped.
        </p>
      )}
    </section>
  );
}

interface LineProps {
  bar: Bar;
  chosen: boolean;
  /** Whether what is inside of it is shown; undefined when there is nothing. */
  open: boolean | undefined;
  /** So many more of the same step are left out behind it. */
  more: number | undefined;
  onFold: () => void;
  onChoose: (id: string, path?: string) => void;
}

function Line({ bar, chosen, open, more, onFold, onChoose }: LineProps) {
  const { step } = bar;
  const took = between(step.started_at, step.finished_at);
  const child = isChild(step);
  return (
    <li className="timeline-line">
      {open !== undefined && (
        <button
          type="button"
          className="timeline-fold"
          aria-expanded={open}
          aria-label={`What ${step.node} did`}
          onClick={onFold}
        >
          {open ? <ChevronDown /> : <ChevronRight />}
        </button>
      )}
      <button
        type="button"
        className={`timeline-row${chosen ? " chosen" : ""}`}
        aria-pressed={chosen}
        onClick={() => onChoose(step.node, child ? step.path : undefined)}
      >
        <Status status={step.status} iconOnly />
        <span className="clip timeline-name" style={child ? { paddingLeft: depthOf(step.path) * 14 } : undefined}>
          {child ? childWord(step) : step.node}
          <span className="faint"> {child ? "" : roundWord(step)}</span>
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
      {more !== undefined && (
        <button type="button" className="timeline-more link" onClick={() => onChoose(step.node)}>
          {more} more of “{step.node}”
        </button>
      )}
    </li>
  );
}
