// Times: relative as text, exact on hover. One clock ticks for all of them.
import { useSyncExternalStore } from "react";
import { ago, between, duration, exact } from "@/lib/time";
import { clock as digits } from "@/lib/work-time";

const TICK_MS = 10_000;
const FAST_TICK_MS = 1_000;

function clock(every: number) {
  let now = Date.now();
  let timer: ReturnType<typeof setInterval> | undefined;
  const watchers = new Set<() => void>();
  return {
    subscribe(watcher: () => void) {
      watchers.add(watcher);
      timer ??= setInterval(() => {
        now = Date.now();
        for (const each of watchers) each();
      }, every);
      return () => {
        watchers.delete(watcher);
        if (watchers.size > 0) return;
        clearInterval(timer);
        timer = undefined;
      };
    },
    now: () => now,
    /** Without a timer the value would be old for the first who asks. */
    fresh() {
      if (!timer) now = Date.now();
      return now;
    },
  };
}

const slow = clock(TICK_MS);
const fast = clock(FAST_TICK_MS);

export function Time({ at, className }: { at: string | null | undefined; className?: string }) {
  const now = useSyncExternalStore(slow.subscribe, slow.fresh);
  if (!at) return <span className="faint">–</span>;
  return (
    <time dateTime={at} title={exact(at)} className={className}>
      {ago(at, Math.max(now, Date.now() - TICK_MS))}
    </time>
  );
}

/** How long something took, or has taken so far. */
export function Took({ from, to }: { from: string | null | undefined; to: string | null | undefined }) {
  const running = Boolean(from) && !to;
  const now = useSyncExternalStore(running ? fast.subscribe : noTick, fast.fresh);
  const ms = between(from, to, now);
  if (ms === undefined) return <span className="faint">–</span>;
  return <span title={from ? `since ${exact(from)}` : undefined}>{duration(ms)}</span>;
}

/** A clock that runs. */
export function Running({ from }: { from: string | null | undefined }) {
  const now = useSyncExternalStore(fast.subscribe, fast.fresh);
  return (
    <span role="timer" title={from ? `since ${exact(from)}` : undefined}>
      {digits(between(from, null, now) ?? 0)}
    </span>
  );
}

function noTick() {
  return () => {};
}
