// What starts runs by itself, in one list: schedules by their next turn, events, webhooks.
import { Link, Outlet, useNavigate, useParams } from "@tanstack/react-router";
import { CalendarClock, type LucideIcon, Radio, Webhook } from "lucide-react";
import { useTrail } from "@/app/title";
import { cronWords } from "@/lib/cron-words";
import { errorOf } from "@/pages/runs/queries";
import { ProblemPage } from "@/ui/Problem";
import { Empty, FilterSelect, SearchBox } from "@/ui/parts";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { type Column, VirtualList } from "@/ui/VirtualList";
import { type Trigger, type TriggerKind, useTriggers } from "./queries";
import { listRoute, type TriggersSearch } from "./route";
import "./triggers.css";

const KINDS: Record<TriggerKind, { word: string; icon: LucideIcon }> = {
  schedule: { word: "Schedule", icon: CalendarClock },
  event: { word: "Event", icon: Radio },
  hook: { word: "Webhook", icon: Webhook },
};

export function whatOf(trigger: Trigger): string {
  if (trigger.kind === "schedule") return cronWords(trigger.row.cron) ?? trigger.row.cron;
  if (trigger.kind === "event") return trigger.row.kinds.join(", ");
  return trigger.row.scheme === "none"
    ? "A delivery, unsigned"
    : `A delivery, signed by ${schemeWord(trigger.row.scheme)}`;
}

export function schemeWord(scheme: string): string {
  return { github: "GitHub", gitlab: "GitLab", standard_webhooks: "Standard Webhooks" }[scheme] ?? scheme;
}

function Kind({ kind }: { kind: TriggerKind }) {
  const { word, icon: Icon } = KINDS[kind];
  return (
    <span className="status">
      <Icon className="muted" aria-hidden /> {word}
    </span>
  );
}

function What({ trigger }: { trigger: Trigger }) {
  const failure = trigger.kind === "hook" ? undefined : errorOf(trigger.row.failure);
  return (
    <div className="bar">
      <span className="clip">{whatOf(trigger)}</span>
      <span className="clip faint trigger-of">{trigger.workflow?.name}</span>
      {failure && <span className="clip tone-bad run-why">{failure.message}</span>}
    </div>
  );
}

function Next({ trigger }: { trigger: Trigger }) {
  if (trigger.kind === "hook" && !trigger.row.active) return <span className="muted">closed</span>;
  if (trigger.workflow && trigger.workflow.status !== "active") return <Status status={trigger.workflow.status} />;
  if (trigger.kind !== "schedule") return <span className="faint">–</span>;
  return <Time at={trigger.row.next_at} />;
}

const COLUMNS: Column<Trigger>[] = [
  { id: "kind", title: "Kind", width: "96px", cell: (trigger) => <Kind kind={trigger.kind} />, from: 640 },
  { id: "what", title: "When", width: "minmax(0, 1fr)", phone: true, cell: (trigger) => <What trigger={trigger} /> },
  {
    id: "workflow",
    title: "Workflow",
    width: "minmax(0, 0.6fr)",
    cell: (trigger) =>
      trigger.workflow ? (
        <Link to="/workflows/$name" params={{ name: trigger.workflow.name }} className="clip">
          {trigger.workflow.name}
        </Link>
      ) : (
        <span className="faint">–</span>
      ),
  },
  {
    id: "last",
    title: "Last run",
    width: "88px",
    num: true,
    from: 720,
    cell: (trigger) =>
      trigger.kind === "hook" ? (
        <span className="faint">–</span>
      ) : trigger.row.last_run_id ? (
        <Link to="/runs/$runId" params={{ runId: trigger.row.last_run_id }}>
          <Time at={trigger.row.last_at} />
        </Link>
      ) : (
        <span className="faint">none yet</span>
      ),
  },
  { id: "next", title: "Next", width: "104px", num: true, phone: true, cell: (trigger) => <Next trigger={trigger} /> },
];

function fits(trigger: Trigger, { kind, text }: TriggersSearch): boolean {
  if (kind && trigger.kind !== kind) return false;
  const words = `${whatOf(trigger)} ${trigger.node} ${trigger.workflow?.name ?? ""} ${trigger.workflow?.title ?? ""}`;
  return !text || words.toLowerCase().includes(text.toLowerCase());
}

export function TriggersPage() {
  const search = listRoute.useSearch();
  const navigate = useNavigate();
  const { triggerId } = useParams({ strict: false });
  const { triggers, pending, error, retry } = useTriggers();
  const shown = triggers.filter((trigger) => fits(trigger, search));
  useTrail([{ label: "Triggers" }]);
  const onFilter = (next: TriggersSearch) =>
    void navigate({ to: "/triggers", search: { ...search, ...next }, replace: true });
  return (
    <div className="split">
      <div className="main">
        <div className="page-head">
          <h1>Triggers</h1>
          <SearchBox
            label="Workflow, step or words"
            value={search.text ?? ""}
            onChange={(text) => onFilter({ text: text || undefined })}
          />
          <FilterSelect
            label="Kind"
            all="Every kind"
            value={search.kind}
            options={(Object.keys(KINDS) as TriggerKind[]).map((value) => ({ value, label: KINDS[value].word }))}
            onChange={(kind) => onFilter({ kind })}
          />
        </div>
        {error && triggers.length === 0 ? (
          <ProblemPage error={error} what="The triggers could not be loaded" onRetry={retry} />
        ) : (
          <VirtualList
            name="triggers"
            label="Triggers"
            items={shown}
            idOf={(trigger) => trigger.id}
            columns={COLUMNS}
            loading={pending}
            current={triggerId}
            onOpen={(trigger) =>
              void navigate({ to: "/triggers/$triggerId", params: { triggerId: trigger.id }, search })
            }
            empty={
              <NoTriggers
                filtered={triggers.length > 0}
                onClear={() => onFilter({ kind: undefined, text: undefined })}
              />
            }
          />
        )}
      </div>
      <Outlet />
    </div>
  );
}

function NoTriggers({ filtered, onClear }: { filtered: boolean; onClear: () => void }) {
  if (filtered) {
    return (
      <Empty
        icon={<CalendarClock aria-hidden />}
        title="No trigger fits these filters"
        action={
          <button type="button" className="button" onClick={onClear}>
            Show all triggers
          </button>
        }
      />
    );
  }
  return (
    <Empty
      icon={<CalendarClock aria-hidden />}
      title="Nothing starts by itself yet"
      action={
        <Link to="/workflows" className="button primary">
          Look at the workflows
        </Link>
      }
    >
      A node of the kind <code>trigger.schedule</code>, <code>trigger.event</code> or <code>trigger.webhook</code> in a
      workflow’s file starts its runs by the clock, by what happens here, or by what others send.
    </Empty>
  );
}
