// Gives the pages the live stream: its state, and its events to those who listen.
import { useQueryClient } from "@tanstack/react-query";
import {
  createContext,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import type { LogEvent } from "@/api/types";
import { addChunks, type ChunkFrame, type LiveTurns } from "@/lib/live-turns";
import { raw } from "../client";
import { Applier } from "./apply";
import { effectsOf } from "./effects";
import { type LiveState, LiveStream } from "./stream";

type Listener = (events: LogEvent[]) => void;

/** Chunks that come close together are drawn in one go. */
const DRAW_MS = 40;
const SILENT: LiveTurns = [];

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

  /** What is being said in the runs that are watched. */
  readonly #turns = new Map<string, LiveTurns>();
  readonly #wanted = new Map<string, { stop: (() => void) | undefined; watchers: Set<() => void> }>();
  #chunks: ChunkFrame[] = [];
  #drawing: ReturnType<typeof setTimeout> | undefined;
  #stream: LiveStream | undefined;

  /** The stream may come after those who watch, and be another one later. */
  attach(stream: LiveStream | undefined) {
    this.#stream = stream;
    for (const [run, wanted] of this.#wanted) wanted.stop = stream?.watch(run);
  }

  turns = (run: string): LiveTurns => this.#turns.get(run) ?? SILENT;

  watchRun = (run: string, watcher: () => void) => {
    const wanted = this.#wanted.get(run) ?? { stop: this.#stream?.watch(run), watchers: new Set() };
    this.#wanted.set(run, wanted);
    wanted.watchers.add(watcher);
    return () => {
      wanted.watchers.delete(watcher);
      if (wanted.watchers.size > 0) return;
      wanted.stop?.();
      this.#wanted.delete(run);
      this.#turns.delete(run);
    };
  };

  begin(run: string) {
    this.#chunks = this.#chunks.filter((frame) => frame.run_id !== run);
    this.#turns.delete(run);
    for (const watcher of this.#wanted.get(run)?.watchers ?? []) watcher();
  }

  chunk(frame: ChunkFrame) {
    this.#chunks.push(frame);
    this.#drawing ??= setTimeout(() => this.#draw(), DRAW_MS);
  }

  #draw() {
    this.#drawing = undefined;
    const frames = this.#chunks;
    this.#chunks = [];
    for (const run of new Set(frames.map((frame) => frame.run_id))) {
      const wanted = this.#wanted.get(run);
      if (!wanted) continue;
      const news = frames.filter((frame) => frame.run_id === run);
      this.#turns.set(run, addChunks(this.turns(run), news));
      for (const watcher of wanted.watchers) watcher();
    }
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
      chunk: (frame) => bus.chunk(frame),
      watching: (run) => bus.begin(run),
      lost: () => void client.invalidateQueries(),
      welcome: () =>
        raw("GET", "/auth/session").then(
          () => true,
          () => false,
        ),
    });
    bus.attach(stream);
    stream.start();
    return () => {
      bus.attach(undefined);
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

/** What is being said in a run, as it is said; a run is watched for as long as this is mounted. */
export function useTurns(run: string | null | undefined): LiveTurns {
  const bus = useContext(LiveContext);
  const watch = useCallback((watcher: () => void) => (run ? bus.watchRun(run, watcher) : () => {}), [bus, run]);
  return useSyncExternalStore(watch, () => (run ? bus.turns(run) : SILENT));
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

/** Counts what came that a list does not show yet; what the list has loaded by itself meanwhile is no news. */
export function useNews(
  counts: (event: LogEvent) => boolean,
  shown: readonly { id: string }[],
  idOf: (event: LogEvent) => string = (event) => event.subject,
): [count: number, clear: () => void] {
  const [ids, setIds] = useState<ReadonlySet<string>>(new Set());
  useLiveEvents((events) => {
    const fresh = events.filter(counts).map(idOf);
    if (fresh.length) setIds((known) => new Set([...known, ...fresh]));
  });
  const count = useMemo(() => {
    if (ids.size === 0) return 0;
    const listed = new Set(shown.map((item) => item.id));
    return [...ids].filter((id) => !listed.has(id)).length;
  }, [ids, shown]);
  return [count, () => setIds(new Set())];
}
