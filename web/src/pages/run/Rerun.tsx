// Going on with a run: again from one of its steps, or on from where it was paused. Shown where the server offers it.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { CirclePlay, RotateCcw } from "lucide-react";
import { keys } from "@/api/cache";
import { callOperation, useHas } from "@/api/call";
import { useMay } from "@/api/session";
import type { Run } from "@/api/types";
import { toast, toastError } from "@/ui/toasts";

const FINAL = new Set(["succeeded", "failed", "cancelled"]);

export function RerunButton({ run, node }: { run: Run; node: string }) {
  const navigate = useNavigate();
  const may = useMay();
  const has = useHas("runs.rerun");
  const again = useMutation({
    mutationFn: () => callOperation<{ run_id: string }>("runs.rerun", { run_id: run.id, from_node: node }),
    onSuccess: ({ run_id }) => {
      toast(`Started again from “${node}”; what stands before it was taken over.`);
      void navigate({ to: "/runs/$runId", params: { runId: run_id } });
    },
    onError: (error) => toastError("It could not be started again from here.", error),
  });
  if (!has || !FINAL.has(run.status) || !may("workflows:run")) return null;
  return (
    <button
      type="button"
      className="button small"
      disabled={again.isPending}
      title="A new run: the steps before this one are not done again"
      onClick={() => again.mutate()}
    >
      <RotateCcw aria-hidden /> Re-run from here
    </button>
  );
}

export function ResumeButton({ run }: { run: Run }) {
  const client = useQueryClient();
  const may = useMay();
  const has = useHas("runs.resume");
  const resume = useMutation({
    mutationFn: () => callOperation("runs.resume", { run_id: run.id }),
    onSuccess: () => toast("The run goes on."),
    onError: (error) => toastError("The run could not go on.", error),
    onSettled: () => {
      void client.invalidateQueries({ queryKey: keys.run(run.id) });
      void client.invalidateQueries({ queryKey: keys.steps(run.id) });
    },
  });
  if (!has || run.status !== "paused" || !may("runs:write")) return null;
  return (
    <button type="button" className="button small primary" disabled={resume.isPending} onClick={() => resume.mutate()}>
      <CirclePlay aria-hidden /> Resume
    </button>
  );
}
