// Keys of the whole application in one registry: whoever is mounted says what its keys do, and `?` lists just those.
import { useEffect, useRef, useSyncExternalStore } from "react";
import { isTyping, nameOf, type Shortcut } from "@/lib/keys";

export interface Hotkey extends Shortcut {
  run: (event: KeyboardEvent) => void;
  /** Also while typing, for keys such as `mod+k`. */
  always?: boolean;
}

/** The second key of a pair such as `g r` has to come within this time. */
const PAIR_MS = 1_200;

let registered: readonly (readonly Hotkey[])[] = [];
const watchers = new Set<() => void>();
let first: { key: string; at: number } | undefined;

function set(next: readonly (readonly Hotkey[])[]) {
  registered = next;
  for (const watcher of watchers) watcher();
}

/** An open dialog takes all keys but those registered from inside of it. */
function modalOpen(): boolean {
  return document.querySelector("dialog[open]") !== null;
}

function find(name: string, typing: boolean): Hotkey | undefined {
  // Who came last is nearest to the reader.
  for (const group of registered.toReversed()) {
    const found = group.find((hotkey) => hotkey.keys === name && (!typing || hotkey.always));
    if (found) return found;
  }
  return undefined;
}

function onKeyDown(event: KeyboardEvent) {
  if (event.defaultPrevented || event.isComposing) return;
  const name = nameOf(event);
  const typing = isTyping(event.target);
  if (modalOpen() && name !== "mod+k") return;
  const pair = first && Date.now() - first.at < PAIR_MS ? `${first.key} ${name}` : undefined;
  first = undefined;
  const hotkey = (pair && !typing ? find(pair, false) : undefined) ?? find(name, typing);
  if (hotkey) {
    event.preventDefault();
    hotkey.run(event);
  } else if (name === "g" && !typing) first = { key: name, at: Date.now() };
}

export function installHotkeys() {
  globalThis.addEventListener("keydown", onKeyDown);
}

/** Registers keys while the component is mounted. */
export function useHotkeys(hotkeys: readonly Hotkey[]) {
  const latest = useRef(hotkeys);
  useEffect(() => {
    latest.current = hotkeys;
  });
  const shape = hotkeys.map((hotkey) => hotkey.keys).join(",");
  // biome-ignore lint/correctness/useExhaustiveDependencies: the keys are what makes it another group.
  useEffect(() => {
    // What runs is looked up when the key is pressed, so that it sees the present state.
    const group = latest.current.map((hotkey, index) => ({
      ...hotkey,
      run: (event: KeyboardEvent) => latest.current[index]?.run(event),
    }));
    set([...registered, group]);
    return () => set(registered.filter((other) => other !== group));
  }, [shape]);
}

/** Every key that does something now. */
export function useShortcuts(): readonly Shortcut[] {
  const groups = useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => void watchers.delete(watcher);
    },
    () => registered,
  );
  return groups.flat();
}
