// Going on with a run: again as a whole or from one of its steps, on its version or another; or on from where it was paused.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { CirclePlay, RotateCcw, Settings2 } from "lucide-react";
import { useId, useMemo, useState } from "react";
import { keys } from "@/api/cache";
import { useHas } from "@/api/call";
import { api, take } from "@/api/client";
import { asApiError } from "@/api/problem";
import { useMay } from "@/api/session";
import type { Run, Step } from "@/api/types";
import { useHotkeys } from "@/app/hotkeys";
import { isChild } from "@/lib/agent-steps";
import { behind, type GraphModel, modelOf } from "@/lib/graph-model";
import { runAgain } from "@/pages/runs/queries";
import { Dialog } from "@/ui/Dialog";
import { ProblemNotice } from "@/ui/Problem";
import { toast, toastError } from "@/ui/toasts";
import { useRunFile, useSteps } from "./queries";

/** A run can be run again once it has ended, or while it is paused. */
const OVER = new Set(["succeeded", "failed", "cancelled", "paused"]);

function useMayRerun(run: Run): boolean {
  const may = useMay();
  const has = useHas("runs.rerun");
  return has && OVER.has(run.status) && may("workflows:run");
}

export function RerunButton({ run, node }: { run: Run; node: string }) {
  const [asking, setAsking] = useState(false);
  if (!useMayRerun(run)) return null;
  return (
    <>
      <button
        type="button"
        className="button small"
        title="A new run: the steps before this one are not done again"
        onClick={() => setAsking(true)}
      >
        <RotateCcw aria-hidden /> Re-run from here
      </button>
      {asking && <RerunDialog run={run} from={node} onClose={() => setAsking(false)} />}
    </>
  );
}

/** Run again as it was, or after a choice of step and version. */
export function RunAgain({ run }: { run: Run }) {
  const navigate = useNavigate();
  const [asking, setAsking] = useState(false);
  const may = useMayRerun(run);
  const again = useMutation({
    mutationFn: () => runAgain(run.id),
    onSuccess: (id) => {
      toast("Started again with the same input.");
      void navigate({ to: "/runs/$runId", params: { runId: id } });
    },
    onError: (error) => toastError("The run could not be started again.", error),
  });
  useHotkeys(
    may
      ? [{ keys: "r", does: "Run again, from a step or on another version", group: "Run", run: () => setAsking(true) }]
      : [],
  );
  if (!may) return null;
  return (
    <>
      <span className="joined">
        <button
          type="button"
          className="button small"
          disabled={again.isPending}
          title="A new run with the same input, on the same version"
          onClick={() => again.mutate()}
        >
          <RotateCcw aria-hidden /> Run again
        </button>
        <button
          type="button"
          className="button small icon"
          aria-label="From a step, or on another version"
          title="From a step, or on another version (R)"
          onClick={() => setAsking(true)}
        >
          <Settings2 aria-hidden />
        </button>
      </span>
      {asking && <RerunDialog run={run} onClose={() => setAsking(false)} />}
    </>
  );
}

interface DialogProps {
  run: Run;
  from?: string;
  onClose: () => void;
}

function useVersions(run: Run): number[] {
  const may = useMay();
  const name = run.workflow_name ?? "";
  const versions = useQuery({
    queryKey: [...keys.versions(name), "all"],
    queryFn: ({ signal }) =>
      take(api.GET("/workflows/{name}/versions", { params: { path: { name }, query: { limit: 200 } }, signal })),
    enabled: name !== "" && may("workflows:read"),
    // A workflow may be gone while its runs stay.
    retry: false,
  });
  const own = run.workflow_version;
  const found = versions.data?.items.map((version) => version.version) ?? [];
  return own && !found.includes(own) ? [...found, own] : found;
}

function RerunDialog({ run, from: first = "", onClose }: DialogProps) {
  const navigate = useNavigate();
  const [from, setFrom] = useState(first);
  const [version, setVersion] = useState(run.workflow_version ?? undefined);
  const versions = useVersions(run);
  const [fromId, versionId] = [useId(), useId()];
  const steps = useSteps(run.id).data ?? [];
  const file = useRunFile(run).data?.file;
  const model = useMemo(() => (file ? modelOf(file) : undefined), [file]);
  const own = version === run.workflow_version;
  const again = useMutation({
    mutationFn: () =>
      take(
        api.POST("/runs/{run_id}/rerun", {
          params: { path: { run_id: run.id } },
          body: { from_node: from || null, version: own ? null : version },
        }),
      ),
    onSuccess: ({ run_id }) => {
      onClose();
      toast(from ? `Started again from “${from}”; what stands before it was taken over.` : "Started again.");
      void navigate({ to: "/runs/$runId", params: { runId: run_id } });
    },
  });
  const reached = steps.filter((step) => step.started_at && !isChild(step) && !step.kind.startsWith("trigger."));
  return (
    <Dialog
      small
      title="Run again"
      onClose={onClose}
      foot={
        <>
          <button type="button" className="button" onClick={onClose}>
            Close
          </button>
          <button type="button" className="button primary" disabled={again.isPending} onClick={() => again.mutate()}>
            Start the new run
          </button>
        </>
      }
    >
      <form
        className="stack wide"
        onSubmit={(event) => {
          event.preventDefault();
          again.mutate();
        }}
      >
        <div className="field">
          <label htmlFor={fromId}>From</label>
          <select id={fromId} className="input" value={from} onChange={(event) => setFrom(event.target.value)}>
            <option value="">The beginning</option>
            {reached.map((step) => (
              <option key={step.node} value={step.node}>
                {step.node}
              </option>
            ))}
          </select>
        </div>
        {versions.length > 1 && (
          <div className="field">
            <label htmlFor={versionId}>On version</label>
            <select
              id={versionId}
              className="input"
              value={version ?? ""}
              onChange={(event) => setVersion(Number(event.target.value))}
            >
              {versions.map((each, index) => (
                <option key={each} value={each}>
                  {each}
                  {each === run.workflow_version ? ", as this run" : index === 0 ? ", the current one" : ""}
                </option>
              ))}
            </select>
          </div>
        )}
        <Effect from={from} reached={reached} model={model} />
        {again.error && (
          <Refused error={again.error} own={own} onOwn={() => setVersion(run.workflow_version ?? undefined)} />
        )}
      </form>
    </Dialog>
  );
}

interface EffectProps {
  from: string;
  reached: readonly Step[];
  model: GraphModel | undefined;
}

const MOST_NAMES = 6;

function names(nodes: readonly string[]): string {
  const more = nodes.length - MOST_NAMES;
  return nodes.slice(0, MOST_NAMES).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** What is taken over, and what is done once more. */
function Effect({ from, reached, model }: EffectProps) {
  if (!from) return <p className="muted">Every step is done again, with the input of this run.</p>;
  if (!model) return <p className="muted">What came before “{from}” is taken over and not done again.</p>;
  const again = behind(model, from);
  const [kept, redone] = [
    reached.filter(({ node }) => !again.has(node)),
    reached.filter(({ node }) => again.has(node)),
  ];
  return (
    <dl className="facts">
      <dt>Taken over</dt>
      <dd>{kept.length > 0 ? names(kept.map(({ node }) => node)) : "nothing but the input"}</dd>
      <dt>Done again</dt>
      <dd>{names(redone.map(({ node }) => node))}</dd>
    </dl>
  );
}

interface RefusedProps {
  error: unknown;
  own: boolean;
  onOwn: () => void;
}

function Refused({ error, own, onOwn }: RefusedProps) {
  const differs = asApiError(error).code === "version_differs";
  return (
    <ProblemNotice error={error} what={differs ? "The two versions differ before this step" : "No run was started"}>
      {differs && !own && (
        <button type="button" className="button small" onClick={onOwn}>
          Take this run’s version
        </button>
      )}
    </ProblemNotice>
  );
}

export function ResumeButton({ run }: { run: Run }) {
  const client = useQueryClient();
  const may = useMay();
  const resume = useMutation({
    mutationFn: () => take(api.POST("/runs/{run_id}/resume", { params: { path: { run_id: run.id } } })),
    onSuccess: () => toast("The run goes on."),
    onError: (error) => toastError("The run could not go on.", error),
    onSettled: () => {
      void client.invalidateQueries({ queryKey: keys.run(run.id) });
      void client.invalidateQueries({ queryKey: keys.steps(run.id) });
      void client.invalidateQueries({ queryKey: keys.runs() });
    },
  });
  if (run.status !== "paused" || !may("runs:write")) return null;
  return (
    <button type="button" className="button small primary" disabled={resume.isPending} onClick={() => resume.mutate()}>
      <CirclePlay aria-hidden /> Resume
    </button>
  );
}

/** What a paused run does when it is resumed, in a sentence or two. */
export function ResumeWords({ steps }: { steps: readonly Step[] }) {
  const failed = steps.filter((step) => step.status === "failed" && !isChild(step));
  const open = steps.filter((step) => step.status === "pending" && !isChild(step)).length;
  const items = steps.filter(
    (step) => step.status === "failed" && isChild(step) && failed.some(({ node }) => node === step.node),
  ).length;
  return (
    <div>
      {failed.length > 0
        ? `Resume tries ${failed.map(({ node }) => `“${node}”`).join(", ")} again, with all its tries`
        : "Resume goes on where it stood"}
      {items > 0 && ` (of its parts only the ${items} that failed)`}
      {open === 1 && "; the one step not reached yet follows"}
      {open > 1 && `; the ${open} steps not reached yet follow`}. What is done stays done.
    </div>
  );
}
