// What an agent did inside of its step: turns (`t1`), calls of tools (`t1.c0`) and questions (`t1.c0.ask`).
import type { Step } from "@/api/types";

export type ChildStep = Step;

/** What a child called. */
export function callOf(step: Step): { operation: string; input?: unknown } | undefined {
  const { call } = step as { call?: { operation?: unknown; input?: unknown } | null };
  return typeof call?.operation === "string" ? { operation: call.operation, input: call.input } : undefined;
}

const CHILD = /(?:^|[./])t\d+(?:[./]|$)/;

export function isChild(step: Pick<Step, "path">): boolean {
  return CHILD.test(step.path);
}

/** The number of the turn that a path such as `t2` or `t2.c0` belongs to. */
export function turnOf(path: string): number | undefined {
  const found = /(?:^|[./])t(\d+)(?:[./]|$)/.exec(path)?.[1];
  return found === undefined ? undefined : Number(found);
}

/** How deep below its node: a turn 1, a call 2, a question 3. */
export function depthOf(path: string): number {
  if (!CHILD.test(path)) return 0;
  return path
    .slice(path.search(/(?:^|[./])t\d+/))
    .replace(/^[./]/, "")
    .split(".").length;
}

/** What a child did, in words. */
export function childWord(step: ChildStep): string {
  const call = /\.c(\d+)/.exec(step.path);
  if (step.path.endsWith(".ask")) return "Asks a person";
  if (call) return callOf(step)?.operation ?? `Call ${Number(call[1]) + 1}`;
  return `Turn ${turnOf(step.path) ?? ""}`.trim();
}

/** In the order of the turns and calls, as numbers rather than as text. */
export function byPath(a: Pick<Step, "path">, b: Pick<Step, "path">): number {
  return a.path.localeCompare(b.path, "en", { numeric: true });
}

export interface Spent {
  input?: number | null;
  output?: number | null;
  cost?: number | null;
  model?: string;
}

/** Tokens and cost that a step's output tells of. */
export function spentOf(output: unknown): Spent | undefined {
  if (typeof output !== "object" || output === null) return undefined;
  const { usage, cost_nano_usd, model } = output as Record<string, unknown>;
  const tokens = (typeof usage === "object" && usage !== null ? usage : {}) as Record<string, unknown>;
  if (typeof usage !== "object" && cost_nano_usd === undefined) return undefined;
  const number = (value: unknown) => (typeof value === "number" ? value : null);
  return {
    input: number(tokens.input),
    output: number(tokens.output),
    cost: number(cost_nano_usd),
    model: typeof model === "string" ? model : undefined,
  };
}
