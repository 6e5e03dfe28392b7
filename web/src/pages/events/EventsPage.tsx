import { useQueryClient } from "@tanstack/react-query";
import { Outlet, useNavigate, useParams } from "@tanstack/react-router";
import { ScrollText } from "lucide-react";
import { keys } from "@/api/cache";
import { subjectOf } from "@/api/live/effects";
import { useNews } from "@/api/live/live";
import type { LogEvent } from "@/api/types";
import { useTrail } from "@/app/title";
import { ActorName } from "@/ui/ActorName";
import { News } from "@/ui/News";
import { ProblemPage } from "@/ui/Problem";
import { Empty, FilterSelect, SearchBox, shortId } from "@/ui/parts";
import { Time } from "@/ui/Time";
import { type Column, VirtualList } from "@/ui/VirtualList";
import { useTrailEvents } from "./queries";
import { type EventsSearch, listRoute } from "./route";

const KINDS = [
  { value: "task.*,project.*,patch_set.*", label: "Work" },
  { value: "run.*", label: "Runs" },
  { value: "approval.*", label: "Approvals" },
  { value: "workflow.*,hook.*", label: "Workflows" },
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
  { id: "at", title: "When", width: "80px", num: true, phone: true, cell: (event) => <Time at={event.at} /> },
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

function matches(event: LogEvent, filter: EventsSearch): boolean {
  if (filter.subject && event.subject !== filter.subject) return false;
  if (!filter.kinds) return true;
  return filter.kinds
    .split(",")
    .some((kind) => (kind.endsWith(".*") ? event.kind.startsWith(kind.slice(0, -1)) : event.kind === kind));
}

export function EventsPage() {
  const filter = listRoute.useSearch();
  const navigate = useNavigate();
  const client = useQueryClient();
  const { eventId } = useParams({ strict: false });
  const { query, items, more } = useTrailEvents(filter);
  const [news, clearNews] = useEventNews(filter, items);
  useTrail([{ label: "Events" }]);
  const onFilter = (next: EventsSearch) =>
    void navigate({ to: "/events", search: { ...filter, ...next }, replace: true });
  const showNews = () => {
    clearNews();
    void client.resetQueries({ queryKey: keys.audit(filter) });
  };
  return (
    <div className="split">
      <div className="main">
        <div className="page-head">
          <h1>Events and audit</h1>
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
        </div>
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
            onOpen={(event) => void navigate({ to: "/events/$eventId", params: { eventId: event.id }, search: filter })}
            above={<News count={news} noun="event" onShow={showNews} />}
            empty={
              <Empty icon={<ScrollText aria-hidden />} title="No event fits these filters">
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

/** Events have no subject of their own to count by, so each counts once by its id. */
function useEventNews(filter: EventsSearch, shown: readonly LogEvent[]) {
  return useNews(
    (event) => matches(event, filter),
    shown,
    (event) => event.id,
  );
}
