import { Link, useNavigate } from "@tanstack/react-router";
import { Pane } from "@/ui/Pane";
import { ProblemNotice } from "@/ui/Problem";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { type Trigger, useLastRuns, useTriggers } from "./queries";
import { listRoute, paneRoute } from "./route";
import { TriggerActions, TriggerFacts } from "./TriggerFacts";

export function TriggerPane() {
  const { triggerId } = paneRoute.useParams();
  const search = listRoute.useSearch();
  const navigate = useNavigate();
  const { triggers, pending, error, retry } = useTriggers();
  const trigger = triggers.find((each) => each.id === triggerId);
  return (
    <Pane
      label="Trigger"
      title={<h2 className="clip">{trigger?.node ?? "Trigger"}</h2>}
      onClose={() => void navigate({ to: "/triggers", search })}
    >
      {trigger && (
        <div className="stack wide">
          <TriggerActions trigger={trigger} keys />
          <TriggerFacts trigger={trigger} named />
          <LastRuns trigger={trigger} />
        </div>
      )}
      {!trigger && error !== undefined && (
        <ProblemNotice error={error} what="The trigger could not be loaded" onRetry={retry} />
      )}
      {!trigger && pending && <span className="skeleton" role="status" aria-label="Loading" />}
      {!trigger && !pending && error === undefined && (
        <p className="muted">There is no such trigger any more: its workflow was changed or deleted.</p>
      )}
    </Pane>
  );
}

function LastRuns({ trigger }: { trigger: Trigger }) {
  const runs = useLastRuns(trigger.workflow?.name, trigger.node);
  if (!trigger.workflow || !runs.data) return null;
  return (
    <section className="stack" aria-label="Last runs">
      <h3 className="bar">
        <span className="grow">Last runs</span>
        {runs.data.length > 0 && (
          <Link
            to="/runs"
            search={{ workflow: trigger.workflow.name, trigger: trigger.node, inside: true }}
            className="link"
          >
            All
          </Link>
        )}
      </h3>
      {runs.data.length === 0 && <p className="muted">It has started none yet, or none of the newest.</p>}
      <ul className="trigger-runs">
        {runs.data.map((run) => (
          <li key={run.id}>
            <Link to="/runs/$runId" params={{ runId: run.id }} className="bar">
              <Status status={run.status} />
              <span className="grow" />
              <span className="faint">
                <Time at={run.created_at} />
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}
