// Agents and conversations as the contract has them, until the served schema names these shapes.
import type { Actor } from "./types";

export type AskWhen = "never" | "always" | "changes";
export type Effort = "minimal" | "low" | "medium" | "high";
export type AgentStatus = "active" | "paused" | "archived";
export type Json = Record<string, unknown>;

export interface ToolRule {
  name: string;
  approval?: AskWhen;
}

export interface AgentLimits {
  turns: number;
  tokens: number;
  seconds: number;
  cost_nano_usd: number | null;
  parallel_tool_calls: number;
}

export interface AgentSpec {
  model: string;
  instructions: string;
  tools: ToolRule[];
  limits: AgentLimits;
  answer_schema: Json | null;
  temperature: number | null;
  max_output_tokens: number | null;
  reasoning_effort: Effort | null;
}

export interface AgentFigures {
  runs: number;
  succeeded: number;
  failed: number;
  stopped: number;
  turns: number;
  tool_calls: number;
  tool_errors: number;
  input_tokens: number;
  output_tokens: number;
  /** What is known of the cost. */
  cost_nano_usd: number | null;
  mean_ms: number | null;
  last_run_at: string | null;
}

export interface Agent {
  id: string;
  name: string;
  title: string;
  description: string;
  status: AgentStatus;
  metadata: Json;
  capabilities: Json;
  settings: Json;
  performance_metrics: AgentFigures;
  version: number;
  spec: AgentSpec;
  created_by: Actor | null;
  created_at: string;
  updated_at: string;
  revision: number;
}

export interface AgentVersion {
  version: number;
  spec: AgentSpec;
  created_by: Actor | null;
  created_at: string;
  note: string | null;
}

export interface AgentTool {
  name: string;
  wire_name: string;
  title: string;
  description: string;
  effect: string;
  destructive: boolean;
  /** Whether a person is asked first. */
  asks: boolean;
}

export interface AgentTools {
  items: AgentTool[];
  /** Patterns that match nothing. */
  unknown: string[];
}

export interface Participant {
  user_id: string;
  name: string;
  role: "owner" | "member";
}

export interface Conversation {
  id: string;
  agent_id: string;
  agent_name: string;
  agent_title: string;
  agent_version: number;
  title: string;
  status: "active" | "archived";
  head: string | null;
  /** The run of the newest reply while it is not over. */
  run_id: string | null;
  participants: Participant[];
  created_by: Actor | null;
  created_at: string;
  updated_at: string;
  revision: number;
}

export interface TextPart {
  type: "text";
  text: string;
}
export interface ThinkingPart {
  type: "thinking";
  text: string;
}
export interface ToolPart {
  type: "tool_call";
  id: string;
  name: string;
  arguments: unknown;
  status: "done" | "failed" | "rejected";
  result: unknown;
  path: string;
}
export type MessagePart = TextPart | ThinkingPart | ToolPart;
export type MessageStatus = "done" | "running" | "waiting" | "stopped" | "failed";

export interface Message {
  id: string;
  conversation_id: string;
  parent_id: string | null;
  /** In order, itself included. */
  siblings: string[];
  role: "user" | "assistant";
  author: Actor;
  status: MessageStatus;
  text: string;
  parts: MessagePart[];
  run_id: string | null;
  model: string | null;
  usage: { input?: number | null; output?: number | null } | null;
  cost_nano_usd: number | null;
  stop: { reason: string; detail?: unknown } | null;
  error: { code: string; message: string } | null;
  created_at: string;
  finished_at: string | null;
}

export interface Sent {
  message: Message;
  reply: Message;
  run_id: string;
}

export type Retried = Pick<Sent, "reply" | "run_id">;

/** What an approval of a tool call carries as its detail. */
export interface ToolAsked {
  kind: "tool_call";
  agent?: { id: string; name: string };
  tool: string;
  title?: string;
  input: unknown;
  preview?: unknown;
}

export function toolAsked(detail: unknown): ToolAsked | undefined {
  const told = detail as ToolAsked | null | undefined;
  return typeof told === "object" && told?.kind === "tool_call" && typeof told.tool === "string" ? told : undefined;
}

export const FIRST_SPEC: AgentSpec = {
  model: "default",
  instructions: "",
  tools: [],
  limits: { turns: 20, tokens: 500_000, seconds: 600, cost_nano_usd: null, parallel_tool_calls: 8 },
  answer_schema: null,
  temperature: null,
  max_output_tokens: null,
  reasoning_effort: null,
};
