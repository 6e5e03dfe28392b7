import { Link, useNavigate } from "@tanstack/react-router";
import { useEffect } from "react";
import { subjectOf } from "@/api/live/effects";
import type { LogEvent } from "@/api/types";
import { exact } from "@/lib/time";
import { ActorName } from "@/ui/ActorName";
import { EventChanges } from "@/ui/Diff";
import { JsonView } from "@/ui/JsonView";
import { Pane } from "@/ui/Pane";
import { CopyId } from "@/ui/parts";
import { useTrailEvents } from "./queries";
import { listRoute, paneRoute } from "./route";

/** The log gives no event by its id, so an address opened later looks for it page by page, this far. */
const MOST_PAGES = 10;

export function EventPane() {
  const { eventId } = paneRoute.useParams();
  const filter = listRoute.useSearch();
  const navigate = useNavigate();
  const { query, items, more } = useTrailEvents(filter);
  const event = items.find((each) => each.id === eventId);
  const seeking = !event && (query.isPending || (more.has && (query.data?.pages.length ?? 0) < MOST_PAGES));
  useEffect(() => {
    if (seeking && more.has && !more.busy) more.load();
  }, [seeking, more]);
  return (
    <Pane
      label="Event"
      title={<h2 className="mono clip">{event?.kind ?? "Event"}</h2>}
      onClose={() => void navigate({ to: "/events", search: filter })}
    >
      {event && <Shown event={event} />}
      {seeking && <span className="skeleton" role="status" aria-label="Loading" />}
      {!event && !seeking && (
        <p className="muted">This event is not among the newest. Narrow the list by what it is about to find it.</p>
      )}
    </Pane>
  );
}

function Shown({ event }: { event: LogEvent }) {
  const [noun, id] = subjectOf(event);
  return (
    <div className="stack wide">
      <dl className="facts">
        <dt>When</dt>
        <dd>{exact(event.at)}</dd>
        <dt>About</dt>
        <dd className="bar wrap">
          <SubjectLink noun={noun} id={id} />
          <Link to="/events" search={{ subject: event.subject }} className="link">
            all its events
          </Link>
        </dd>
        <dt>By</dt>
        <dd>
          <ActorName actor={event.actor} />
        </dd>
        {event.on_behalf_of && (
          <>
            <dt>For</dt>
            <dd>
              <ActorName actor={event.on_behalf_of} />
            </dd>
          </>
        )}
        <dt>Through</dt>
        <dd>
          {event.channel}
          {event.ip && ` from ${event.ip}`}
        </dd>
        <dt>Story</dt>
        <dd>
          <CopyId id={event.correlation} />
        </dd>
        <dt>Id</dt>
        <dd>
          <CopyId id={event.id} />
        </dd>
      </dl>
      <EventChanges changes={(event.changes ?? {}) as Record<string, { before?: unknown; after?: unknown }>} />
      <JsonView value={event.data} label="Data" />
    </div>
  );
}

function SubjectLink({ noun, id }: { noun: string; id: string }) {
  const copy = <CopyId id={id} label={`${noun} …${id.slice(-8)}`} />;
  if (noun === "run") {
    return (
      <Link to="/runs/$runId" params={{ runId: id }} className="link">
        the run
      </Link>
    );
  }
  if (noun === "task") {
    return (
      <Link to="/work/$projectId/$taskId" params={{ projectId: "all", taskId: id }} className="link">
        the task
      </Link>
    );
  }
  if (noun === "project") {
    return (
      <Link to="/work/$projectId" params={{ projectId: id }} className="link">
        the project
      </Link>
    );
  }
  if (noun === "approval") {
    return (
      <Link to="/approvals/$approvalId" params={{ approvalId: id }} search={{ status: "all" }} className="link">
        the approval
      </Link>
    );
  }
  return copy;
}
