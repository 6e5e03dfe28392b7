// An agent's figures in words.
import type { AgentFigures } from "@/api/agents-types";

/** "92 %" of the runs that came to an end of their own; undefined while there is none. */
export function successOf(figures: AgentFigures): string | undefined {
  const ended = figures.succeeded + figures.failed + figures.stopped;
  return ended === 0 ? undefined : `${Math.round((figures.succeeded / ended) * 100)} %`;
}
