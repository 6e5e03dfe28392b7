// Gives the pages the live stream: its state, and its events to those who listen.
import { useQueryClient } from "@tanstack/react-query";
import {
  createContext,
  type ReactNode,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import type { LogEvent } from "@/api/types";
import { raw } from "../client";
import { Applier } from "./apply";
import { effectsOf } from "./effects";
import { type LiveState, LiveStream } from "./stream";

type Listener = (events: LogEvent[]) => void;

class Bus {
  state: LiveState = "connecting";
  readonly #listeners = new Set<Listener>();
  readonly #watchers = new Set<() => void>();

  listen = (listener: Listener) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  watch = (watcher: () => void) => {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  };

  tell(events: LogEvent[]) {
    for (const listener of this.#listeners) listener(events);
  }

  set(state: LiveState) {
    this.state = state;
    for (const watcher of this.#watchers) watcher();
  }
}

const LiveContext = createContext<Bus>(new Bus());

/** Follows the log of one workspace for as long as it is mounted. */
export function LiveProvider({ workspace, children }: { workspace: string; children: ReactNode }) {
  const client = useQueryClient();
  // A bus per workspace: what listens to the one before must not hear of the next.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the workspace is what makes it another.
  const bus = useMemo(() => new Bus(), [workspace]);
  useEffect(() => {
    const applier = new Applier(client);
    const stream = new LiveStream({
      events: (events) => {
        applier.apply(events.flatMap(effectsOf));
        bus.tell(events);
      },
      state: (state) => bus.set(state),
      lost: () => void client.invalidateQueries(),
      welcome: () =>
        raw("GET", "/auth/session").then(
          () => true,
          () => false,
        ),
    });
    stream.start();
    return () => {
      stream.stop();
      applier.stop();
    };
  }, [client, bus]);
  return <LiveContext.Provider value={bus}>{children}</LiveContext.Provider>;
}

export function useLiveState(): LiveState {
  const bus = useContext(LiveContext);
  return useSyncExternalStore(bus.watch, () => bus.state);
}

/** Calls `listener` with events as they come. */
export function useLiveEvents(listener: Listener) {
  const bus = useContext(LiveContext);
  const latest = useRef(listener);
  useEffect(() => {
    latest.current = listener;
  });
  useEffect(() => bus.listen((events) => latest.current(events)), [bus]);
}

/** Counts what came that a list does not show yet. */
export function useNews(
  counts: (event: LogEvent) => boolean,
  idOf: (event: LogEvent) => string = (event) => event.subject,
): [count: number, clear: () => void] {
  const [ids, setIds] = useState<ReadonlySet<string>>(new Set());
  useLiveEvents((events) => {
    const fresh = events.filter(counts).map(idOf);
    if (fresh.length) setIds((known) => new Set([...known, ...fresh]));
  });
  return [ids.size, () => setIds(new Set())];
}
