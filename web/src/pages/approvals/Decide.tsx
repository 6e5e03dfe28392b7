// Saying yes or no, with the diff in view.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Check, X } from "lucide-react";
import { useId, useState } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { useMay } from "@/api/session";
import type { Approval } from "@/api/types";
import { useHotkeys } from "@/app/hotkeys";
import { ProblemNotice } from "@/ui/Problem";
import { toast } from "@/ui/toasts";

export function Decide({ approval }: { approval: Approval }) {
  const client = useQueryClient();
  const may = useMay();
  const [comment, setComment] = useState("");
  const id = useId();
  const decide = useMutation({
    mutationFn: (approve: boolean) =>
      take(
        api.POST("/approvals/{approval_id}/decide", {
          params: { path: { approval_id: approval.id } },
          body: { approve, comment: comment.trim() || null },
        }),
      ),
    onSuccess: (_, approve) => {
      toast(approve ? "Approved. The run goes on." : "Rejected. The run goes on without it.");
      void client.invalidateQueries({ queryKey: keys.approvals() });
      void client.invalidateQueries({ queryKey: keys.approval(approval.id) });
      void client.invalidateQueries({ queryKey: keys.run(approval.run_id) });
      void client.invalidateQueries({ queryKey: keys.steps(approval.run_id) });
    },
  });
  const allowed = may("approvals:decide");
  const go = (approve: boolean) => allowed && !decide.isPending && decide.mutate(approve);
  useHotkeys([
    { keys: "shift+a", does: "Approve", group: "Approval", run: () => go(true) },
    { keys: "shift+r", does: "Reject", group: "Approval", run: () => go(false) },
  ]);
  if (approval.status !== "pending") return null;
  return (
    <div className="stack">
      {decide.error && <ProblemNotice error={decide.error} what="The decision was not taken" />}
      <div className="field">
        <label htmlFor={id}>Comment</label>
        <textarea
          id={id}
          className="input"
          rows={2}
          maxLength={2000}
          placeholder="The run sees it; may stay empty"
          value={comment}
          onChange={(event) => setComment(event.target.value)}
        />
      </div>
      <div className="bar wrap">
        <button
          type="button"
          className="button primary"
          disabled={!allowed || decide.isPending}
          onClick={() => go(true)}
        >
          <Check aria-hidden /> Approve
        </button>
        <button
          type="button"
          className="button danger"
          disabled={!allowed || decide.isPending}
          onClick={() => go(false)}
        >
          <X aria-hidden /> Reject
        </button>
        {!allowed && <span className="muted">Your role does not allow decisions.</span>}
      </div>
    </div>
  );
}
