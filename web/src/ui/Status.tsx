// States, each told by shape and word as well as by colour.
import {
  Archive,
  Ban,
  Circle,
  CircleCheck,
  CircleDashed,
  CircleDot,
  CircleDotDashed,
  CirclePause,
  CircleSlash,
  CircleX,
  Hourglass,
  type LucideIcon,
  OctagonMinus,
  SignalHigh,
  SignalLow,
  SignalMedium,
  TriangleAlert,
} from "lucide-react";

type Tone = "good" | "bad" | "busy" | "wait" | "halt" | "idle";

interface Look {
  icon: LucideIcon;
  tone: Tone;
  word: string;
}

const LOOKS: Record<string, Look> = {
  queued: { icon: CircleDashed, tone: "idle", word: "Queued" },
  pending: { icon: CircleDashed, tone: "idle", word: "Not reached" },
  running: { icon: CircleDotDashed, tone: "busy", word: "Running" },
  waiting: { icon: Hourglass, tone: "wait", word: "Waiting" },
  paused: { icon: CirclePause, tone: "halt", word: "Paused" },
  succeeded: { icon: CircleCheck, tone: "good", word: "Succeeded" },
  failed: { icon: CircleX, tone: "bad", word: "Failed" },
  cancelled: { icon: Ban, tone: "idle", word: "Cancelled" },
  skipped: { icon: CircleSlash, tone: "idle", word: "Skipped" },
  stopped: { icon: Ban, tone: "idle", word: "Stopped" },
  idle: { icon: CircleDashed, tone: "idle", word: "Idle" },
  // tasks and projects
  todo: { icon: Circle, tone: "idle", word: "To do" },
  in_progress: { icon: CircleDot, tone: "busy", word: "In progress" },
  blocked: { icon: OctagonMinus, tone: "bad", word: "Blocked" },
  done: { icon: CircleCheck, tone: "good", word: "Done" },
  planning: { icon: CircleDashed, tone: "idle", word: "Planning" },
  active: { icon: CircleDot, tone: "busy", word: "Active" },
  on_hold: { icon: CirclePause, tone: "halt", word: "On hold" },
  completed: { icon: CircleCheck, tone: "good", word: "Completed" },
  archived: { icon: Archive, tone: "idle", word: "Archived" },
  draft: { icon: CircleDashed, tone: "idle", word: "Draft" },
  // approvals
  asked: { icon: Hourglass, tone: "wait", word: "Waits for a decision" },
  approved: { icon: CircleCheck, tone: "good", word: "Approved" },
  rejected: { icon: CircleX, tone: "bad", word: "Rejected" },
  expired: { icon: TriangleAlert, tone: "halt", word: "Expired" },
  // priorities
  low: { icon: SignalLow, tone: "idle", word: "Low" },
  medium: { icon: SignalMedium, tone: "idle", word: "Medium" },
  high: { icon: SignalHigh, tone: "wait", word: "High" },
  critical: { icon: TriangleAlert, tone: "bad", word: "Critical" },
};

export function wordOf(status: string): string {
  return LOOKS[status]?.word ?? status;
}

export function toneOf(status: string): Tone {
  return LOOKS[status]?.tone ?? "idle";
}

export function StatusIcon({ status }: { status: string }) {
  const Icon = LOOKS[status]?.icon ?? Circle;
  return <Icon className={`tone-${toneOf(status)}`} aria-hidden />;
}

/** The mark and, unless there is no room, the word. */
export function Status({ status, iconOnly }: { status: string; iconOnly?: boolean }) {
  const word = wordOf(status);
  return (
    <span className={`status tone-${toneOf(status)}`} title={iconOnly ? word : undefined}>
      <StatusIcon status={status} />
      <span className={iconOnly ? "hidden-text" : undefined}>{word}</span>
    </span>
  );
}
