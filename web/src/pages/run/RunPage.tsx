import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { Ban, CornerLeftUp } from "lucide-react";
import { lazy, Suspense, useMemo, useState } from "react";
import { keys } from "@/api/cache";
import { useMay } from "@/api/session";
import type { Run, Step } from "@/api/types";
import { useHotkeys } from "@/app/hotkeys";
import { useTrail } from "@/app/title";
import { isChild } from "@/lib/agent-steps";
import { isRound } from "@/lib/rounds";
import { cancelRun } from "@/pages/runs/queries";
import { Confirm } from "@/ui/Dialog";
import { ProblemPage } from "@/ui/Problem";
import { CopyId, shortId } from "@/ui/parts";
import { Status } from "@/ui/Status";
import { Time, Took } from "@/ui/Time";
import { toast, toastError } from "@/ui/toasts";
import { NARROW, useMedia, usePhone } from "@/ui/useMedia";
import { Banners } from "./Banners";
import { Inspector, RunDetails } from "./Inspector";
import { useLights, useModel, useRun, useRunFile, useSteps } from "./queries";
import { RunAgain } from "./Rerun";
import { RunEvents } from "./RunEvents";
import { type RunSearch, type RunView, route } from "./route";
import { Timeline } from "./Timeline";
import "./run.css";

const Graph = lazy(() => import("@/graph/Graph").then((module) => ({ default: module.Graph })));
const FINAL = new Set(["succeeded", "failed", "cancelled"]);

export function RunPage() {
  const { runId } = route.useParams();
  const run = useRun(runId);
  const name = run.data?.workflow_name;
  const parent = useRun(run.data?.parent_run_id ?? undefined).data;
  useTrail([
    { label: "Runs", to: "/runs" },
    ...(parent ? [{ label: parent.workflow_name ?? shortId(parent.id), to: `/runs/${parent.id}` }] : []),
    { label: name ? `${name} ${shortId(runId)}` : shortId(runId) },
  ]);
  if (run.error && !run.data) {
    return <ProblemPage error={run.error} what="The run could not be loaded" onRetry={() => void run.refetch()} />;
  }
  if (!run.data) return <RunSkeleton />;
  return <Shown run={run.data} />;
}

/** The step that the address names: a node's last round, or what happened inside of it. */
function useChosen(steps: Step[] | undefined, { step, path }: RunSearch): Step | undefined {
  return useMemo(() => {
    const own = (steps ?? []).filter((each) => each.node === step);
    const inside = path === undefined ? undefined : own.find((each) => each.path === path);
    return inside ?? own.findLast((each) => !isChild(each));
  }, [steps, step, path]);
}

function RunSkeleton() {
  return (
    <div className="page" role="status" aria-label="Loading">
      <div className="page-head">
        <span className="skeleton" style={{ width: 240 }} />
      </div>
      <div className="run-graph" />
    </div>
  );
}

function Shown({ run }: { run: Run }) {
  const search = route.useSearch();
  const navigate = useNavigate();
  const phone = usePhone();
  const narrow = useMedia(NARROW);
  const steps = useSteps(run.id);
  const file = useRunFile(run);
  const lights = useLights(steps.data);
  const model = useModel(file.data?.file, steps.data);
  const step = useChosen(steps.data, search);
  const go = (next: RunSearch) =>
    void navigate({ to: "/runs/$runId", params: { runId: run.id }, search: { ...search, ...next }, replace: true });
  const choose = (id: string | undefined, path?: string) => go({ step: id, path });
  useStepKeys(steps.data, search.step, choose);
  const view = search.view ?? (phone ? "steps" : "graph");
  const showGraph = view === "graph" || (!phone && view === "steps");
  return (
    <div className="split">
      <div className="main run">
        <Head run={run} />
        <Banners run={run} steps={steps.data ?? []} file={file.data?.file} onStep={choose} />
        <Views view={view} narrow={narrow} onView={(next) => go({ view: next })} />
        {showGraph && (
          <div className={`run-graph${view === "steps" ? " low" : ""}`}>
            <Suspense fallback={<div className="graph-wait" />}>
              {steps.isPending || file.isLoading ? (
                <div className="graph-wait" />
              ) : (
                <Graph model={model} lights={lights} chosen={search.step} onChoose={choose} />
              )}
            </Suspense>
          </div>
        )}
        {view === "events" && <RunEvents run={run} />}
        {view === "details" && (
          <div className="run-details">
            <RunDetails run={run} />
          </div>
        )}
        {(view === "steps" || (view === "graph" && !phone)) && (
          <Timeline
            run={run}
            steps={steps.data ?? []}
            error={steps.error}
            chosen={search.step}
            path={search.path}
            onChoose={choose}
          />
        )}
      </div>
      {(step || !narrow) && (
        <Inspector
          run={run}
          step={step}
          round={isRound(search.path) ? search.path : undefined}
          steps={steps.data ?? []}
          file={file.data?.file}
          onChoose={choose}
          onClose={step ? () => choose(undefined) : undefined}
        />
      )}
    </div>
  );
}

interface ViewsProps {
  view: RunView;
  narrow: boolean;
  onView: (view: RunView) => void;
}

const VIEW_WORDS: Record<RunView, string> = { graph: "Graph", steps: "Steps", events: "Events", details: "Details" };

function Views({ view, narrow, onView }: ViewsProps) {
  const views = Object.entries(VIEW_WORDS) as [RunView, string][];
  return (
    <div className="tabs run-views" role="tablist" aria-label="Views of the run">
      {views
        .filter(([id]) => narrow || id !== "details")
        .map(([id, word]) => (
          <button
            type="button"
            role="tab"
            key={id}
            className="tab"
            aria-selected={view === id}
            onClick={() => onView(id)}
          >
            {word}
          </button>
        ))}
    </div>
  );
}

/** j and k walk the steps in the order in which they began. */
function useStepKeys(steps: Step[] | undefined, chosen: string | undefined, choose: (id: string | undefined) => void) {
  const order = useMemo(
    () =>
      (steps ?? [])
        .filter((step) => step.started_at && !isChild(step))
        .toSorted((a, b) => String(a.started_at).localeCompare(String(b.started_at)))
        .map((step) => step.node),
    [steps],
  );
  const at = chosen ? order.indexOf(chosen) : -1;
  useHotkeys([
    { keys: "j", does: "Next step", group: "Run", run: () => choose(order[Math.min(order.length - 1, at + 1)]) },
    { keys: "k", does: "Step before", group: "Run", run: () => choose(order[Math.max(0, at - 1)]) },
  ]);
}

function Head({ run }: { run: Run }) {
  return (
    <div className="page-head run-head">
      <h1 className="clip">{run.workflow_name ?? "Internal run"}</h1>
      <div className="bar wrap run-facts">
        <Status status={run.status} />
        {run.workflow_version && <span className="muted">version {run.workflow_version}</span>}
        <span className="muted">
          <Time at={run.created_at} />
        </span>
        <span className="muted" title="From start to end, waits included">
          <Took from={run.started_at} to={run.finished_at} />
        </span>
        {run.parent_run_id && (
          <Link
            to="/runs/$runId"
            params={{ runId: run.parent_run_id }}
            search={{ step: run.parent_node ?? undefined }}
            className="link bar"
          >
            <CornerLeftUp size={14} aria-hidden /> part of another run
          </Link>
        )}
        <CopyId id={run.id} />
      </div>
      <Actions run={run} />
    </div>
  );
}

function Actions({ run }: { run: Run }) {
  const may = useMay();
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const cancel = useMutation({
    mutationFn: () => cancelRun(run.id),
    onSuccess: () => {
      toast("The run was asked to end.");
      void client.invalidateQueries({ queryKey: keys.run(run.id) });
      void client.invalidateQueries({ queryKey: keys.steps(run.id) });
    },
    onError: (error) => toastError("The run could not be cancelled.", error),
    onSettled: () => setAsking(false),
  });
  return (
    <div className="bar">
      {!FINAL.has(run.status) && may("runs:write") && (
        <button type="button" className="button small danger" onClick={() => setAsking(true)}>
          <Ban aria-hidden /> Cancel
        </button>
      )}
      <RunAgain run={run} />
      {asking && (
        <Confirm
          danger
          title="Cancel this run?"
          text="What its steps did stays done. If it waits, it ends at once, else at its next step."
          action="Cancel the run"
          busy={cancel.isPending}
          onConfirm={() => cancel.mutate()}
          onClose={() => setAsking(false)}
        />
      )}
    </div>
  );
}
