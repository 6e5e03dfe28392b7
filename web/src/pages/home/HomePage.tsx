// What waits for me, what runs, what failed.
import { useQuery } from "@tanstack/react-query";
import { Link, type LinkProps, useNavigate } from "@tanstack/react-router";
import { CalendarClock, CircleCheck, Inbox, Rocket } from "lucide-react";
import type { ReactNode } from "react";
import { api, take } from "@/api/client";
import { useMay, useSession } from "@/api/session";
import type { Approval, Page, Run, RunStatus, Task } from "@/api/types";
import { useHotkeys } from "@/app/hotkeys";
import { useTrail } from "@/app/title";
import { useWaiting } from "@/app/waiting";
import { cronWords } from "@/lib/cron-words";
import { countOf as countMine } from "@/lib/my-day";
import type { RunFilter } from "@/lib/run-filter";
import { useConsumers } from "@/pages/consumers/queries";
import { useModels } from "@/pages/models/queries";
import { errorOf, fetchRuns } from "@/pages/runs/queries";
import { useAllWorkflows, useSchedules } from "@/pages/triggers/queries";
import { useMyDay } from "@/pages/work/mine";
import { ProblemNotice } from "@/ui/Problem";
import { Empty } from "@/ui/parts";
import { Status, StatusIcon } from "@/ui/Status";
import { Time, Took } from "@/ui/Time";
import "./home.css";

const SHOWN = 8;

function useHomeRuns(status: RunStatus) {
  const may = useMay();
  return useQuery({
    queryKey: ["home", "runs", status],
    queryFn: ({ signal }) =>
      take(api.GET("/runs", { params: { query: { status, top_level: true, limit: SHOWN } }, signal })),
    enabled: may("runs:read"),
  });
}

/** What failed or was paused in the last day: the newest page of them. */
function useFailed() {
  const may = useMay();
  return useQuery({
    queryKey: ["home", "failed"],
    queryFn: ({ signal }) => fetchRuns(FAILED, undefined, signal),
    enabled: may("runs:read"),
  });
}

const FAILED: RunFilter = { status: "paused,failed", since: "1d" };

export function HomePage() {
  const { user } = useSession();
  const may = useMay();
  const waiting = useWaiting();
  const mine = useMyDay(false);
  const lists = {
    running: useHomeRuns("running"),
    queued: useHomeRuns("queued"),
    waiting: useHomeRuns("waiting"),
    succeeded: useHomeRuns("succeeded"),
  };
  const failed = useFailed();
  useTrail([{ label: "Home" }]);
  const navigate = useNavigate();
  useHotkeys([
    {
      keys: "f",
      does: "Look at what failed in the last day",
      group: "Home",
      run: () => void navigate({ to: "/runs", search: FAILED }),
    },
    { keys: "w", does: "Look at what waits for you", group: "Home", run: () => void navigate({ to: "/approvals" }) },
  ]);
  const all = [...Object.values(lists), failed];
  const error = [...all, waiting].find((query) => query.error)?.error;
  const pending = all.some((query) => query.isPending && query.fetchStatus !== "idle");
  const of = (...names: (keyof typeof lists)[]) => newest(names.flatMap((name) => lists[name].data?.items ?? []));
  const active = of("running", "queued", "waiting");
  const nothing = !pending && !error && all.every((query) => query.data?.items.length === 0);
  const approvals = waiting.data?.items ?? [];
  return (
    <div className="page-body padded home">
      <h1>Hello, {user.display_name || user.email}</h1>
      {error && (
        <ProblemNotice
          error={error}
          what="Some of this page could not be loaded"
          onRetry={() => [...all, waiting].forEach((query) => void query.refetch())}
        />
      )}
      <Given />
      {nothing && approvals.length === 0 && countMine(mine) === 0 ? (
        <FirstSteps />
      ) : (
        <div className="home-grid">
          {may("approvals:read") && (
            <Section
              title="Waits for you"
              more={{ to: "/approvals" }}
              busy={waiting.isPending}
              none="Nothing waits for a decision."
            >
              {approvals.slice(0, SHOWN).map((approval) => (
                <ApprovalLine key={approval.id} approval={approval} />
              ))}
            </Section>
          )}
          {may("tasks:read") && (
            <Section
              title="Your work today"
              more={{ to: "/work/mine" }}
              busy={mine.pending}
              none="Nothing of yours is due or scheduled today."
            >
              {[
                ...mine.overdue.map((task) => <TaskLine key={task.id} task={task} why="overdue" />),
                ...mine.today.map((task) => <TaskLine key={task.id} task={task} why="due today" />),
                ...mine.scheduled.map((task) => <TaskLine key={task.id} task={task} why="scheduled" />),
                ...mine.busy.map((task) => <TaskLine key={task.id} task={task} why="begun" />),
              ].slice(0, SHOWN)}
            </Section>
          )}
          <Section
            title="Failed in the last day"
            count={countOf(failed.data)}
            more={{ to: "/runs", search: FAILED }}
            busy={pending}
            none="Nothing failed in the last day."
          >
            {(failed.data?.items ?? []).slice(0, SHOWN).map((run) => (
              <RunLine key={run.id} run={run} />
            ))}
          </Section>
          <Section title="At work" more={{ to: "/runs" }} busy={pending} none="Nothing runs at the moment.">
            {active.map((run) => (
              <RunLine key={run.id} run={run} />
            ))}
          </Section>
          <Section
            title="Done lately"
            more={{ to: "/runs", search: { status: "succeeded" } }}
            busy={pending}
            none="Nothing has ended yet."
          >
            {of("succeeded").map((run) => (
              <RunLine key={run.id} run={run} />
            ))}
          </Section>
          <NextTurns />
        </div>
      )}
    </div>
  );
}

/** "3", or "99+" when there are more pages. */
function countOf(page: Page<Run> | undefined): string | undefined {
  if (!page || page.items.length === 0) return undefined;
  return page.next_cursor ? `${page.items.length}+` : String(page.items.length);
}

/** Events that nobody handles any more are told of first. */
function Given() {
  const may = useMay();
  const consumers = useConsumers(may("events:manage"));
  const count = consumers.data?.items.reduce((sum, group) => sum + group.dead_letters, 0) ?? 0;
  if (count === 0) return null;
  return (
    <section className="notice bad" aria-label="Dead letters">
      <Inbox aria-hidden />
      <div className="bar wrap grow">
        <span className="grow">
          <strong>
            {count.toLocaleString("en")} {count === 1 ? "event was" : "events were"} given up
          </strong>{" "}
          by what should have handled {count === 1 ? "it" : "them"}.
        </span>
        <Link to="/consumers" className="button small">
          Look at {count === 1 ? "it" : "them"}
        </Link>
      </div>
    </section>
  );
}

/** Schedules by their next turn; there is no such card where nothing goes by the clock. */
function NextTurns() {
  const may = useMay();
  const rows = useSchedules(undefined, may("workflows:read"));
  const flows = useAllWorkflows().data;
  const schedules = rows.data?.schedules ?? [];
  if (schedules.length === 0) return null;
  const active = new Map(flows?.filter((flow) => flow.status === "active").map((flow) => [flow.id, flow]));
  const next = schedules.filter((row) => row.next_at && active.has(row.workflow_id)).slice(0, SHOWN);
  return (
    <Section
      title="Next by the clock"
      more={{ to: "/triggers", search: { kind: "schedule" } }}
      busy={!flows}
      none="Every schedule is paused."
    >
      {next.map((row) => (
        <li key={row.id}>
          <Link to="/triggers/$triggerId" params={{ triggerId: row.id }} className="home-line">
            <span className="status">
              <CalendarClock className="muted" aria-hidden />
            </span>
            <span className="grow">
              <span className="clip home-name">
                {active.get(row.workflow_id)?.title || active.get(row.workflow_id)?.name}
              </span>
              <span className="clip faint home-why">{cronWords(row.cron) ?? row.cron}</span>
            </span>
            <span className="faint num">
              <Time at={row.next_at} />
            </span>
          </Link>
        </li>
      ))}
    </Section>
  );
}

function newest(runs: Run[]): Run[] {
  return runs.toSorted((a, b) => b.created_at.localeCompare(a.created_at)).slice(0, SHOWN);
}

interface SectionProps {
  title: string;
  /** How many there are, when that is worth saying. */
  count?: string;
  more: LinkProps;
  busy: boolean;
  none: string;
  children: ReactNode[];
}

function Section({ title, count, more, busy, none, children }: SectionProps) {
  return (
    <section className="card home-card" aria-label={title}>
      <header>
        <h2 className="bar">
          {title} {count && <span className="chip bad">{count}</span>}
        </h2>
        <Link {...more} className="muted home-more">
          All
        </Link>
      </header>
      {busy && <span className="skeleton home-none" role="status" aria-label="Loading" />}
      {!busy && children.length === 0 && (
        <p className="home-none muted bar">
          <CircleCheck size={16} className="tone-good" aria-hidden /> {none}
        </p>
      )}
      <ul>{children}</ul>
    </section>
  );
}

function RunLine({ run }: { run: Run }) {
  const error = errorOf(run.error);
  return (
    <li>
      <Link to="/runs/$runId" params={{ runId: run.id }} className="home-line">
        <Status status={run.status} iconOnly />
        <span className="grow">
          <span className="clip home-name">{run.workflow_name ?? "Internal run"}</span>
          {error && <span className="clip tone-bad home-why">{error.message}</span>}
        </span>
        <span className="faint num">
          {run.finished_at ? <Time at={run.finished_at} /> : <Took from={run.created_at} to={null} />}
        </span>
      </Link>
    </li>
  );
}

function ApprovalLine({ approval }: { approval: Approval }) {
  return (
    <li>
      <Link to="/approvals/$approvalId" params={{ approvalId: approval.id }} className="home-line">
        <span className="status">
          <StatusIcon status="waiting" />
        </span>
        <span className="grow clip">{approval.title}</span>
        <span className="faint num">
          <Time at={approval.created_at} />
        </span>
      </Link>
    </li>
  );
}

function TaskLine({ task, why }: { task: Task; why: string }) {
  return (
    <li>
      <Link
        to="/work/$projectId/$taskId"
        params={{ projectId: task.project_id, taskId: task.id }}
        className="home-line"
      >
        <Status status={task.status} iconOnly />
        <span className="grow clip">{task.title}</span>
        <span className={`num ${why === "overdue" ? "tone-bad" : "faint"}`}>{why}</span>
      </Link>
    </li>
  );
}

function FirstSteps() {
  const may = useMay();
  const models = useModels();
  const noModel = models.data?.items.length === 0 && models.data.routes.length === 0;
  return (
    <Empty
      icon={<Rocket aria-hidden />}
      title="Nothing has happened here yet"
      action={
        <div className="bar wrap home-first">
          {may("models:write") && noModel && (
            <Link to="/models" search={{ provider: "new" }} className="button">
              Add a provider
            </Link>
          )}
          {may("agents:write") && models.data && !noModel && (
            <Link to="/agents" className="button">
              Make an agent
            </Link>
          )}
          {may("workflows:read") && (
            <Link to="/workflows" className="button primary">
              Look at the workflows
            </Link>
          )}
          {may("projects:read") && (
            <Link to="/work" className="button">
              Make a project
            </Link>
          )}
        </div>
      }
    >
      This page shows what waits for you, what runs and what failed, once there is something to show.
      {noModel && " Agents need a model: an Ollama on this machine is found by itself, any other provider is added."}
    </Empty>
  );
}
