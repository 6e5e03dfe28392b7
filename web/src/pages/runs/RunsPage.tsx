import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { Activity, CornerDownRight } from "lucide-react";
import { useState } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { useLiveEvents } from "@/api/live/live";
import { useMay } from "@/api/session";
import type { Run } from "@/api/types";
import { useHotkeys } from "@/app/hotkeys";
import { useTrail } from "@/app/title";
import { isFiltered, RUN_STATUSES, type RunFilter, type Since, statusesOf, withStatus } from "@/lib/run-filter";
import { News } from "@/ui/News";
import { ProblemPage } from "@/ui/Problem";
import { Empty, FilterSelect, SearchBox, shortId } from "@/ui/parts";
import { Status, StatusIcon, wordOf } from "@/ui/Status";
import { Time, Took } from "@/ui/Time";
import { toastError } from "@/ui/toasts";
import { type Column, VirtualList } from "@/ui/VirtualList";
import { BulkRuns } from "./BulkRuns";
import { errorOf, useNewRuns, useOpenCounts, useRuns } from "./queries";
import { route } from "./route";

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
      {run.parent_run_id && (
        <CornerDownRight size={14} className="faint run-inside" aria-label="Part of another run" role="img" />
      )}
      <Link to="/runs/$runId" params={{ runId: run.id }} className="clip run-name">
        {run.workflow_name ?? "Internal run"}
      </Link>
      <span className="faint mono run-id">{shortId(run.id)}</span>
      {error && <span className="clip tone-bad run-why">{error.message}</span>}
    </div>
  );
}

export function RunsPage() {
  const filter = route.useSearch();
  const navigate = useNavigate();
  const may = useMay();
  const { query, items, more } = useRuns(filter);
  const news = useNewRuns(filter, items);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  useTrail([{ label: "Runs" }]);

  const showNews = () => news.show().catch((error) => toastError("The new runs could not be loaded.", error));
  // An empty list has nothing that could jump: what is new is shown at once.
  useLiveEvents((events) => {
    if (items.length === 0 && events.some((event) => event.kind.startsWith("run."))) void query.refetch();
  });
  const setFilter = (next: Partial<RunFilter>) => {
    setChosen(new Set());
    void navigate({ to: "/runs", search: { ...filter, ...next }, replace: true });
  };
  const clear = () => void navigate({ to: "/runs", search: { inside: filter.inside }, replace: true });
  useHotkeys([
    { keys: "n", does: "Show the new runs", group: "Runs", run: () => void (news.count > 0 && showNews()) },
    {
      keys: "i",
      does: "Show or hide runs inside of runs",
      group: "Runs",
      run: () => setFilter({ inside: filter.inside ? undefined : true }),
    },
    { keys: "shift+f", does: "Show only failed and paused runs", group: "Runs", run: () => setFilter(FAILED) },
  ]);
  return (
    <div className="page">
      <div className="page-head">
        <h1>Runs</h1>
        <Filters filter={filter} items={items} onChange={setFilter} />
      </div>
      <Statuses filter={filter} onChange={setFilter} />
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
          above={<News count={news.count} noun="run" onShow={() => void showNews()} />}
          empty={<NoRuns filtered={isFiltered(filter)} more={more} onClear={clear} />}
        />
      )}
      {chosen.size > 0 && (
        <BulkRuns
          chosen={items.filter((run) => chosen.has(run.id))}
          filter={filter}
          onDone={() => setChosen(new Set())}
        />
      )}
    </div>
  );
}

const FAILED = { status: "paused,failed" };

interface FiltersProps {
  filter: RunFilter;
  onChange: (next: Partial<RunFilter>) => void;
}

const SINCES: { value: Since; label: string }[] = [
  { value: "1h", label: "The last hour" },
  { value: "1d", label: "The last day" },
  { value: "7d", label: "The last week" },
  { value: "30d", label: "The last 30 days" },
];

function Filters({ filter, items, onChange }: FiltersProps & { items: readonly Run[] }) {
  const workflows = useQuery({
    queryKey: keys.workflows,
    queryFn: ({ signal }) => take(api.GET("/workflows", { params: { query: { limit: 200 } }, signal })),
  });
  const names = workflows.data?.items.map((workflow) => workflow.name) ?? [];
  if (filter.workflow && !names.includes(filter.workflow)) names.push(filter.workflow);
  const triggers = new Set(items.map((run) => run.trigger));
  if (filter.trigger) triggers.add(filter.trigger);
  return (
    <div className="bar wrap filter-line">
      <SearchBox
        label="Id, workflow or error"
        value={filter.text ?? ""}
        onChange={(text) => onChange({ text: text || undefined })}
      />
      <FilterSelect
        label="Workflow"
        all="Every workflow"
        value={filter.workflow}
        options={names.map((value) => ({ value, label: value }))}
        onChange={(workflow) => onChange({ workflow })}
      />
      <FilterSelect
        label="Trigger"
        all="Every trigger"
        value={filter.trigger}
        options={[...triggers].toSorted().map((value) => ({ value, label: value }))}
        onChange={(trigger) => onChange({ trigger })}
      />
      <FilterSelect
        label="Since"
        all="Any time"
        value={filter.since}
        options={SINCES}
        onChange={(since) => onChange({ since })}
      />
    </div>
  );
}

/** One button a status; any of those pressed is shown. The open ones say how many there are. */
function Statuses({ filter, onChange }: FiltersProps) {
  const pressed = statusesOf(filter);
  const counts = useOpenCounts(filter);
  return (
    <fieldset className="filters statuses">
      <legend className="hidden-text">Statuses</legend>
      {RUN_STATUSES.map((status) => (
        <button
          type="button"
          key={status}
          className="button small"
          aria-pressed={pressed.includes(status)}
          onClick={() => onChange({ status: withStatus(filter, status) })}
        >
          <StatusIcon status={status} /> {wordOf(status)}
          {counts[status] !== undefined && <span className="faint num">{counts[status]}</span>}
        </button>
      ))}
      <label className="check statuses-inside">
        <input
          type="checkbox"
          checked={filter.inside === true}
          onChange={(event) => onChange({ inside: event.target.checked || undefined })}
        />
        Runs inside of runs too
      </label>
    </fieldset>
  );
}

interface NoRunsProps {
  filtered: boolean;
  more: { has: boolean; busy: boolean; load: () => void };
  onClear: () => void;
}

function NoRuns({ filtered, more, onClear }: NoRunsProps) {
  if (filtered && (more.has || more.busy)) {
    return (
      <Empty
        icon={<Activity aria-hidden />}
        title="None of the newest runs fits these filters"
        action={
          <button type="button" className="button" disabled={more.busy} onClick={more.load}>
            {more.busy ? "Looking…" : "Look further back"}
          </button>
        }
      />
    );
  }
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
