import { type InfiniteData, useQueryClient } from "@tanstack/react-query";
import { Outlet, useNavigate, useParams } from "@tanstack/react-router";
import { Download, ScrollText } from "lucide-react";
import { useEffect, useId, useRef, useState } from "react";
import { keys } from "@/api/cache";
import { subjectOf } from "@/api/live/effects";
import { useNews } from "@/api/live/live";
import type { LogEvent, Page } from "@/api/types";
import { useHotkeys } from "@/app/hotkeys";
import { useTrail } from "@/app/title";
import { type EventsFilter, isFilteredBy, localOf, matches, momentOf } from "@/lib/event-filter";
import { mergeNewest } from "@/lib/pages";
import { ActorName, useNames } from "@/ui/ActorName";
import { News } from "@/ui/News";
import { ProblemPage } from "@/ui/Problem";
import { Empty, FilterSelect, SearchBox, shortId } from "@/ui/parts";
import { Time } from "@/ui/Time";
import { toast, toastError } from "@/ui/toasts";
import { type Column, VirtualList } from "@/ui/VirtualList";
import { exportEvents, fetchEvents, useTrailEvents } from "./queries";
import { listRoute } from "./route";
import "./events.css";

const KINDS = [
  { value: "task.*,project.*,patch_set.*", label: "Work" },
  { value: "run.*", label: "Runs" },
  { value: "approval.*", label: "Approvals" },
  { value: "workflow.*,hook.*", label: "Workflows" },
  { value: "agent.*,conversation.*,message.*", label: "Agents" },
  { value: "model_provider.*,model_route.*", label: "Models" },
  { value: "database.changed", label: "Changed past the product" },
  { value: "member.*,user.*,key.*,api_key.*,workspace.*", label: "People and keys" },
];

const COLUMNS: Column<LogEvent>[] = [
  {
    id: "kind",
    title: "What",
    width: "144px",
    phone: true,
    cell: (event) => <span className="clip mono">{event.kind}</span>,
  },
  { id: "subject", title: "About", width: "minmax(0, 1fr)", phone: true, cell: (event) => <About event={event} /> },
  {
    id: "actor",
    title: "By",
    width: "132px",
    cell: (event) => <ActorName actor={event.on_behalf_of ?? event.actor} />,
  },
  { id: "channel", title: "Through", width: "80px", cell: (event) => <span className="muted">{event.channel}</span> },
  {
    id: "at",
    title: "When",
    width: "80px",
    num: true,
    phone: true,
    sort: "at",
    cell: (event) => <Time at={event.at} />,
  },
];

function About({ event }: { event: LogEvent }) {
  const [noun, id] = subjectOf(event);
  const { title, name, workflow, status } = (event.data ?? {}) as Record<string, string | undefined>;
  const changed = Object.keys((event.changes ?? {}) as object).filter((field) => field !== "updated_at");
  return (
    <div className="bar">
      <span className="clip">{title ?? name ?? `${noun} ${shortId(id)}`}</span>
      {(workflow ?? status) && <span className="clip faint">{workflow ?? status}</span>}
      {event.kind.endsWith(".updated") && <span className="clip faint">{changed.join(", ")}</span>}
    </div>
  );
}

export function EventsPage() {
  const filter = listRoute.useSearch();
  const navigate = useNavigate();
  const client = useQueryClient();
  const { eventId } = useParams({ strict: false });
  const { query, items, more } = useTrailEvents(filter);
  // Events have no subject of their own to count by, so each counts once by its id.
  const [news, clearNews] = useNews(
    (event) => matches(event, filter),
    items,
    (event) => event.id,
  );
  useTrail([{ label: "Events" }]);
  const onFilter = (next: EventsFilter) => {
    clearNews();
    void navigate({ to: "/events", search: { ...filter, ...next }, replace: true });
  };
  const showNews = async () => {
    clearNews();
    if (filter.oldest) return void query.refetch();
    try {
      const fresh = await fetchEvents(filter);
      client.setQueryData<InfiniteData<Page<LogEvent>, string | undefined>>(
        keys.audit(filter),
        (data) => data && mergeNewest(data, fresh, (event) => event.id),
      );
    } catch (error) {
      toastError("The new events could not be loaded.", error);
    }
  };
  useHotkeys([
    { keys: "n", does: "Show the new events", group: "Events", run: () => void (news > 0 && showNews()) },
    {
      keys: "o",
      does: "Turn the order round",
      group: "Events",
      run: () => onFilter({ oldest: filter.oldest ? undefined : true }),
    },
  ]);
  return (
    <div className="split">
      <div className="main">
        <Head filter={filter} onFilter={onFilter} />
        {query.error && items.length === 0 ? (
          <ProblemPage error={query.error} what="The events could not be loaded" onRetry={() => void query.refetch()} />
        ) : (
          <VirtualList
            name="events"
            label="Events"
            items={items}
            idOf={(event) => event.id}
            columns={COLUMNS}
            loading={query.isPending}
            more={more}
            current={eventId}
            sort={filter.oldest ? "at" : "-at"}
            onSort={(sort) => onFilter({ oldest: sort === "at" ? true : undefined })}
            onOpen={(event) => void navigate({ to: "/events/$eventId", params: { eventId: event.id }, search: filter })}
            above={<News count={news} noun="event" onShow={() => void showNews()} />}
            empty={
              <Empty
                icon={<ScrollText aria-hidden />}
                title="No event fits these filters"
                action={
                  isFilteredBy(filter) && (
                    <button
                      type="button"
                      className="button"
                      onClick={() => void navigate({ to: "/events", search: {}, replace: true })}
                    >
                      Show all events
                    </button>
                  )
                }
              >
                Everything that happens in the workspace stands here: who did what, when, from where, and each field
                before and after.
              </Empty>
            }
          />
        )}
      </div>
      <Outlet />
    </div>
  );
}

interface HeadProps {
  filter: EventsFilter;
  onFilter: (next: EventsFilter) => void;
}

function Head({ filter, onFilter }: HeadProps) {
  return (
    <>
      <div className="page-head">
        <h1>Events and audit</h1>
        <ExportButton filter={filter} />
      </div>
      <div className="filters filter-line events-filters">
        <SearchBox
          label="About, such as task:ID"
          value={filter.subject ?? ""}
          onChange={(subject) => onFilter({ subject: subject || undefined })}
        />
        <FilterSelect
          label="Kind"
          all="Everything"
          value={filter.kinds}
          options={
            KINDS.some((kind) => kind.value === filter.kinds) || !filter.kinds
              ? KINDS
              : [...KINDS, { value: filter.kinds, label: filter.kinds }]
          }
          onChange={(kinds) => onFilter({ kinds })}
        />
        <ActorSelect actor={filter.actor} onChange={(actor) => onFilter({ actor })} />
        <Moment label="From" at={filter.from} onChange={(from) => onFilter({ from })} />
        <Moment label="Until" at={filter.until} onChange={(until) => onFilter({ until })} />
      </div>
    </>
  );
}

function ActorSelect({ actor, onChange }: { actor: string | undefined; onChange: (actor?: string) => void }) {
  const names = useNames().data;
  const options = [...(names ?? [])].map(([value, label]) => ({ value, label }));
  if (actor && !names?.has(actor)) options.push({ value: actor, label: shortId(actor) });
  return <FilterSelect label="By" all="Everybody" value={actor} options={options} onChange={onChange} />;
}

interface MomentProps {
  label: string;
  at: string | undefined;
  onChange: (at: string | undefined) => void;
}

/** Takes over what is typed once it is a moment, and when one leaves the field. */
function Moment({ label, at, onChange }: MomentProps) {
  const id = useId();
  return (
    <span className="bar moment">
      <label htmlFor={id} className="muted">
        {label}
      </label>
      <input
        id={id}
        key={at}
        className="input small"
        type="datetime-local"
        defaultValue={localOf(at)}
        onBlur={(event) => {
          const next = momentOf(event.target.value);
          if (next !== at) onChange(next);
        }}
        onKeyDown={(event) => {
          if (event.key === "Enter") event.currentTarget.blur();
        }}
      />
    </span>
  );
}

/** Writes all that fit to a file, one event on each line. */
function ExportButton({ filter }: { filter: EventsFilter }) {
  const [count, setCount] = useState<number>();
  const ended = useRef<AbortController>(undefined);
  useEffect(() => () => ended.current?.abort(), []);
  const start = async () => {
    const controller = new AbortController();
    ended.current = controller;
    setCount(0);
    try {
      const found = await exportEvents(filter, setCount, controller.signal);
      save(found.text);
      const words = `${found.count.toLocaleString("en")} events were written`;
      toast(found.cut ? `${words}, the oldest: narrow the time, or use synapscale audit for all.` : `${words}.`);
    } catch (error) {
      if (!controller.signal.aborted) toastError("The events could not be exported.", error);
    } finally {
      setCount(undefined);
    }
  };
  const busy = count !== undefined;
  return (
    <button
      type="button"
      className="button small"
      title={busy ? "Stop" : "All that fit the filters, as JSON, one event on each line"}
      onClick={() => (busy ? ended.current?.abort() : void start())}
    >
      <Download aria-hidden /> {busy ? `${count.toLocaleString("en")}, stop` : "Export"}
    </button>
  );
}

function save(text: string) {
  const url = URL.createObjectURL(new Blob([text], { type: "application/x-ndjson" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `events-${new Date().toISOString().slice(0, 10)}.ndjson`;
  link.click();
  // The browser reads it after this turn.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
