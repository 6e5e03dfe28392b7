// What happened to a task: who, when, which fields before and after.
import type { Activity } from "@/api/types";
import { minutes } from "@/lib/time";
import { ActorName } from "@/ui/ActorName";
import { EventChanges } from "@/ui/Diff";
import { ProblemNotice } from "@/ui/Problem";
import { SkeletonRows } from "@/ui/parts";
import { Time } from "@/ui/Time";
import { useActivity } from "./queries";

const WORDS: Record<string, string> = {
  "task.created": "made the task",
  "task.updated": "changed it",
  "task.deleted": "deleted it",
  "task.restored": "brought it back",
  "comment.created": "commented",
  "comment.updated": "edited a comment",
  "comment.deleted": "deleted a comment",
  "time.logged": "logged time",
  "time.changed": "corrected logged time",
  "time.deleted": "deleted logged time",
  "timer.started": "started a timer",
};

function wordsOf(item: Activity): string {
  const data = (item.data ?? {}) as Record<string, unknown>;
  const known = WORDS[item.kind] ?? item.kind;
  const changes = (item.changes ?? {}) as Record<string, { after?: unknown }>;
  const fields = Object.keys(changes).filter((field) => !["revision", "updated_at"].includes(field));
  if (item.kind === "task.updated" && fields.length === 1 && fields[0] === "position") return "moved it among others";
  if (item.kind === "task.updated" && changes.archived_at) {
    return changes.archived_at.after ? "put it into the archive" : "brought it back from the archive";
  }
  if (item.kind.startsWith("time.") && typeof data.minutes === "number") return `${known}: ${minutes(data.minutes)}`;
  return known;
}

/** What a comment said is read among the comments; here only that there was one. */
function showsFields(item: Activity): boolean {
  return item.kind === "task.updated" || item.kind.startsWith("time.");
}

export function ActivityOf({ taskId }: { taskId: string }) {
  const { query, items, more } = useActivity(taskId);
  return (
    <div className="stack wide">
      {query.error && (
        <ProblemNotice
          error={query.error}
          what="The activity could not be loaded"
          onRetry={() => void query.refetch()}
        />
      )}
      {query.isPending && <SkeletonRows rows={3} />}
      <ol className="activity">
        {items.map((item) => (
          <li key={item.id}>
            <div className="bar">
              <span className="grow">
                <strong>
                  <ActorName actor={item.actor} />
                </strong>{" "}
                {wordsOf(item)}
                {item.on_behalf_of && (
                  <span className="faint">
                    {" "}
                    for <ActorName actor={item.on_behalf_of} />
                  </span>
                )}
              </span>
              <span className="faint num">
                <Time at={item.at} />
              </span>
            </div>
            {showsFields(item) && <EventChanges changes={(item.changes ?? {}) as never} />}
          </li>
        ))}
      </ol>
      {query.data && items.length === 0 && (
        <p className="faint">Nothing is told here any more: old events are taken out of the log.</p>
      )}
      {more.has && (
        <button type="button" className="button small quiet" disabled={more.busy} onClick={more.load}>
          Show what was before
        </button>
      )}
    </div>
  );
}
