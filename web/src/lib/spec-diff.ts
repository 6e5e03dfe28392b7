// What differs between two versions of an agent, as fields with before and after.
import type { AgentSpec } from "@/api/agents-types";

type Changes = Record<string, { before?: unknown; after?: unknown }>;

export function specChanges(before: AgentSpec, after: AgentSpec): Changes {
  const changes: Changes = {};
  const put = (field: string, a: unknown, b: unknown) => {
    if (JSON.stringify(a ?? null) !== JSON.stringify(b ?? null))
      changes[field] = { before: a ?? null, after: b ?? null };
  };
  put("model", before.model, after.model);
  put("instructions", before.instructions, after.instructions);
  put("tools", toolLines(before), toolLines(after));
  for (const name of ["turns", "tokens", "seconds", "cost_nano_usd", "parallel_tool_calls"] as const) {
    put(`limit ${name}`, before.limits?.[name], after.limits?.[name]);
  }
  put("answer_schema", pretty(before.answer_schema), pretty(after.answer_schema));
  put("temperature", before.temperature, after.temperature);
  put("max_output_tokens", before.max_output_tokens, after.max_output_tokens);
  put("reasoning_effort", before.reasoning_effort, after.reasoning_effort);
  return changes;
}

/** Lines, so that one changed rule is one changed line. */
function toolLines(spec: AgentSpec): string {
  return (spec.tools ?? []).map((tool) => `${tool.name} (asks ${tool.approval ?? "changes"})`).join("\n");
}

function pretty(value: unknown): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value, null, 2);
}
