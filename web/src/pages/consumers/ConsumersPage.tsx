// What acts on events: how far each consumer is, and the events that were given up, to be handled again or dropped.
import { Outlet, useNavigate, useParams } from "@tanstack/react-router";
import { CircleCheck, Inbox, RotateCcw, Trash2 } from "lucide-react";
import { useEffect, useState } from "react";
import { useMay } from "@/api/session";
import type { Consumer, DeadLetter } from "@/api/types";
import { useHotkeys } from "@/app/hotkeys";
import { useTrail } from "@/app/title";
import { ProblemNotice, ProblemPage } from "@/ui/Problem";
import { Empty, SkeletonRows } from "@/ui/parts";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { type Column, VirtualList } from "@/ui/VirtualList";
import { LetterDialog } from "./LetterDialog";
import { type LetterDeed, useConsumers, useFreshLetters, useLetters } from "./queries";
import { listRoute } from "./route";
import "./consumers.css";

const COLUMNS: Column<DeadLetter>[] = [
  {
    id: "kind",
    title: "Event",
    width: "minmax(96px, 0.4fr)",
    phone: true,
    cell: (letter) => <span className="clip mono">{letter.kind}</span>,
  },
  {
    id: "error",
    title: "Why it was given up",
    width: "minmax(0, 1fr)",
    phone: true,
    cell: (letter) =>
      letter.queued ? (
        <span className="status muted">
          <Status status="queued" iconOnly /> Handled again soon
        </span>
      ) : (
        <span className="clip tone-bad">{letter.error}</span>
      ),
  },
  {
    id: "consumer",
    title: "Consumer",
    width: "128px",
    from: 720,
    cell: (letter) => <span className="clip muted">{letter.consumer}</span>,
  },
  { id: "attempts", title: "Tries", width: "56px", num: true, from: 640, cell: (letter) => letter.attempts },
  { id: "at", title: "Given up", width: "88px", num: true, phone: true, cell: (letter) => <Time at={letter.at} /> },
];

/** How soon it is looked again whether what waits to be handled was. */
const QUEUED_MS = 2_000;

/** What is done, and to which letters; none named means all. */
export interface Asked {
  deed: LetterDeed;
  ids?: string[];
}

export function ConsumersPage() {
  const { consumer } = listRoute.useSearch();
  const may = useMay();
  const navigate = useNavigate();
  const consumers = useConsumers();
  useTrail([{ label: "Consumers" }]);
  const groups = consumers.data?.items ?? [];
  return (
    <div className="split">
      <div className="main">
        <div className="page-head">
          <h1>Consumers and dead letters</h1>
        </div>
        {consumers.error && groups.length === 0 ? (
          <ProblemNotice
            error={consumers.error}
            what="The consumers could not be loaded"
            onRetry={() => void consumers.refetch()}
          />
        ) : (
          <Groups
            groups={groups}
            pending={consumers.isPending}
            chosen={consumer}
            onChoose={(next) => void navigate({ to: "/consumers", search: { consumer: next }, replace: true })}
          />
        )}
        {may("events:manage") ? (
          <Letters key={consumer ?? ""} consumer={consumer} />
        ) : (
          <Empty title="Your role does not show dead letters">
            Who manages events sees what was given up. Ask an owner of the workspace for it.
          </Empty>
        )}
      </div>
      <Outlet />
    </div>
  );
}

interface GroupsProps {
  groups: readonly Consumer[];
  pending: boolean;
  chosen: string | undefined;
  onChoose: (name: string | undefined) => void;
}

function Groups({ groups, pending, chosen, onChoose }: GroupsProps) {
  if (pending) return <SkeletonRows rows={2} />;
  if (groups.length === 0) {
    return (
      <p className="muted consumers-none">
        Nothing of this server consumes events in a group of its own. Triggers, the audit trail and this page read the
        log directly.
      </p>
    );
  }
  return (
    <ul className="consumers" aria-label="Consumers">
      {groups.map((group) => (
        <li key={group.name}>
          <button
            type="button"
            className={`card consumer${chosen === group.name ? " chosen" : ""}`}
            aria-pressed={chosen === group.name}
            title="Show only its dead letters"
            onClick={() => onChoose(chosen === group.name ? undefined : group.name)}
          >
            <span className="bar">
              <strong className="clip grow">{group.name}</strong>
              <Status status={standOf(group)} />
            </span>
            <span className="muted">
              {group.waiting === 0
                ? "Nothing waits for it"
                : `${waitingWord(group.waiting)} ${group.waiting === 1 ? "event waits" : "events wait"}`}
              {group.oldest_waiting && (
                <>
                  {", the oldest from "}
                  <Time at={group.oldest_waiting} />
                </>
              )}
            </span>
            {group.dead_letters > 0 && (
              <span className="tone-bad">{group.dead_letters.toLocaleString("en")} given up</span>
            )}
          </button>
        </li>
      ))}
    </ul>
  );
}

/** The API counts up to here. */
const MOST_COUNTED = 10_000;

function waitingWord(count: number): string {
  return count >= MOST_COUNTED ? `${MOST_COUNTED.toLocaleString("en")} or more` : count.toLocaleString("en");
}

function standOf(group: Consumer): string {
  if (group.held) return group.waiting > 0 ? "running" : "active";
  return group.waiting > 0 ? "stopped" : "idle";
}

function Letters({ consumer }: { consumer: string | undefined }) {
  const search = listRoute.useSearch();
  const navigate = useNavigate();
  const { letterId } = useParams({ strict: false });
  const { query, items, more } = useLetters(consumer);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [asked, setAsked] = useState<Asked>();
  const fresh = useFreshLetters();
  const waits = items.some((letter) => letter.queued);
  const { refetch } = query;
  useEffect(() => {
    if (!waits) return;
    const timer = setInterval(() => void refetch(), QUEUED_MS);
    return () => clearInterval(timer);
  }, [waits, refetch]);
  const ids = items.filter((letter) => chosen.has(letter.id)).map((letter) => letter.id);
  const ask = (deed: LetterDeed) => setAsked({ deed, ids: ids.length > 0 ? ids : undefined });
  useHotkeys(
    items.length > 0
      ? [
          {
            keys: "r",
            does: "Replay the chosen dead letters, or all",
            group: "Dead letters",
            run: () => ask("replay"),
          },
          {
            keys: "shift+d",
            does: "Drop the chosen dead letters, or all",
            group: "Dead letters",
            run: () => ask("drop"),
          },
        ]
      : [],
  );
  return (
    <>
      <div className="filters letters-head">
        <h2 className="grow">Dead letters{consumer ? ` of ${consumer}` : ""}</h2>
        {items.length > 0 && (
          <>
            <button type="button" className="button small" onClick={() => setAsked({ deed: "replay" })}>
              <RotateCcw aria-hidden /> Replay all
            </button>
            <button type="button" className="button small danger" onClick={() => setAsked({ deed: "drop" })}>
              <Trash2 aria-hidden /> Drop all
            </button>
          </>
        )}
      </div>
      {query.error && items.length === 0 ? (
        <ProblemPage
          error={query.error}
          what="The dead letters could not be loaded"
          onRetry={() => void query.refetch()}
        />
      ) : (
        <VirtualList
          name="dead-letters"
          label="Dead letters"
          items={items}
          idOf={(letter) => letter.id}
          columns={COLUMNS}
          loading={query.isPending}
          more={more}
          selection={{ chosen, set: setChosen }}
          current={letterId}
          onOpen={(letter) => void navigate({ to: "/consumers/$letterId", params: { letterId: letter.id }, search })}
          empty={
            <Empty icon={<CircleCheck aria-hidden />} title="Nothing was given up">
              An event that a consumer fails to handle three times becomes a dead letter: it stands here with its cause
              until it is replayed or dropped. Others go on meanwhile.
            </Empty>
          }
        />
      )}
      {chosen.size > 0 && (
        <section className="bulk" aria-label="What to do with the chosen dead letters">
          <span className="grow">{ids.length} chosen</span>
          <button type="button" className="button small" onClick={() => ask("replay")}>
            <Inbox aria-hidden /> Replay {ids.length}
          </button>
          <button type="button" className="button small danger" onClick={() => ask("drop")}>
            <Trash2 aria-hidden /> Drop {ids.length}
          </button>
          <button type="button" className="button small quiet" onClick={() => setChosen(new Set())}>
            Choose none
          </button>
        </section>
      )}
      {asked && (
        <LetterDialog
          asked={asked}
          consumer={consumer}
          onClose={() => setAsked(undefined)}
          onDone={() => {
            setChosen(new Set());
            fresh();
          }}
        />
      )}
    </>
  );
}
