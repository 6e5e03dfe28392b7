// Which events a list shows, and what one event has to do with others.
import type { LogEvent } from "@/api/types";

export interface EventsFilter {
  kinds?: string;
  subject?: string;
  /** Who did it, or for whom: an id. */
  actor?: string;
  /** From this moment on, in ISO 8601. */
  from?: string;
  until?: string;
  /** The oldest first. */
  oldest?: boolean;
}

export function isFilteredBy({ kinds, subject, actor, from, until }: EventsFilter): boolean {
  return Boolean(kinds || subject || actor || from || until);
}

export function matches(event: LogEvent, { kinds, subject, actor, from, until }: EventsFilter): boolean {
  if (subject && event.subject !== subject) return false;
  if (actor && event.actor.id !== actor && event.on_behalf_of?.id !== actor) return false;
  const at = new Date(event.at).getTime();
  if (from && at < new Date(from).getTime()) return false;
  if (until && at >= new Date(until).getTime()) return false;
  if (!kinds) return true;
  return kinds
    .split(",")
    .some((kind) => (kind.endsWith(".*") ? event.kind.startsWith(kind.slice(0, -1)) : event.kind === kind));
}

/** The runs and patch sets among events, each once. */
export function namedIn(events: readonly LogEvent[], noun: "run" | "patch_set"): string[] {
  const start = `${noun}:`;
  const found = events
    .filter(({ subject }) => subject.startsWith(start))
    .map(({ subject }) => subject.slice(start.length));
  return [...new Set(found)];
}

/** A moment as the field of a form shows it, in local time; and back. */
export function localOf(at: string | undefined): string {
  if (!at) return "";
  const date = new Date(at);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

export function momentOf(local: string): string | undefined {
  const date = new Date(local);
  return local === "" || Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}
