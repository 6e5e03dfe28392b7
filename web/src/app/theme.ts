// Light, dark, or whatever the system says.
import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";
const STORED = "synapscale.theme";
const watchers = new Set<() => void>();

export function theme(): Theme {
  const stored = localStorage.getItem(STORED);
  return stored === "light" || stored === "dark" ? stored : "system";
}

export function applyTheme() {
  const chosen = theme();
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}

export function setTheme(next: Theme) {
  if (next === "system") localStorage.removeItem(STORED);
  else localStorage.setItem(STORED, next);
  applyTheme();
  for (const watcher of watchers) watcher();
}

export function useTheme(): Theme {
  return useSyncExternalStore((watcher) => {
    watchers.add(watcher);
    return () => void watchers.delete(watcher);
  }, theme);
}

/** Whether it looks dark now. */
export function isDark(): boolean {
  const chosen = theme();
  return chosen === "dark" || (chosen === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
}
