// What the log says of this run.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { useLiveEvents } from "@/api/live/live";
import type { Run } from "@/api/types";
import { ProblemNotice } from "@/ui/Problem";
import { SkeletonRows } from "@/ui/parts";
import { Time } from "@/ui/Time";

const MOST = 200;

export function RunEvents({ run }: { run: Run }) {
  const subject = `run:${run.id}`;
  const query = useQuery({
    queryKey: keys.audit({ subject, order: "log" }),
    queryFn: ({ signal }) => take(api.GET("/events", { params: { query: { subject, limit: MOST } }, signal })),
  });
  useLiveEvents((events) => {
    if (events.some((event) => event.subject === subject)) void query.refetch();
  });
  if (query.error) return <ProblemNotice error={query.error} what="The events could not be loaded" />;
  if (!query.data) return <SkeletonRows rows={4} />;
  return (
    <ol className="timeline">
      {query.data.items.map((event) => (
        <li key={event.id}>
          <Link
            to="/events/$eventId"
            params={{ eventId: event.id }}
            search={{ subject }}
            className="timeline-row event-row"
          >
            <span className="mono">{event.kind}</span>
            <span className="clip muted">{summary(event.data)}</span>
            <span className="num faint">
              <Time at={event.at} />
            </span>
          </Link>
        </li>
      ))}
    </ol>
  );
}

function summary(data: unknown): string {
  const { steps, status, trigger, reason } = (data ?? {}) as Record<string, unknown>;
  if (Array.isArray(steps)) return steps.map((step) => `${step.node} ${step.what}`).join(", ");
  return [status, trigger, reason].filter((part) => typeof part === "string").join(" ");
}
