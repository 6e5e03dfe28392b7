import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { Activity, Ban, RotateCcw } from "lucide-react";
import { useState } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { useLiveEvents, useNews } from "@/api/live/live";
import { useMay } from "@/api/session";
import type { Run } from "@/api/types";
import { useTrail } from "@/app/title";
import { Confirm } from "@/ui/Dialog";
import { News } from "@/ui/News";
import { ProblemPage } from "@/ui/Problem";
import { Empty, FilterSelect, shortId } from "@/ui/parts";
import { Status, wordOf } from "@/ui/Status";
import { Time, Took } from "@/ui/Time";
import { toast, toastError } from "@/ui/toasts";
import { type Column, VirtualList } from "@/ui/VirtualList";
import { cancelRun, each, errorOf, runAgain, useNewestRuns, useRuns } from "./queries";
import { RUN_STATUSES, route } from "./route";

const COLUMNS: Column<Run>[] = [
  { id: "status", title: "Status", width: "112px", cell: (run) => <Status status={run.status} />, phone: true },
  { id: "workflow", title: "Workflow", width: "minmax(0, 1fr)", cell: (run) => <Name run={run} />, phone: true },
  {
    id: "trigger",
    title: "Trigger",
    width: "132px",
    cell: (run) => <span className="clip muted">{run.trigger}</span>,
  },
  {
    id: "took",
    title: "Took",
    width: "88px",
    num: true,
    cell: (run) => <Took from={run.started_at} to={run.finished_at} />,
  },
  { id: "at", title: "Started", width: "88px", num: true, phone: true, cell: (run) => <Time at={run.created_at} /> },
];

function Name({ run }: { run: Run }) {
  // That somebody cancelled it is no fault, and its state says so already.
  const error = run.status === "cancelled" ? undefined : errorOf(run.error);
  return (
    <div className="bar">
      <Link to="/runs/$runId" params={{ runId: run.id }} className="clip run-name">
        {run.workflow_name ?? "Internal run"}
      </Link>
      <span className="faint mono run-id">{shortId(run.id)}</span>
      {error && <span className="clip tone-bad run-why">{error.message}</span>}
    </div>
  );
}

const OPEN = new Set(["queued", "running", "waiting", "paused"]);

export function RunsPage() {
  const filter = route.useSearch();
  const navigate = useNavigate();
  const may = useMay();
  const { query, items, more } = useRuns(filter);
  const newest = useNewestRuns(filter);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [news, clearNews] = useNews(
    (event) => event.kind === "run.started" && fits(event.data, filter.workflow),
    items,
  );
  useTrail([{ label: "Runs" }]);

  const showNews = () => {
    clearNews();
    newest().catch((error) => toastError("The new runs could not be loaded.", error));
  };
  // An empty list has nothing that could jump: what is new is shown at once.
  useLiveEvents((events) => {
    if (items.length === 0 && events.some((event) => event.kind.startsWith("run."))) void query.refetch();
  });
  const setFilter = (next: Partial<typeof filter>) => {
    setChosen(new Set());
    void navigate({ to: "/runs", search: { ...filter, ...next }, replace: true });
  };
  return (
    <div className="page">
      <div className="page-head">
        <h1>Runs</h1>
        <Filters filter={filter} onChange={setFilter} />
      </div>
      {query.error && items.length === 0 ? (
        <ProblemPage error={query.error} what="The runs could not be loaded" onRetry={() => void query.refetch()} />
      ) : (
        <VirtualList
          name="runs"
          label="Runs"
          items={items}
          idOf={(run) => run.id}
          columns={COLUMNS}
          loading={query.isPending}
          more={more}
          selection={may("runs:write") ? { chosen, set: setChosen } : undefined}
          onOpen={(run) => void navigate({ to: "/runs/$runId", params: { runId: run.id } })}
          above={<News count={news} noun="run" onShow={showNews} />}
          empty={
            <NoRuns
              filtered={Boolean(filter.status || filter.workflow)}
              onClear={() => setFilter({ status: undefined, workflow: undefined })}
            />
          }
        />
      )}
      {chosen.size > 0 && (
        <BulkBar runs={items.filter((run) => chosen.has(run.id))} onDone={() => setChosen(new Set())} />
      )}
    </div>
  );
}

function fits(data: unknown, workflow: string | undefined): boolean {
  return !workflow || (data as { workflow?: string } | undefined)?.workflow === workflow;
}

interface FiltersProps {
  filter: ReturnType<typeof route.useSearch>;
  onChange: (next: Partial<ReturnType<typeof route.useSearch>>) => void;
}

function Filters({ filter, onChange }: FiltersProps) {
  const workflows = useQuery({
    queryKey: keys.workflows,
    queryFn: ({ signal }) => take(api.GET("/workflows", { params: { query: { limit: 200 } }, signal })),
  });
  const names = workflows.data?.items.map((workflow) => workflow.name) ?? [];
  if (filter.workflow && !names.includes(filter.workflow)) names.push(filter.workflow);
  return (
    <div className="bar wrap">
      <FilterSelect
        label="Status"
        all="Every status"
        value={filter.status}
        options={RUN_STATUSES.map((value) => ({ value, label: wordOf(value) }))}
        onChange={(status) => onChange({ status })}
      />
      <FilterSelect
        label="Workflow"
        all="Every workflow"
        value={filter.workflow}
        options={names.map((value) => ({ value, label: value }))}
        onChange={(workflow) => onChange({ workflow })}
      />
    </div>
  );
}

function NoRuns({ filtered, onClear }: { filtered: boolean; onClear: () => void }) {
  if (filtered) {
    return (
      <Empty
        icon={<Activity aria-hidden />}
        title="No run fits these filters"
        action={
          <button type="button" className="button" onClick={onClear}>
            Show all runs
          </button>
        }
      />
    );
  }
  return (
    <Empty
      icon={<Activity aria-hidden />}
      title="Nothing has run yet"
      action={
        <Link to="/workflows" className="button primary">
          Choose a workflow to run
        </Link>
      }
    >
      A run is one pass through a workflow. It keeps every step: what went in, what came out, what failed and why.
    </Empty>
  );
}

function BulkBar({ runs, onDone }: { runs: Run[]; onDone: () => void }) {
  const may = useMay();
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const open = runs.filter((run) => OPEN.has(run.status));
  const ended = runs.filter((run) => !OPEN.has(run.status) && run.workflow_name);
  const act = async (list: Run[], verb: string, how: (id: string) => Promise<unknown>) => {
    setBusy(true);
    const { done, failed, first } = await each(
      list.map((run) => run.id),
      how,
    );
    setBusy(false);
    setAsking(false);
    if (failed) toastError(`${done} ${verb}, ${failed} not.`, first);
    else toast(`${done} ${done === 1 ? "run" : "runs"} ${verb}.`);
    onDone();
  };
  return (
    <section className="bulk" aria-label="What to do with the chosen runs">
      <span className="grow">{runs.length} chosen</span>
      <button
        type="button"
        className="button small"
        disabled={busy || ended.length === 0 || !may("workflows:run")}
        title="Starts new runs with the same input, on the same version"
        onClick={() => void act(ended, "started again", (id) => runAgain(id))}
      >
        <RotateCcw aria-hidden /> Run {ended.length || ""} again
      </button>
      <button
        type="button"
        className="button small danger"
        disabled={busy || open.length === 0}
        onClick={() => setAsking(true)}
      >
        <Ban aria-hidden /> Cancel {open.length || ""}
      </button>
      <button type="button" className="button small quiet" onClick={onDone}>
        Choose none
      </button>
      {asking && (
        <Confirm
          danger
          title={`Cancel ${open.length} ${open.length === 1 ? "run" : "runs"}?`}
          text="What their steps did stays done. What waits ends at once, the rest at the next step."
          action="Cancel them"
          busy={busy}
          onConfirm={() => void act(open, "cancelled", (id) => cancelRun(id))}
          onClose={() => setAsking(false)}
        />
      )}
    </section>
  );
}
