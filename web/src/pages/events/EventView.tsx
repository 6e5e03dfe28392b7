// One event in full: who, when, from where, each field before and after, and what else belongs to its story.
import { Link } from "@tanstack/react-router";
import { subjectOf } from "@/api/live/effects";
import type { LogEvent } from "@/api/types";
import { type EventsFilter, namedIn } from "@/lib/event-filter";
import { exact } from "@/lib/time";
import { ActorName } from "@/ui/ActorName";
import { EventChanges } from "@/ui/Diff";
import { JsonView } from "@/ui/JsonView";
import { CopyId, shortId } from "@/ui/parts";
import { useStory } from "./queries";

interface EventViewProps {
  event: LogEvent;
  /** Of the list beside it, which stays as it is when one goes on to another event. */
  filter?: EventsFilter;
}

export function EventView({ event, filter = {} }: EventViewProps) {
  const story = useStory(event).data ?? [];
  const others = story.filter((each) => each.id !== event.id);
  const runs = namedIn(story, "run");
  const sets = namedIn(story, "patch_set");
  return (
    <div className="stack wide">
      <dl className="facts">
        <dt>When</dt>
        <dd>{exact(event.at)}</dd>
        <dt>About</dt>
        <dd className="bar wrap">
          <SubjectLink subject={event.subject} />
          <Link to="/events" search={{ subject: event.subject }} className="link">
            all its events
          </Link>
        </dd>
        <dt>By</dt>
        <dd className="bar wrap">
          <ActorName actor={event.actor} />
          {event.actor.kind !== "system" && (
            <Link to="/events" search={{ actor: event.actor.id }} className="link">
              all they did
            </Link>
          )}
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
        {runs.length > 0 && (
          <>
            <dt>{runs.length === 1 ? "Run" : "Runs"}</dt>
            <dd className="bar wrap">
              {runs.slice(0, 5).map((id) => (
                <Link key={id} to="/runs/$runId" params={{ runId: id }} className="link mono">
                  {shortId(id)}
                </Link>
              ))}
              {runs.length > 5 && <span className="muted">and {runs.length - 5} more</span>}
            </dd>
          </>
        )}
        {sets.length > 0 && (
          <>
            <dt>Patch set</dt>
            <dd className="bar wrap">
              {sets.slice(0, 3).map((id) => (
                <Link key={id} to="/events" search={{ subject: `patch_set:${id}` }} className="link mono">
                  {shortId(id)}
                </Link>
              ))}
              <Link to="/work/history" className="link">
                undo it in the history
              </Link>
            </dd>
          </>
        )}
        <dt>Story</dt>
        <dd>
          <CopyId id={event.correlation} />
        </dd>
        <dt>Id</dt>
        <dd>
          <CopyId id={event.id} />
        </dd>
      </dl>
      <EventChanges
        changes={(event.changes ?? {}) as Record<string, { before?: unknown; after?: unknown }>}
        created={/\.(created|applied)$/.test(event.kind)}
      />
      <JsonView value={event.data} label="Data" />
      {others.length > 0 && <Story others={others} filter={filter} />}
    </div>
  );
}

const MOST_SHOWN = 20;

function Story({ others, filter }: { others: readonly LogEvent[]; filter: EventsFilter }) {
  return (
    <section className="stack" aria-label="Of the same story">
      <h3>Of the same story</h3>
      <ul className="story">
        {others.slice(0, MOST_SHOWN).map((event) => (
          <li key={event.id}>
            <Link to="/events/$eventId" params={{ eventId: event.id }} search={filter} className="bar">
              <span className="mono">{event.kind}</span>
              <span className="clip grow faint">{shortId(subjectOf(event)[1])}</span>
            </Link>
          </li>
        ))}
      </ul>
      {others.length > MOST_SHOWN && <p className="muted">and {others.length - MOST_SHOWN} more</p>}
    </section>
  );
}

function SubjectLink({ subject }: { subject: string }) {
  const [noun, id] = subjectOf({ subject });
  switch (noun) {
    case "run":
      return (
        <Link to="/runs/$runId" params={{ runId: id }} className="link">
          the run
        </Link>
      );
    case "task":
      return (
        <Link to="/work/$projectId/$taskId" params={{ projectId: "all", taskId: id }} className="link">
          the task
        </Link>
      );
    case "project":
      return (
        <Link to="/work/$projectId" params={{ projectId: id }} className="link">
          the project
        </Link>
      );
    case "approval":
      return (
        <Link to="/approvals/$approvalId" params={{ approvalId: id }} search={{ status: "all" }} className="link">
          the approval
        </Link>
      );
    case "agent":
      return (
        <Link to="/agents/$agentId" params={{ agentId: id }} className="link">
          the agent
        </Link>
      );
    case "hook":
      return (
        <Link to="/triggers/$triggerId" params={{ triggerId: id }} className="link">
          the webhook
        </Link>
      );
    default:
      return <CopyId id={id} label={`${noun} …${id.slice(-8)}`} />;
  }
}
