// A workflow's own triggers, each with all there is to know of it.
import type { Workflow } from "@/api/types";
import { ProblemPage } from "@/ui/Problem";
import { Empty, SkeletonRows } from "@/ui/parts";
import { useTriggers } from "./queries";
import { TriggerActions, TriggerFacts } from "./TriggerFacts";
import "./triggers.css";

export function TriggersView({ workflow }: { workflow: Workflow }) {
  const { triggers, pending, error, retry } = useTriggers(workflow.name);
  if (error && triggers.length === 0)
    return <ProblemPage error={error} what="The triggers could not be loaded" onRetry={retry} />;
  if (pending) return <SkeletonRows rows={3} />;
  if (triggers.length === 0) {
    return (
      <Empty title="This workflow starts by hand only">
        A node of the kind <code>trigger.schedule</code>, <code>trigger.event</code> or <code>trigger.webhook</code>{" "}
        starts it by the clock, by what happens here, or by what others send to an address of its own.
      </Empty>
    );
  }
  return (
    <ul className="page-body padded stack">
      {triggers.map((trigger) => (
        <li key={trigger.id} className="card trigger-card" aria-label={`Trigger ${trigger.node}`}>
          <div className="bar wrap">
            <h2 className="grow">{trigger.node}</h2>
            <TriggerActions trigger={trigger} />
          </div>
          <TriggerFacts trigger={trigger} />
        </li>
      ))}
    </ul>
  );
}
