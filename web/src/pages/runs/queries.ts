// Runs as lists, and what can be done with several of them.
import { type InfiniteData, useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { usePages } from "@/api/lists";
import type { Page, Run } from "@/api/types";
import { mergeNewest } from "@/lib/pages";
import type { RunsSearch } from "./route";

const PAGE = 100;

async function fetchRuns(filter: RunsSearch, cursor?: string, signal?: AbortSignal): Promise<Page<Run>> {
  return take(api.GET("/runs", { params: { query: { ...filter, cursor, limit: PAGE } }, signal }));
}

export function useRuns(filter: RunsSearch) {
  return usePages<Run>({ queryKey: keys.runs(filter), fetch: (cursor, signal) => fetchRuns(filter, cursor, signal) });
}

/** Puts the newest runs on top of what is loaded, so that nobody loses their place. */
export function useNewestRuns(filter: RunsSearch) {
  const client = useQueryClient();
  return useCallback(async () => {
    const fresh = await fetchRuns(filter);
    client.setQueryData<InfiniteData<Page<Run>, string | undefined>>(
      keys.runs(filter),
      (data) => data && mergeNewest(data, fresh, (run) => run.id),
    );
  }, [client, filter]);
}

/** The error of a run or a step, whatever its shape. */
export function errorOf(error: unknown): { code: string; message: string } | undefined {
  if (!error || typeof error !== "object")
    return typeof error === "string" ? { code: "error", message: error } : undefined;
  const { code, message, detail } = error as Record<string, unknown>;
  return {
    code: typeof code === "string" ? code : "error",
    message: typeof message === "string" ? message : typeof detail === "string" ? detail : JSON.stringify(error),
  };
}

/** Starts a run like one that has ended or is paused: same workflow, version, trigger and input. */
export async function runAgain(id: string): Promise<string> {
  const path = { run_id: id };
  return (await take(api.POST("/runs/{run_id}/rerun", { params: { path }, body: {} }))).run_id;
}

export async function cancelRun(id: string, reason?: string) {
  await take(api.POST("/runs/{run_id}/cancel", { params: { path: { run_id: id } }, body: { reason } }));
}

/** So many calls of one bulk action are under way at a time. */
const AT_ONCE = 4;

/** Does the same to each; says how many worked and gives the first failure. */
export async function each(ids: readonly string[], act: (id: string) => Promise<unknown>) {
  const left = [...ids];
  let [done, failed] = [0, 0];
  let first: unknown;
  const work = async () => {
    for (let id = left.shift(); id !== undefined; id = left.shift()) {
      try {
        await act(id);
        done++;
      } catch (error) {
        failed++;
        first ??= error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, ids.length) }, work));
  return { done, failed, first };
}
