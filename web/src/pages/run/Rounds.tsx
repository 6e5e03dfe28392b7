// A step of a cycle: which of its rounds is looked at, each with its own input, output and tries.
import { ChevronLeft, ChevronRight } from "lucide-react";
import type { ReactNode } from "react";
import type { Run, Step } from "@/api/types";
import { useHotkeys } from "@/app/hotkeys";
import { type Level, levelsOf, roundAt, roundOf } from "@/lib/rounds";
import { ProblemNotice } from "@/ui/Problem";
import { SkeletonRows } from "@/ui/parts";
import { useStep } from "./queries";

interface InRoundProps {
  run: Run;
  /** The step's last round, as the list of steps has it. */
  step: Step;
  round: string | undefined;
  onChoose: (id: string, path?: string) => void;
  children: (shown: Step) => ReactNode;
}

export function InRound({ run, step, round, onChoose, children }: InRoundProps) {
  const last = roundOf(step.path);
  if (last === "") return children(step);
  const shown = round ?? last;
  const pick = (next: string) => onChoose(step.node, next === last ? undefined : next);
  return (
    <div className="stack wide">
      <RoundPicker shown={shown} last={last} onPick={pick} />
      {shown === last ? (
        children(step)
      ) : (
        <Earlier key={shown} run={run} step={{ ...step, path: shown }} onLast={() => pick(last)}>
          {children}
        </Earlier>
      )}
    </div>
  );
}

interface EarlierProps {
  run: Run;
  step: Step;
  onLast: () => void;
  children: (shown: Step) => ReactNode;
}

function Earlier({ run, step, onLast, children }: EarlierProps) {
  const detail = useStep(run.id, step);
  if (detail.isError)
    return (
      <ProblemNotice error={detail.error} what="This round could not be read">
        <button type="button" className="button small" onClick={onLast}>
          Show the last round
        </button>
      </ProblemNotice>
    );
  if (!detail.data || detail.isPlaceholderData) return <SkeletonRows rows={3} />;
  return children(detail.data.step);
}

interface PickerProps {
  shown: string;
  last: string;
  onPick: (round: string) => void;
}

function RoundPicker({ shown, last, onPick }: PickerProps) {
  const levels = levelsOf(shown, last);
  const own = levels.length - 1;
  const to = (level: number, number: number) => onPick(roundAt(shown, last, level, number));
  const step = (by: number) => {
    const level = levels[own];
    if (!level) return;
    const next = level.now + by;
    if (next >= 1 && next <= (level.most ?? Number.POSITIVE_INFINITY)) to(own, next);
  };
  useHotkeys([
    { keys: "[", does: "Round before", group: "Run", run: () => step(-1) },
    { keys: "]", does: "Next round", group: "Run", run: () => step(1) },
  ]);
  return (
    <div className="rounds">
      {levels.map((level, index) => (
        <RoundLevel
          key={index}
          label={index === own ? "Round" : own === 1 ? "Outer round" : `Outer round ${index + 1}`}
          level={level}
          onPick={(number) => to(index, number)}
        />
      ))}
    </div>
  );
}

interface LevelProps {
  label: string;
  level: Level;
  onPick: (number: number) => void;
}

function RoundLevel({ label, level: { now, most }, onPick }: LevelProps) {
  return (
    <div className="bar round-level">
      <span className="muted">{label}</span>
      <button
        type="button"
        className="button small quiet icon"
        aria-label={`${label} before`}
        disabled={now <= 1}
        onClick={() => onPick(now - 1)}
      >
        <ChevronLeft />
      </button>
      <input
        className="input small"
        type="number"
        aria-label={label}
        min={1}
        max={most}
        value={now}
        onChange={(event) => {
          const number = event.target.valueAsNumber;
          if (Number.isInteger(number) && number >= 1 && number <= (most ?? number)) onPick(number);
        }}
      />
      {most !== undefined && <span className="muted">of {most}</span>}
      <button
        type="button"
        className="button small quiet icon"
        aria-label={`Next ${label.toLowerCase()}`}
        disabled={most !== undefined && now >= most}
        onClick={() => onPick(now + 1)}
      >
        <ChevronRight />
      </button>
    </div>
  );
}
