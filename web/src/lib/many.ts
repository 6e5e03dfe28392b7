// The same done to many runs, in calls of a bounded size: how far it is, and what was refused.

export interface OneDone {
  run_id: string;
  done: boolean;
  error?: unknown;
}

export interface Progress {
  done: number;
  /** Refused ones by the reason: how often, and the first run of each. */
  refused: readonly { reason: string; count: number; first: string }[];
  asked: number;
}

export const NOTHING: Progress = { done: 0, refused: [], asked: 0 };

/** Most runs of one call. Fewer than the API takes, so that one sees it move on. */
export const CHUNK = 50;

export function chunksOf<T>(items: readonly T[], size = CHUNK): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}

function reasonOf(error: unknown): string {
  const { message, detail, code } = (error ?? {}) as Record<string, unknown>;
  return String(message ?? detail ?? code ?? "It was refused.");
}

export function addDone(progress: Progress, items: readonly OneDone[]): Progress {
  const refused = new Map(progress.refused.map((each) => [each.reason, each]));
  for (const item of items) {
    if (item.done) continue;
    const reason = reasonOf(item.error);
    const known = refused.get(reason);
    refused.set(reason, { reason, count: (known?.count ?? 0) + 1, first: known?.first ?? item.run_id });
  }
  return {
    done: progress.done + items.filter((item) => item.done).length,
    refused: [...refused.values()],
    asked: progress.asked + items.length,
  };
}

export function refusedCount({ refused }: Progress): number {
  return refused.reduce((sum, each) => sum + each.count, 0);
}

/** "1 run", "1,200 runs". */
export function runsWord(count: number): string {
  return `${count.toLocaleString("en")} ${count === 1 ? "run" : "runs"}`;
}
