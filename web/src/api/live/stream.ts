// The one event stream of this tab: replays from its cursor after each break, and tells how it stands.
import type { LogEvent } from "@/api/types";
import type { ChunkFrame } from "@/lib/live-turns";
import { BASE } from "../client";

export type LiveState = "connecting" | "live" | "broken" | "off";

export interface StreamHooks {
  /** Events that came together. */
  events: (events: LogEvent[]) => void;
  state: (state: LiveState) => void;
  /** The log cannot be followed from where we were: everything cached may be old. */
  lost: () => void;
  /** Whether the server answers, and knows us: only then does a refused stream say something about the cursor. */
  welcome: () => Promise<boolean>;
  /** What a model says in a run that is watched. */
  chunk?: (frame: ChunkFrame) => void;
  /** A run is watched from here on: all of the step in flight comes again. */
  watching?: (run: string) => void;
}

const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 15_000;
/** The server beats every 15 s; a stream that is silent for longer is dead, whatever the socket says. */
const SILENCE_MS = 40_000;
/** Events that come close together are applied in one go. */
const GATHER_MS = 60;
/** Refusals in a row after which the cursor itself is suspected. */
const MAX_REFUSALS = 3;
const CLOSE_UNAUTHENTICATED = 4401;

type Frame = { type?: string; cursor?: string; event?: LogEvent } & Partial<ChunkFrame>;

export class LiveStream {
  readonly #hooks: StreamHooks;
  #socket: WebSocket | undefined;
  #cursor: string | undefined;
  #retry = FIRST_RETRY_MS;
  #refusals = 0;
  #gathered: LogEvent[] = [];
  #gatherTimer: ReturnType<typeof setTimeout> | undefined;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #silenceTimer: ReturnType<typeof setTimeout> | undefined;
  #stopped = true;
  #greetedNow = false;
  /** Events have left the log before they were heard: once the stream stands again, everything is loaded anew. */
  #missed = false;
  /** The runs whose chunks are wanted, and by how many. */
  readonly #watched = new Map<string, number>();

  constructor(hooks: StreamHooks) {
    this.#hooks = hooks;
  }

  start() {
    this.#stopped = false;
    globalThis.addEventListener("online", this.#soon);
    document.addEventListener("visibilitychange", this.#soon);
    this.#open();
  }

  stop() {
    this.#stopped = true;
    globalThis.removeEventListener("online", this.#soon);
    document.removeEventListener("visibilitychange", this.#soon);
    for (const timer of [this.#gatherTimer, this.#retryTimer, this.#silenceTimer]) clearTimeout(timer);
    this.#gatherTimer = undefined;
    this.#socket?.close();
    this.#socket = undefined;
    this.#hooks.state("off");
  }

  /** Asks for the chunks of a run, on this connection and those that follow, until what it gives back is called. */
  watch(run: string): () => void {
    const before = this.#watched.get(run) ?? 0;
    this.#watched.set(run, before + 1);
    if (before === 0) this.#ask("watch", run);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const now = (this.#watched.get(run) ?? 1) - 1;
      if (now > 0) this.#watched.set(run, now);
      else {
        this.#watched.delete(run);
        this.#ask("unwatch", run);
      }
    };
  }

  #ask(type: "watch" | "unwatch", run: string) {
    if (!this.#greetedNow || !this.#socket) return;
    if (type === "watch") this.#hooks.watching?.(run);
    this.#socket.send(JSON.stringify({ type, run_id: run }));
  }

  /** Tries again now: the network came back, or somebody looks at the page again. */
  readonly #soon = () => {
    if (this.#stopped || this.#socket || document.visibilityState === "hidden") return;
    clearTimeout(this.#retryTimer);
    this.#open();
  };

  #open() {
    const url = new URL(`${BASE}/events/stream`, globalThis.location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    if (this.#cursor) url.searchParams.set("since", this.#cursor);
    const socket = new WebSocket(url);
    let greeted = false;
    this.#socket = socket;
    socket.onmessage = (message) => {
      const frame = read(message.data);
      if (!frame) return;
      if (frame.type === "replay_gap") {
        this.#cursor = undefined;
        this.#missed = true;
        return;
      }
      if (!greeted) {
        greeted = true;
        this.#greeted();
      }
      this.#hear(frame);
    };
    socket.onclose = (closed) => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.#closed(greeted, closed.code);
    };
    this.#watchSilence();
  }

  #greeted() {
    this.#retry = FIRST_RETRY_MS;
    this.#refusals = 0;
    this.#greetedNow = true;
    this.#hooks.state("live");
    if (this.#missed) {
      this.#missed = false;
      this.#hooks.lost();
    }
    for (const run of this.#watched.keys()) this.#ask("watch", run);
  }

  #hear(frame: Frame) {
    this.#watchSilence();
    if (frame.cursor) this.#cursor = frame.cursor;
    if (frame.type === "chunk" && frame.chunk) this.#hooks.chunk?.(frame as ChunkFrame);
    if (!frame.event) return;
    this.#gathered.push(frame.event);
    this.#gatherTimer ??= setTimeout(() => {
      const events = this.#gathered;
      this.#gathered = [];
      this.#gatherTimer = undefined;
      this.#hooks.events(events);
    }, GATHER_MS);
  }

  #watchSilence() {
    clearTimeout(this.#silenceTimer);
    this.#silenceTimer = setTimeout(() => this.#socket?.close(), SILENCE_MS);
  }

  #closed(greeted: boolean, code: number) {
    clearTimeout(this.#silenceTimer);
    this.#greetedNow = false;
    if (this.#stopped) return;
    if (!greeted && this.#cursor) void this.#suspect();
    this.#hooks.state("broken");
    // A new key or session may have come by then; the pages themselves notice a lost session.
    const wait = code === CLOSE_UNAUTHENTICATED ? MAX_RETRY_MS : this.#retry * (0.75 + Math.random() / 2);
    this.#retry = Math.min(MAX_RETRY_MS, this.#retry * 2);
    this.#retryTimer = setTimeout(() => this.#open(), wait);
  }

  /** A restored or replaced database knows no such cursor; begin anew from its head. */
  async #suspect() {
    if (!(await this.#hooks.welcome()) || ++this.#refusals < MAX_REFUSALS) return;
    this.#cursor = undefined;
    this.#hooks.lost();
  }
}

function read(text: unknown): Frame | undefined {
  try {
    return JSON.parse(String(text)) as Frame;
  } catch {
    return undefined;
  }
}
