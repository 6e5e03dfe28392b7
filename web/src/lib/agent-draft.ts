// An agent as it is edited: what stands in the fields, and what it means.
import { type Agent, type AgentSpec, type Effort, FIRST_SPEC, type Json, type ToolRule } from "@/api/agents-types";
import { nanoOf } from "./money";
import { isPattern } from "./tool-patterns";

export interface AgentDraft {
  name: string;
  title: string;
  description: string;
  model: string;
  instructions: string;
  tools: ToolRule[];
  turns: string;
  tokens: string;
  seconds: string;
  cost: string;
  parallel: string;
  answer: string;
  temperature: string;
  maxOutput: string;
  effort: Effort | "";
  metadata: string;
  capabilities: string;
  settings: string;
}

const pretty = (value: unknown) => JSON.stringify(value ?? {}, null, 2);
const text = (value: number | null | undefined) => (value === null || value === undefined ? "" : String(value));

export function draftOf(
  agent?: Pick<Agent, "name" | "title" | "description" | "metadata" | "capabilities" | "settings" | "spec">,
): AgentDraft {
  const spec = agent?.spec ?? FIRST_SPEC;
  const limits = { ...FIRST_SPEC.limits, ...spec.limits };
  return {
    name: agent?.name ?? "",
    title: agent?.title ?? "",
    description: agent?.description ?? "",
    model: spec.model ?? "default",
    instructions: spec.instructions ?? "",
    tools: spec.tools ?? [],
    turns: text(limits.turns),
    tokens: text(limits.tokens),
    seconds: text(limits.seconds),
    cost: limits.cost_nano_usd === null ? "" : String(limits.cost_nano_usd / 1_000_000_000),
    parallel: text(limits.parallel_tool_calls),
    answer: spec.answer_schema ? pretty(spec.answer_schema) : "",
    temperature: text(spec.temperature),
    maxOutput: text(spec.max_output_tokens),
    effort: spec.reasoning_effort ?? "",
    metadata: pretty(agent?.metadata),
    capabilities: pretty(agent?.capabilities),
    settings: pretty(agent?.settings),
  };
}

export interface AgentInput {
  name: string;
  title: string;
  description: string;
  metadata: Json;
  capabilities: Json;
  settings: Json;
  spec: AgentSpec;
}

export type Wrong = Partial<Record<keyof AgentDraft, string>>;

const NAME = /^[a-z][a-z0-9_-]{0,63}$/;
const MOST_INSTRUCTIONS = 100_000;

/** A whole number within its bounds. */
function whole(typed: string, min: number, max: number): number | string {
  const value = Number(typed);
  if (typed.trim() === "" || !Number.isInteger(value)) return "A whole number is needed.";
  if (value < min || value > max) return `${min.toLocaleString("en")} to ${max.toLocaleString("en")}.`;
  return value;
}

/** A JSON object, or why it is none. */
export function jsonObject(typed: string): { value: Json } | { wrong: string } {
  if (!typed.trim()) return { value: {} };
  try {
    const value: unknown = JSON.parse(typed);
    if (typeof value !== "object" || value === null || Array.isArray(value))
      return { wrong: "A JSON object is needed." };
    return { value: value as Json };
  } catch (error) {
    return { wrong: `This is no JSON: ${error instanceof Error ? error.message : String(error)}` };
  }
}

const TYPES = ["object", "array", "string", "number", "integer", "boolean", "null"];

/** What is plainly wrong with a schema of an answer; the server checks the rest. */
export function schemaFault(schema: Json): string | undefined {
  const { type, properties, required } = schema;
  if (type !== undefined && ![type].flat().every((each) => TYPES.includes(String(each))))
    return `There is no type ${JSON.stringify(type)}.`;
  if (properties !== undefined && (typeof properties !== "object" || properties === null || Array.isArray(properties)))
    return "`properties` has to be an object.";
  if (required !== undefined && !Array.isArray(required)) return "`required` has to be a list of names.";
  const missing = (Array.isArray(required) ? required : []).find(
    (name) => !(String(name) in ((properties ?? {}) as Json)),
  );
  if (missing !== undefined && properties) return `“${String(missing)}” is required but is no property.`;
  for (const [name, part] of Object.entries((properties ?? {}) as Json)) {
    if (typeof part !== "object" || part === null) continue;
    const inner = schemaFault(part as Json);
    if (inner) return `${name}: ${inner}`;
  }
  return undefined;
}

export function readDraft(draft: AgentDraft): { input: AgentInput; wrong: Wrong } {
  const wrong: Wrong = {};
  const number = (field: "turns" | "tokens" | "seconds" | "parallel", min: number, max: number): number => {
    const read = whole(draft[field], min, max);
    if (typeof read === "number") return read;
    wrong[field] = read;
    return min;
  };
  const object = (field: "metadata" | "capabilities" | "settings"): Json => {
    const read = jsonObject(draft[field]);
    if ("value" in read) return read.value;
    wrong[field] = read.wrong;
    return {};
  };
  const name = draft.name.trim();
  if (!NAME.test(name)) wrong.name = "Small letters, digits, - and _, beginning with a letter.";
  if (draft.instructions.length > MOST_INSTRUCTIONS) wrong.instructions = "At most 100,000 characters.";
  const bad = draft.tools.find((tool) => !isPattern(tool.name));
  if (bad) wrong.tools = `“${bad.name}” is no name and no pattern.`;
  const spec: AgentSpec = {
    model: draft.model.trim() || "default",
    instructions: draft.instructions,
    tools: draft.tools,
    limits: {
      turns: number("turns", 1, 200),
      tokens: number("tokens", 1, 100_000_000),
      seconds: number("seconds", 1, 86_400),
      cost_nano_usd: costOf(draft.cost, wrong),
      parallel_tool_calls: number("parallel", 1, 32),
    },
    answer_schema: schemaOf(draft.answer, wrong),
    temperature: temperatureOf(draft.temperature, wrong),
    max_output_tokens: maxOutputOf(draft.maxOutput, wrong),
    reasoning_effort: draft.effort || null,
  };
  const input: AgentInput = {
    name,
    title: draft.title.trim() || name,
    description: draft.description,
    metadata: object("metadata"),
    capabilities: object("capabilities"),
    settings: object("settings"),
    spec,
  };
  return { input, wrong };
}

function costOf(typed: string, wrong: Wrong): number | null {
  if (!typed.trim()) return null;
  const nano = nanoOf(typed);
  if (nano !== undefined) return nano;
  wrong.cost = "An amount in dollars, such as 0.50.";
  return null;
}

function schemaOf(typed: string, wrong: Wrong): Json | null {
  if (!typed.trim()) return null;
  const read = jsonObject(typed);
  const fault = "wrong" in read ? read.wrong : schemaFault(read.value);
  if (fault) wrong.answer = fault;
  return "value" in read ? read.value : null;
}

function temperatureOf(typed: string, wrong: Wrong): number | null {
  if (!typed.trim()) return null;
  const value = Number(typed);
  if (Number.isFinite(value) && value >= 0 && value <= 2) return value;
  wrong.temperature = "0 to 2.";
  return null;
}

function maxOutputOf(typed: string, wrong: Wrong): number | null {
  if (!typed.trim()) return null;
  const read = whole(typed, 1, 10_000_000);
  if (typeof read === "number") return read;
  wrong.maxOutput = read;
  return null;
}

const FIELDS: Record<string, keyof AgentDraft> = {
  model: "model",
  instructions: "instructions",
  tools: "tools",
  answer_schema: "answer",
  temperature: "temperature",
  max_output_tokens: "maxOutput",
  reasoning_effort: "effort",
  turns: "turns",
  tokens: "tokens",
  seconds: "seconds",
  cost_nano_usd: "cost",
  parallel_tool_calls: "parallel",
};

/** The server's findings by the field that they are about. */
export function wrongOf(errors: readonly { pointer: string; detail: string }[]): Wrong {
  const wrong: Wrong = {};
  for (const { pointer, detail } of errors) {
    const parts = pointer.split("/").slice(1);
    const [first = "", second = "", third = ""] = parts;
    const field = first === "spec" ? (FIELDS[second === "limits" ? third : second] ?? "instructions") : first;
    wrong[field as keyof AgentDraft] ??= detail;
  }
  return wrong;
}
