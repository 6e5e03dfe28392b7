// Where one is: the trail of names in the top bar, and the title of the tab.
import { useEffect, useSyncExternalStore } from "react";

export interface Crumb {
  label: string;
  to?: string;
}

let trail: readonly Crumb[] = [];
const watchers = new Set<() => void>();

/** Called by a page with the names from the outermost to its own. */
export function useTrail(crumbs: readonly Crumb[]) {
  const key = JSON.stringify(crumbs);
  useEffect(() => {
    trail = JSON.parse(key) as Crumb[];
    document.title = [...trail.map((crumb) => crumb.label).toReversed(), "SynapScale"].join(" · ");
    for (const watcher of watchers) watcher();
  }, [key]);
}

export function useCrumbs(): readonly Crumb[] {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => void watchers.delete(watcher);
    },
    () => trail,
  );
}
