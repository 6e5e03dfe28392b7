// The messages of a conversation as they are cached: pages of the branch in sight, newest first.
import type { InfiniteData } from "@tanstack/react-query";
import type { Message } from "@/api/agents-types";
import type { Page } from "@/api/types";

export type MessagePages = InfiniteData<Page<Message>, string | undefined>;

/** Puts messages, newest first, on top of the branch. */
export function withNewest(pages: MessagePages | undefined, fresh: readonly Message[]): MessagePages {
  const ids = new Set(fresh.map((message) => message.id));
  const [first, ...rest] = pages?.pages ?? [];
  const kept = first?.items.filter((message) => !ids.has(message.id)) ?? [];
  return {
    pages: [{ ...first, items: [...fresh, ...kept] }, ...rest],
    pageParams: pages?.pageParams.length ? pages.pageParams : [undefined],
  };
}

/** Another branch begins at `id`: it and all that came after it are replaced. */
export function replacedFrom(pages: MessagePages | undefined, id: string, fresh: readonly Message[]): MessagePages {
  if (!pages) return withNewest(pages, fresh);
  let found = false;
  const kept = pages.pages.map((page) => {
    if (found) return page;
    const at = page.items.findIndex((message) => message.id === id);
    found = at >= 0;
    return { ...page, items: at >= 0 ? page.items.slice(at + 1) : [] };
  });
  return found ? withNewest({ ...pages, pages: kept }, fresh) : withNewest(pages, fresh);
}

/** Oldest first, each once. */
export function threadOf(items: readonly Message[]): Message[] {
  const seen = new Map<string, Message>();
  for (const message of items) if (!seen.has(message.id)) seen.set(message.id, message);
  return [...seen.values()].reverse();
}

const SENTENCE = /[.!?:;](?=\s)|\n/g;

/** Where the last whole sentence of a text ends that is still being written. */
export function spokenTo(text: string, from: number): number {
  let end = from;
  SENTENCE.lastIndex = from;
  for (let found = SENTENCE.exec(text); found; found = SENTENCE.exec(text)) end = found.index + 1;
  return end;
}

const REASONS: Record<string, string> = {
  turns: "It reached its limit of turns.",
  tokens: "It reached its limit of tokens.",
  seconds: "It reached its limit of time.",
  cost: "It reached its limit of cost.",
  loop: "It went in circles, and was stopped.",
  cancelled: "It was stopped.",
};

export function stopWords(stop: Message["stop"]): string {
  if (!stop) return "It was stopped.";
  const detail = typeof stop.detail === "string" ? ` ${stop.detail}` : "";
  return (REASONS[stop.reason] ?? `It was stopped: ${stop.reason}.`) + detail;
}
