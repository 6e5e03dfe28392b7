// What happened inside of a step. Of an agent: its beginning (`open`), turns (`t1`), calls of tools (`t1.c0`), questions
// (`t1.c0.ask`) and its end (`close`). Of a list that is worked through: its items (`i0`). Of another workflow: its `run`.
import type { Step } from "@/api/types";

export type ChildStep = Step;

/** What a child called. */
export function callOf(step: Step): { operation: string; input?: unknown } | undefined {
  const { call } = step as { call?: { operation?: unknown; input?: unknown } | null };
  return typeof call?.operation === "string" ? { operation: call.operation, input: call.input } : undefined;
}

const CHILD = /(?:^|[./])(?:[ti]\d+(?:[./]|$)|(?:open|close|run)$)/;

export function isChild(step: Pick<Step, "path">): boolean {
  return CHILD.test(step.path);
}

/** The run that a child is; its id once it has begun. */
export function childRunOf(step: Step): { workflow: string; id?: string; input?: unknown } | undefined {
  const { workflow, run_id, input } = (step.call ?? {}) as Record<string, unknown>;
  if (typeof workflow !== "string") return undefined;
  return { workflow, id: typeof run_id === "string" ? run_id : undefined, input };
}

/** The place in its list of the item that a path such as `i3` or `2/i3` belongs to, from 0. */
export function itemOf(path: string): number | undefined {
  const found = /(?:^|[./])i(\d+)(?:[./]|$)/.exec(path)?.[1];
  return found === undefined ? undefined : Number(found);
}

/** The number of the turn that a path such as `t2` or `t2.c0` belongs to. */
export function turnOf(path: string): number | undefined {
  const found = /(?:^|[./])t(\d+)(?:[./]|$)/.exec(path)?.[1];
  return found === undefined ? undefined : Number(found);
}

/** How deep below its node: a turn 1, a call 2, a question 3. */
export function depthOf(path: string): number {
  if (!CHILD.test(path)) return 0;
  return path.slice(path.search(CHILD)).replace(/^[./]/, "").split(".").length;
}

/** What a child did, in words. */
export function childWord(step: ChildStep): string {
  const call = /\.c(\d+)/.exec(step.path);
  if (step.path.endsWith(".ask")) return "Asks a person";
  const edge = /(open|close)$/.exec(step.path)?.[1];
  if (edge) return edge === "open" ? "Begins" : "Ends";
  const item = itemOf(step.path);
  if (item !== undefined) return `Item ${item}`;
  if (step.path.endsWith("run")) return childRunOf(step)?.workflow ?? "Run";
  if (call) return callOf(step)?.operation ?? `Call ${Number(call[1]) + 1}`;
  return `Turn ${turnOf(step.path) ?? ""}`.trim();
}

/** In the order of the turns and calls, as numbers rather than as text. */
export function byPath(a: Pick<Step, "path">, b: Pick<Step, "path">): number {
  const place = ({ path }: Pick<Step, "path">) => (path.endsWith("open") ? 0 : path.endsWith("close") ? 2 : 1);
  return place(a) - place(b) || a.path.localeCompare(b.path, "en", { numeric: true });
}

export interface Spent {
  input?: number | null;
  output?: number | null;
  cost?: number | null;
  model?: string;
}

/** Tokens and cost that a step's output tells of: an agent's in `usage`, a turn's beside its other fields. */
export function spentOf(output: unknown): Spent | undefined {
  if (typeof output !== "object" || output === null) return undefined;
  const { usage, cost_nano_usd, model, input_tokens, output_tokens } = output as Record<string, unknown>;
  const told = typeof usage === "object" && usage !== null ? usage : { input: input_tokens, output: output_tokens };
  const tokens = told as Record<string, unknown>;
  if (typeof usage !== "object" && cost_nano_usd === undefined) return undefined;
  const number = (value: unknown) => (typeof value === "number" ? value : null);
  return {
    input: number(tokens.input),
    output: number(tokens.output),
    cost: number(cost_nano_usd),
    model: typeof model === "string" ? model : undefined,
  };
}
