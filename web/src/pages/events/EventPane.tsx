import { useNavigate } from "@tanstack/react-router";
import { Pane } from "@/ui/Pane";
import { ProblemNotice } from "@/ui/Problem";
import { EventView } from "./EventView";
import { useEvent, useTrailEvents } from "./queries";
import { listRoute, paneRoute } from "./route";

export function EventPane() {
  const { eventId } = paneRoute.useParams();
  const filter = listRoute.useSearch();
  const navigate = useNavigate();
  const { query, items } = useTrailEvents(filter);
  const listed = items.find((each) => each.id === eventId);
  const sought = useEvent(eventId, undefined, !listed && !query.isPending);
  const event = listed ?? sought.data ?? undefined;
  return (
    <Pane
      label="Event"
      title={<h2 className="mono clip">{event?.kind ?? "Event"}</h2>}
      onClose={() => void navigate({ to: "/events", search: filter })}
    >
      {event && <EventView key={event.id} event={event} filter={filter} />}
      {!event && sought.error && (
        <ProblemNotice
          error={sought.error}
          what="The event could not be loaded"
          onRetry={() => void sought.refetch()}
        />
      )}
      {!event && sought.isPending && <span className="skeleton" role="status" aria-label="Loading" />}
      {!event && sought.data === null && (
        <p className="muted">
          There is no such event here: it may be archived, or belong to another workspace. The list beside it can be
          narrowed by what it was about.
        </p>
      )}
    </Pane>
  );
}
