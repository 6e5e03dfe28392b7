// What starts runs by itself: schedules, events, and deliveries to webhooks.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { useMay } from "@/api/session";
import type { EventTrigger, Hook, Schedule, Workflow } from "@/api/types";
import { fetchRuns } from "@/pages/runs/queries";
import { toast, toastError } from "@/ui/toasts";

interface Common {
  id: string;
  node: string;
  workflow: Workflow | undefined;
}
export type Trigger = Common &
  ({ kind: "schedule"; row: Schedule } | { kind: "event"; row: EventTrigger } | { kind: "hook"; row: Hook });
export type TriggerKind = Trigger["kind"];

const MOST_PAGES = 10;

/** All workflows, for triggers name theirs by its id. */
export function useAllWorkflows() {
  const may = useMay();
  return useQuery({
    queryKey: [...keys.workflows, "all"],
    queryFn: async ({ signal }) => {
      const items: Workflow[] = [];
      let cursor: string | undefined;
      for (let page = 0; page < MOST_PAGES; page++) {
        const found = await take(api.GET("/workflows", { params: { query: { cursor, limit: 200 } }, signal }));
        items.push(...found.items);
        cursor = found.next_cursor ?? undefined;
        if (!cursor) break;
      }
      return items;
    },
    enabled: may("workflows:read"),
  });
}

/** A turn passes without an event when its workflow is paused. */
const LOOK_EVERY_MS = 30_000;

export function useSchedules(workflow?: string, enabled = true) {
  const may = useMay();
  return useQuery({
    queryKey: keys.triggers(workflow),
    queryFn: ({ signal }) => take(api.GET("/triggers", { params: { query: { workflow } }, signal })),
    enabled: enabled && may("workflows:read"),
    refetchInterval: LOOK_EVERY_MS,
  });
}

export function useHooks(workflow?: string) {
  const may = useMay();
  return useQuery({
    queryKey: keys.hooks(workflow ?? "all"),
    queryFn: async ({ signal }) => {
      const items: Hook[] = [];
      let cursor: string | undefined;
      for (let page = 0; page < MOST_PAGES; page++) {
        const query = { workflow, cursor, limit: 200 };
        const found = await take(api.GET("/hooks", { params: { query }, signal }));
        items.push(...found.items);
        cursor = found.next_cursor ?? undefined;
        if (!cursor) break;
      }
      return items;
    },
    enabled: may("hooks:read"),
  });
}

/** All triggers, of one workflow or of every; schedules by their next turn, then events, then webhooks. */
export function useTriggers(workflow?: string) {
  const all = useAllWorkflows();
  const rows = useSchedules(workflow);
  const hooks = useHooks(workflow);
  const triggers = useMemo(() => {
    const flows = new Map(all.data?.map((flow) => [flow.id, flow]));
    const common = (row: Schedule | EventTrigger | Hook): Common => ({
      id: row.id,
      node: row.node,
      workflow: flows.get(row.workflow_id),
    });
    return [
      ...(rows.data?.schedules ?? []).map((row): Trigger => ({ ...common(row), kind: "schedule", row })),
      ...(rows.data?.events ?? []).map((row): Trigger => ({ ...common(row), kind: "event", row })),
      ...(hooks.data ?? []).map((row): Trigger => ({ ...common(row), kind: "hook", row })),
    ];
  }, [all.data, rows.data, hooks.data]);
  const queries = [all, rows, hooks];
  return {
    triggers,
    pending: queries.some((query) => query.isPending && query.fetchStatus !== "idle"),
    error: queries.find((query) => query.error)?.error,
    retry: () => {
      for (const query of queries) if (query.error) void query.refetch();
    },
  };
}

export function useTurns({ cron, timezone }: Pick<Schedule, "cron" | "timezone">, next: string | null) {
  return useQuery({
    // With the next turn in it: when that has passed, the others are asked for anew.
    queryKey: ["turns", cron, timezone, next],
    queryFn: ({ signal }) =>
      take(api.GET("/triggers/preview", { params: { query: { cron, timezone, count: 5 } }, signal })),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

const SHOWN_RUNS = 5;

export function useLastRuns(workflow: string | undefined, trigger: string) {
  const may = useMay();
  return useQuery({
    queryKey: ["home", "last-runs", workflow, trigger],
    queryFn: async ({ signal }) =>
      (await fetchRuns({ workflow, trigger, inside: true }, undefined, signal)).items.slice(0, SHOWN_RUNS),
    enabled: workflow !== undefined && may("runs:read"),
  });
}

/** Starts a run from a schedule's node, as its turn would. */
export function useFire() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ workflow, schedule }: { workflow: string; schedule: Schedule }) => {
      const now = new Date().toISOString();
      return take(
        api.POST("/workflows/{name}/runs", {
          params: { path: { name: workflow } },
          body: {
            trigger: schedule.node,
            input: { scheduled_at: now, fired_at: now, timezone: schedule.timezone },
          },
        }),
      );
    },
    onSuccess: () => void client.invalidateQueries({ queryKey: ["home"] }),
    onError: (error) => toastError("The schedule could not be fired.", error),
  });
}

export function useSetStatus() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ name, status }: { name: string; status: "active" | "paused" }) =>
      take(api.PATCH("/workflows/{name}", { params: { path: { name } }, body: { status } })),
    onSuccess: (flow) => toast(flow.status === "paused" ? `${flow.name} is paused.` : `${flow.name} takes runs again.`),
    onError: (error) => toastError("The workflow could not be changed.", error),
    onSettled: () => {
      for (const queryKey of [keys.workflows, ["workflow"], keys.triggers()])
        void client.invalidateQueries({ queryKey });
    },
  });
}
