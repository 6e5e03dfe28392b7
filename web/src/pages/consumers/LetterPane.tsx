import { Link, useNavigate } from "@tanstack/react-router";
import { RotateCcw, Trash2 } from "lucide-react";
import { useState } from "react";
import type { DeadLetter } from "@/api/types";
import { EventView } from "@/pages/events/EventView";
import { useEvent } from "@/pages/events/queries";
import { Pane } from "@/ui/Pane";
import { CopyId } from "@/ui/parts";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { LetterDialog } from "./LetterDialog";
import { type LetterDeed, useFreshLetters, useLetters } from "./queries";
import { listRoute, paneRoute } from "./route";

export function LetterPane() {
  const { letterId } = paneRoute.useParams();
  const search = listRoute.useSearch();
  const navigate = useNavigate();
  const { query, items } = useLetters(search.consumer);
  const letter = items.find((each) => each.id === letterId);
  const close = () => void navigate({ to: "/consumers", search });
  return (
    <Pane label="Dead letter" title={<h2 className="mono clip">{letter?.kind ?? "Dead letter"}</h2>} onClose={close}>
      {letter && <Shown letter={letter} onGone={close} />}
      {!letter && query.isPending && <span className="skeleton" role="status" aria-label="Loading" />}
      {!letter && !query.isPending && (
        <p className="muted">This dead letter is gone: its event was handled, or it was dropped.</p>
      )}
    </Pane>
  );
}

function Shown({ letter, onGone }: { letter: DeadLetter; onGone: () => void }) {
  const [deed, setDeed] = useState<LetterDeed>();
  const fresh = useFreshLetters();
  const event = useEvent(letter.event_id, letter.kind);
  return (
    <div className="stack wide">
      <section className="notice bad" aria-label="Why it was given up">
        <div className="stack grow">
          <strong>{letter.error}</strong>
          <div className="muted">
            {letter.consumer} tried it {letter.attempts} times, the last time <Time at={letter.at} />.
          </div>
          {letter.queued ? (
            <div className="bar">
              <Status status="queued" iconOnly /> It is handled again soon.
            </div>
          ) : (
            <div className="bar wrap">
              <button type="button" className="button small primary" onClick={() => setDeed("replay")}>
                <RotateCcw aria-hidden /> Replay
              </button>
              <button type="button" className="button small danger" onClick={() => setDeed("drop")}>
                <Trash2 aria-hidden /> Drop
              </button>
            </div>
          )}
        </div>
      </section>
      <h3 className="bar">
        <span className="grow">The event</span>
        <Link to="/events/$eventId" params={{ eventId: letter.event_id }} search={{}} className="link">
          Open it
        </Link>
      </h3>
      {event.data && <EventView event={event.data} />}
      {event.isPending && event.fetchStatus !== "idle" && (
        <span className="skeleton" role="status" aria-label="Loading" />
      )}
      {!event.data && !(event.isPending && event.fetchStatus !== "idle") && (
        <p className="muted">
          The event <CopyId id={letter.event_id} /> is not in the part of the log that you may read.
        </p>
      )}
      {deed && (
        <LetterDialog
          asked={{ deed, ids: [letter.id] }}
          consumer={undefined}
          onClose={() => setDeed(undefined)}
          onDone={() => {
            fresh();
            if (deed === "drop") onGone();
          }}
        />
      )}
    </div>
  );
}
