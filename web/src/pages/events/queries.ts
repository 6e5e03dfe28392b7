import { useQuery } from "@tanstack/react-query";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { usePages } from "@/api/lists";
import { useMay } from "@/api/session";
import type { LogEvent, Page } from "@/api/types";
import type { EventsFilter } from "@/lib/event-filter";
import { spanOfId } from "@/lib/uuid-time";

const PAGE = 100;
const LARGE_PAGE = 200;

export async function fetchEvents(
  { kinds, subject, actor, from, until, oldest }: EventsFilter,
  since?: string,
  signal?: AbortSignal,
  limit = PAGE,
): Promise<Page<LogEvent>> {
  const query = { kinds, subject, actor_id: actor, from, until, oldest_first: oldest, since, limit };
  const page = await take(api.GET("/audit", { params: { query }, signal }));
  // The oldest first there is always a place from which to follow what comes; a page that is not full is the last.
  return page.items.length < limit ? { ...page, next_cursor: null } : page;
}

/** The audit trail: the newest first, unless the filter says otherwise. */
export function useTrailEvents(filter: EventsFilter) {
  return usePages<LogEvent>({
    queryKey: keys.audit(filter),
    fetch: (since, signal) => fetchEvents(filter, since, signal),
  });
}

/** The log gives no event by its id; but an id tells when it was made, and so where to look. */
const MOST_PAGES = 10;

export function useEvent(id: string, kind?: string, enabled = true) {
  const may = useMay();
  return useQuery({
    queryKey: ["event", id],
    queryFn: async ({ signal }): Promise<LogEvent | null> => {
      const span = spanOfId(id);
      if (!span) return null;
      let cursor: string | undefined;
      for (let page = 0; page < MOST_PAGES; page++) {
        const { items, next_cursor } = await fetchEvents(
          { ...span, kinds: kind, oldest: true },
          cursor,
          signal,
          LARGE_PAGE,
        );
        const found = items.find((event) => event.id === id);
        if (found) return found;
        cursor = next_cursor ?? undefined;
        if (!cursor) break;
      }
      return null;
    },
    enabled: enabled && may("audit:read"),
    // What happened stays as it was.
    staleTime: Number.POSITIVE_INFINITY,
  });
}

const AROUND_MS = 15_000;

/** What belongs to the same request or run, from around the same time, the oldest first. */
export function useStory(event: LogEvent) {
  const may = useMay();
  const at = new Date(event.at).getTime();
  const span = { from: new Date(at - AROUND_MS).toISOString(), until: new Date(at + AROUND_MS).toISOString() };
  return useQuery({
    queryKey: ["story", event.correlation, event.id],
    queryFn: async ({ signal }) => {
      const { items } = await fetchEvents({ ...span, oldest: true }, undefined, signal, LARGE_PAGE);
      return items.filter((each) => each.correlation === event.correlation);
    },
    enabled: may("audit:read"),
    staleTime: AROUND_MS,
  });
}

/** So many events are written to a file at most. */
export const MOST_EXPORTED = 20_000;

/** Everything that fits, the oldest first, one event on each line. */
export async function exportEvents(filter: EventsFilter, tell: (count: number) => void, signal: AbortSignal) {
  const lines: string[] = [];
  let cursor: string | undefined;
  // What happens meanwhile is left for the next export: else it might never end.
  const until = filter.until ?? new Date().toISOString();
  do {
    const page = await fetchEvents({ ...filter, until, oldest: true }, cursor, signal, LARGE_PAGE);
    for (const event of page.items) lines.push(JSON.stringify(event));
    tell(lines.length);
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined && lines.length < MOST_EXPORTED);
  return { text: `${lines.join("\n")}\n`, count: lines.length, cut: cursor !== undefined };
}
