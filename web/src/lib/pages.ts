interface Paged<T> {
  pages: { items: T[]; next_cursor?: string | null }[];
  pageParams: (string | undefined)[];
}

/**
 * Puts a fresh first page on top of the pages that are loaded. When the two do not meet, something in between is
 * missing, and the fresh page stands alone.
 */
export function mergeNewest<T>(known: Paged<T>, fresh: Paged<T>["pages"][number], idOf: (item: T) => string): Paged<T> {
  const ids = new Set(known.pages.flatMap((page) => page.items.map(idOf)));
  const meets = fresh.items.some((item) => ids.has(idOf(item)));
  const [first, ...rest] = known.pages;
  if (!meets || !first) return { pages: [fresh], pageParams: [undefined] };
  const renewed = new Map(fresh.items.map((item) => [idOf(item), item]));
  const update = (items: T[]) => items.map((item) => renewed.get(idOf(item)) ?? item);
  const added = fresh.items.filter((item) => !ids.has(idOf(item)));
  return {
    pages: [
      { ...first, items: [...added, ...update(first.items)] },
      ...rest.map((page) => ({ ...page, items: update(page.items) })),
    ],
    pageParams: known.pageParams,
  };
}
