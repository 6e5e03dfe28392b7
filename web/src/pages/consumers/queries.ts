// What acts on events, and the events that it gave up.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { usePages } from "@/api/lists";
import { useMay } from "@/api/session";
import type { DeadLetter, Page } from "@/api/types";

/** Nothing tells of a consumer that falls behind. */
const LOOK_EVERY_MS = 5_000;

export function useConsumers(enabled = true) {
  const may = useMay();
  return useQuery({
    queryKey: keys.consumers,
    queryFn: ({ signal }) => take(api.GET("/consumers", { signal })),
    enabled: enabled && may("events:read"),
    refetchInterval: LOOK_EVERY_MS,
  });
}

function fetchLetters(consumer?: string, cursor?: string, signal?: AbortSignal): Promise<Page<DeadLetter>> {
  return take(api.GET("/dead-letters", { params: { query: { consumer, cursor, limit: 100 } }, signal }));
}

export function useLetters(consumer?: string) {
  const may = useMay();
  return usePages<DeadLetter>({
    queryKey: keys.deadLetters(consumer ?? "all"),
    fetch: (cursor, signal) => fetchLetters(consumer, cursor, signal),
    enabled: may("events:manage"),
  });
}

/** So many are taken at most when all are meant. */
const MOST = 10_000;

/** The ids of all letters, of one consumer if one is named. */
export async function allLetters(consumer: string | undefined, tell: (count: number) => void): Promise<string[]> {
  const ids = new Set<string>();
  let cursor: string | undefined;
  do {
    const page = await fetchLetters(consumer, cursor);
    for (const letter of page.items) ids.add(letter.id);
    tell(ids.size);
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined && ids.size < MOST);
  return [...ids];
}

export type LetterDeed = "replay" | "drop";

export async function doToLetters(deed: LetterDeed, ids: string[]): Promise<number> {
  const body = { ids };
  const answer =
    deed === "replay" ? api.POST("/dead-letters/replay", { body }) : api.POST("/dead-letters/drop", { body });
  return (await take<{ count: number }>(answer)).count;
}

export function useFreshLetters() {
  const client = useQueryClient();
  return () => {
    void client.invalidateQueries({ queryKey: keys.deadLetters() });
    void client.invalidateQueries({ queryKey: keys.consumers });
  };
}
