import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { useMay } from "@/api/session";
import type { Run, Step } from "@/api/types";
import type { StepLight } from "@/graph/Graph";
import { isChild } from "@/lib/agent-steps";
import { modelOf } from "@/lib/graph-model";
import { roundWord } from "@/lib/rounds";

export function useRun(id: string | undefined) {
  return useQuery({
    queryKey: keys.run(id ?? ""),
    queryFn: ({ signal }) => take(api.GET("/runs/{run_id}", { params: { path: { run_id: id ?? "" } }, signal })),
    enabled: id !== undefined,
  });
}

export function useSteps(id: string, enabled = true) {
  return useQuery({
    queryKey: keys.steps(id),
    enabled,
    queryFn: async ({ signal }): Promise<Step[]> =>
      (await take(api.GET("/runs/{run_id}/steps", { params: { path: { run_id: id } }, signal }))).steps,
  });
}

/** What a step was given, and its tries. Asked for anew when the step has moved on. */
export function useStep(run: string, step: Step) {
  const { node, path, status, attempts } = step;
  return useQuery({
    queryKey: keys.step(run, { node, path, status, attempts }),
    queryFn: ({ signal }) =>
      take(
        api.GET("/runs/{run_id}/steps/{node}", { params: { path: { run_id: run, node }, query: { path } }, signal }),
      ),
    enabled: step.started_at !== null,
    placeholderData: (before) => (before?.step.node === node && before.step.path === path ? before : undefined),
  });
}

/** The file of the version that the run is pinned to. */
export function useRunFile(run: Run | undefined) {
  const may = useMay();
  const [name, version] = [run?.workflow_name ?? "", run?.workflow_version ?? undefined];
  return useQuery({
    queryKey: keys.workflow(name, version),
    queryFn: ({ signal }) =>
      take(api.GET("/workflows/{name}", { params: { path: { name }, query: { version } }, signal })),
    enabled: name !== "" && may("workflows:read"),
    // A version never changes.
    staleTime: Number.POSITIVE_INFINITY,
  });
}

export function useRunApprovals(id: string, enabled = true) {
  const may = useMay();
  return useQuery({
    queryKey: keys.approvals({ run: id }),
    queryFn: ({ signal }) =>
      take(api.GET("/approvals", { params: { query: { run_id: id, status: "pending" } }, signal })),
    enabled: enabled && may("approvals:read"),
  });
}

/** The graph, with where each step stands. A node of a cycle shows its last round. */
export function useLights(steps: readonly Step[] | undefined): ReadonlyMap<string, StepLight> {
  return useMemo(() => {
    const lights = new Map<string, StepLight>();
    for (const step of (steps ?? []).filter((each) => !isChild(each)))
      lights.set(step.node, { status: step.status, port: step.port, attempts: step.attempts, round: roundWord(step) });
    return lights;
  }, [steps]);
}

export function useModel(file: unknown, steps: readonly Step[] | undefined) {
  const ids =
    steps
      ?.filter((step) => !isChild(step))
      .map((step) => `${step.node} ${step.kind}`)
      .join("\n") ?? "";
  return useMemo(() => {
    if (file) return modelOf(file);
    // Without the file there are no edges to show, but still every step.
    const nodes = ids.split("\n").filter(Boolean);
    return {
      nodes: nodes.map((line) => {
        const [id = "", kind = ""] = line.split(" ");
        return { id, kind, trigger: kind.startsWith("trigger.") };
      }),
      edges: [],
    };
  }, [file, ids]);
}
