import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { LiveStream } from "@/api/live/stream";
import { event } from "./fixtures";

class Socket {
  static all: Socket[] = [];
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((closed: { code: number }) => void) | null = null;
  readonly url: URL;
  constructor(url: URL) {
    this.url = new URL(url);
    Socket.all.push(this);
  }
  say(frame: object) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
  close() {
    this.onclose?.({ code: 1006 });
  }
}

const last = () => {
  const socket = Socket.all.at(-1);
  if (!socket) throw new Error("no socket was opened");
  return socket;
};

beforeEach(() => {
  vi.useFakeTimers();
  Socket.all = [];
  vi.stubGlobal("WebSocket", Socket);
  vi.stubGlobal("location", { href: "http://here/runs" });
  vi.stubGlobal("document", { addEventListener() {}, removeEventListener() {}, visibilityState: "visible" });
  vi.stubGlobal("addEventListener", () => {});
  vi.stubGlobal("removeEventListener", () => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function follow(known: boolean) {
  const hooks = { events: vi.fn(), state: vi.fn(), lost: vi.fn(), welcome: vi.fn(async () => known) };
  const stream = new LiveStream(hooks);
  stream.start();
  return { hooks, stream };
}

it("goes on from the cursor of the last event, which come gathered", async () => {
  const { hooks, stream } = follow(true);
  expect(last().url.href).toBe("ws://here/api/v1/events/stream");
  last().say({ type: "hello", cursor: "c0" });
  last().say({ cursor: "c1", event: event("run.started", "run:a") });
  last().say({ cursor: "c2", event: event("run.started", "run:b") });
  await vi.advanceTimersByTimeAsync(100);
  expect(hooks.events).toHaveBeenCalledOnce();
  expect(hooks.events.mock.calls[0]?.[0]).toHaveLength(2);
  last().close();
  expect(hooks.state).toHaveBeenLastCalledWith("broken");
  await vi.advanceTimersByTimeAsync(1_000);
  expect(last().url.searchParams.get("since")).toBe("c2");
  stream.stop();
});

it("keeps its cursor while the server is away, and drops one that is refused", async () => {
  for (const known of [false, true]) {
    const { hooks, stream } = follow(known);
    last().say({ type: "hello", cursor: "c0" });
    last().close();
    for (let tries = 0; tries < 4; tries++) {
      await vi.advanceTimersByTimeAsync(20_000);
      last().close();
    }
    await vi.advanceTimersByTimeAsync(20_000);
    expect(hooks.lost).toHaveBeenCalledTimes(known ? 1 : 0);
    expect(last().url.searchParams.get("since")).toBe(known ? null : "c0");
    stream.stop();
  }
});

it("loads anew when events have left the log before it heard them", async () => {
  const { hooks, stream } = follow(true);
  last().say({ type: "hello", cursor: "c0" });
  last().close();
  await vi.advanceTimersByTimeAsync(1_000);
  last().say({ type: "replay_gap", cursor: "c9" });
  last().close();
  expect(hooks.lost).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(3_000);
  expect(last().url.searchParams.get("since")).toBeNull();
  // Only once the stream stands: what happens after that is told by it.
  last().say({ type: "hello", cursor: "c12" });
  expect(hooks.lost).toHaveBeenCalledOnce();
  stream.stop();
});

it("gives up a socket that fell silent", async () => {
  const { stream } = follow(true);
  last().say({ type: "hello", cursor: "c0" });
  await vi.advanceTimersByTimeAsync(42_000);
  expect(Socket.all).toHaveLength(2);
  stream.stop();
});

it("watches runs on every connection, each once, and hands on what they say", async () => {
  const asked: string[][] = [];
  class Watched extends Socket {
    readonly asked: string[] = [];
    constructor(url: URL) {
      super(url);
      asked.push(this.asked);
    }
    send(text: string) {
      const { type, run_id } = JSON.parse(text);
      this.asked.push(`${type} ${run_id}`);
    }
  }
  vi.stubGlobal("WebSocket", Watched);
  const hooks = {
    events: vi.fn(),
    state: vi.fn(),
    lost: vi.fn(),
    welcome: vi.fn(async () => true),
    chunk: vi.fn(),
    watching: vi.fn(),
  };
  const stream = new LiveStream(hooks);
  stream.start();
  const leave = [stream.watch("a"), stream.watch("a"), stream.watch("b")];
  expect(asked).toEqual([[]]);
  last().say({ type: "hello", cursor: "c0" });
  expect(asked[0]).toEqual(["watch a", "watch b"]);
  last().say({ type: "chunk", run_id: "a", node: "n", path: "t1", chunk: { type: "text", text: "x" } });
  expect(hooks.chunk).toHaveBeenCalledOnce();
  leave[0]?.();
  leave[0]?.();
  leave[2]?.();
  expect(asked[0]?.slice(2)).toEqual(["unwatch b"]);
  last().close();
  await vi.advanceTimersByTimeAsync(1_000);
  last().say({ type: "heartbeat", cursor: "c1" });
  expect(asked[1]).toEqual(["watch a"]);
  expect(hooks.watching.mock.calls.map(([run]) => run)).toEqual(["a", "b", "a"]);
  stream.stop();
});
