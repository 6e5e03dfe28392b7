// A reply as parts to draw: what the server has kept of it, then what is being said, with how its tool calls stand.
import type { Message, MessagePart } from "@/api/agents-types";
import { type ChildStep, callOf, isChild, turnOf } from "@/lib/agent-steps";
import type { LivePart, LiveTurns } from "@/lib/live-turns";

export type ToolStatus = "writing" | "running" | "waiting" | "done" | "failed" | "rejected" | "stopped";

export type ReplyPart =
  | { type: "text" | "thinking"; text: string; live: boolean }
  | {
      type: "tool";
      path: string;
      name: string;
      /** A text while it is being written. */
      arguments: unknown;
      status: ToolStatus;
      result: unknown;
      error?: unknown;
    };

type ToolReply = Extract<ReplyPart, { type: "tool" }>;

const TOOL_PATH = /(?:^|[./])t(\d+)\.c(\d+)$/;
const TURN_PATH = /(?:^|[./])t\d+$/;

export function isGoing(message: Pick<Message, "status">): boolean {
  return message.status === "running" || message.status === "waiting";
}

export function replyParts(
  message: Pick<Message, "status" | "parts" | "text">,
  turns: LiveTurns,
  steps: readonly ChildStep[],
  /** The name of an operation by the one that models use for it. */
  nameOf: (wireName: string) => string = (name) => name,
): ReplyPart[] {
  const kept = message.parts.map(keptPart);
  if (!isGoing(message)) {
    const told = kept.some((part) => part.type === "text");
    return told || !message.text ? kept : [...kept, { type: "text", text: message.text, live: false }];
  }
  const paths = new Set(message.parts.flatMap((part) => (part.type === "tool_call" ? [part.path] : [])));
  const last = Math.max(-1, ...[...paths].map((path) => turnOf(path) ?? -1));
  const open = steps.filter((step) => isChild(step) && !paths.has(step.path));
  const numbers = new Set<number>();
  for (const { path } of [...turns, ...open]) numbers.add(turnOf(path) ?? 0);
  const more = [...numbers]
    .sort((a, b) => a - b)
    .flatMap((number) => {
      const own = open.filter((step) => turnOf(step.path) === number);
      // Of a turn that is kept, a call may still be under way.
      if (number <= last) return own.filter((step) => TOOL_PATH.test(step.path)).map((step) => toolPart(step, own));
      const said = turns
        .filter((turn) => (turnOf(turn.path) ?? 0) === number)
        .map(({ path, parts }) => ({ path, parts }));
      return (said.length ? said : own.flatMap(saidIn)).flatMap((turn) => turnParts(turn, own, nameOf));
    });
  return [...kept, ...more];
}

function keptPart(part: MessagePart): ReplyPart {
  if (part.type !== "tool_call") return { type: part.type, text: part.text, live: false };
  const { path, name, arguments: given, status, result } = part;
  return { type: "tool", path, name, arguments: given, status, result };
}

const STATUS: Record<string, ToolStatus> = {
  pending: "running",
  running: "running",
  waiting: "waiting",
  succeeded: "done",
  failed: "failed",
  skipped: "stopped",
};

function toolPart(step: ChildStep, own: readonly ChildStep[]): ToolReply {
  return {
    type: "tool",
    path: step.path,
    name: callOf(step)?.operation ?? step.path,
    arguments: callOf(step)?.input,
    status: asked(step.path, own) ? "waiting" : (STATUS[step.status] ?? "running"),
    result: step.output,
    error: step.error ?? undefined,
  };
}

/** Whether a person was asked and has not decided. */
function asked(path: string, own: readonly ChildStep[]): boolean {
  return own.some((step) => step.path === `${path}.ask` && step.status === "waiting");
}

interface Said {
  path: string;
  parts: readonly LivePart[];
}

/** What a turn said, from its step's output: for who comes when it is over already. */
function saidIn(step: ChildStep): Said[] {
  if (!TURN_PATH.test(step.path)) return [];
  const content = (step.output as { message?: { content?: unknown } } | null)?.message?.content;
  const told = typeof content === "string" ? [{ type: "text", text: content }] : Array.isArray(content) ? content : [];
  let index = 0;
  const parts = told.flatMap((part): LivePart[] => {
    const { type, text, id, name, arguments: given } = (part ?? {}) as Record<string, unknown>;
    if ((type === "text" || type === "thinking") && typeof text === "string" && text) return [{ type, text }];
    if (type !== "tool_call") return [];
    const written = typeof given === "string" ? given : JSON.stringify(given ?? {});
    return [{ type, index: index++, id: String(id), name: String(name), arguments: written }];
  });
  return [{ path: step.path, parts }];
}

function turnParts(turn: Said, own: readonly ChildStep[], nameOf: (name: string) => string): ReplyPart[] {
  const calls = own.filter((step) => TOOL_PATH.test(step.path));
  const over = own.some((step) => step.path === turn.path && step.status === "succeeded") || calls.length > 0;
  const found = new Set<string>();
  const parts = turn.parts.map((part, index): ReplyPart => {
    if (part.type !== "tool_call") {
      return { type: part.type, text: part.text, live: !over && index === turn.parts.length - 1 };
    }
    const path = `${turn.path}.c${part.index}`;
    const step = calls.find((call) => call.path === path);
    found.add(path);
    const given = tryJson(part.arguments);
    if (step) {
      const known = toolPart(step, own);
      return { ...known, name: callOf(step)?.operation ?? nameOf(part.name), arguments: known.arguments ?? given };
    }
    const status = asked(path, own) ? "waiting" : over ? "running" : "writing";
    return { type: "tool", path, name: nameOf(part.name), arguments: given, status, result: null };
  });
  return [...parts, ...calls.filter((call) => !found.has(call.path)).map((call) => toolPart(call, own))];
}

/** What keeps a reply waiting: a person, or the next try of a call that failed. */
export function waitOf(
  steps: readonly ChildStep[],
): { for: "person" } | { for: "try"; at: string; message?: string } | undefined {
  for (const step of steps) {
    if (!isChild(step) || step.status !== "waiting") continue;
    if (step.path.endsWith(".ask")) return { for: "person" };
    const message = (step.error as { message?: unknown } | null)?.message;
    if (step.wait_until)
      return { for: "try", at: step.wait_until, message: typeof message === "string" ? message : undefined };
  }
  return undefined;
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** Where a message stands among its siblings, from one, and the ones beside it. */
export function branchOf(
  message: Pick<Message, "id" | "siblings">,
): { at: number; of: number; before?: string; after?: string } | undefined {
  const { siblings } = message;
  const place = siblings.indexOf(message.id);
  if (siblings.length < 2 || place < 0) return undefined;
  return { at: place + 1, of: siblings.length, before: siblings[place - 1], after: siblings[place + 1] };
}

/** The patch set that a call of `patches.apply` or `patches.undo` made. */
export function patchSetOf(part: ToolReply): string | undefined {
  if (part.name !== "patches.apply" || part.status !== "done") return undefined;
  const set = (part.result as { patch_set_id?: unknown } | null)?.patch_set_id;
  return typeof set === "string" ? set : undefined;
}

const ABOUT_CHARACTERS = 80;

/** What a call was given, in one line. */
export function brief(given: unknown): string {
  if (given === null || given === undefined || given === "") return "";
  if (typeof given === "string") return given.slice(0, ABOUT_CHARACTERS);
  if (typeof given !== "object") return String(given);
  const text = Object.entries(given)
    .map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
  return text.length > ABOUT_CHARACTERS ? `${text.slice(0, ABOUT_CHARACTERS)}…` : text;
}
