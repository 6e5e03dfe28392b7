// Which operations an agent may call: patterns such as `tasks.list`, `tasks.*`, `mcp.github.*`.
import type { AskWhen, ToolRule } from "@/api/agents-types";

export interface Callable {
  name: string;
  title: string;
  about?: string;
  effect: string;
  destructive: boolean;
}

export function fits(pattern: string, name: string): boolean {
  if (pattern === "*") return true;
  if (pattern.endsWith(".*")) return name.startsWith(pattern.slice(0, -1));
  return pattern === name;
}

const PATTERN = /^(?:\*|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*(?:\.\*)?)$/i;

export function isPattern(text: string): boolean {
  return PATTERN.test(text);
}

/** Whether a person is asked before such a call. */
export function asks(when: AskWhen | undefined, operation: Pick<Callable, "effect">): boolean {
  if (when === "always") return true;
  return (when ?? "changes") === "changes" && operation.effect !== "read";
}

/** The rule that holds for an operation: the most exact one. */
export function ruleFor(rules: readonly ToolRule[], name: string): ToolRule | undefined {
  return rules
    .filter((rule) => fits(rule.name, name))
    .toSorted(
      (a, b) => Number(a.name.includes("*")) - Number(b.name.includes("*")) || b.name.length - a.name.length,
    )[0];
}

/** How many operations each rule reaches. */
export function reach(rules: readonly ToolRule[], operations: readonly Callable[]): Map<string, number> {
  return new Map(rules.map((rule) => [rule.name, operations.filter((each) => fits(rule.name, each.name)).length]));
}

/** What agents are mostly for comes first. */
const FIRST = ["tasks", "projects", "patches", "workflows", "runs", "memory", "approvals", "agents", "events"];

/** The nouns of the operations, to offer them as patterns. */
export function nouns(operations: readonly Callable[]): string[] {
  const rank = (noun: string) => (FIRST.includes(noun) ? FIRST.indexOf(noun) : FIRST.length);
  return [...new Set(operations.map((each) => each.name.slice(0, each.name.lastIndexOf("."))))]
    .filter(Boolean)
    .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}
