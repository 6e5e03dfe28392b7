// Lists that come page by page.
import { type QueryKey, useInfiniteQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import type { Page } from "./types";

interface Fetched<T> {
  queryKey: QueryKey;
  fetch: (cursor: string | undefined, signal: AbortSignal) => Promise<Page<T>>;
  enabled?: boolean;
}

export function usePages<T>({ queryKey, fetch, enabled }: Fetched<T>) {
  const query = useInfiniteQuery({
    queryKey,
    queryFn: ({ pageParam, signal }) => fetch(pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    enabled,
  });
  // A row may move to another page while pages are asked for one after the other; it is shown once.
  const items = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  const more = useMemo(
    () => ({
      has: query.hasNextPage && !query.isFetchNextPageError,
      busy: query.isFetchingNextPage,
      load: () => void query.fetchNextPage(),
    }),
    [query.hasNextPage, query.isFetchNextPageError, query.isFetchingNextPage, query.fetchNextPage],
  );
  return { query, items, more };
}

/** The items, each once by its id. */
export function once<T>(items: readonly T[], idOf: (item: T) => string): T[] {
  const seen = new Map<string, T>();
  for (const item of items) if (!seen.has(idOf(item))) seen.set(idOf(item), item);
  return [...seen.values()];
}
