import { useSyncExternalStore } from "react";

/** Whether a media query holds. */
export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (watcher) => {
      const list = matchMedia(query);
      list.addEventListener("change", watcher);
      return () => list.removeEventListener("change", watcher);
    },
    () => matchMedia(query).matches,
  );
}

/** Where panes lie over the list instead of beside it. */
export const NARROW = "(max-width: 1080px)";
export const PHONE = "(max-width: 720px)";
export const usePhone = () => useMedia(PHONE);
