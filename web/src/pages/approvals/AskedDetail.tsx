// What an approval is about: a diff where there is one, and for a tool of an agent what it would be called with.
import { Link } from "@tanstack/react-router";
import { toolAsked } from "@/api/agents-types";
import { changesOf } from "@/lib/diff";
import { Changes, Detail } from "@/ui/Diff";
import { JsonView } from "@/ui/JsonView";

export function AskedDetail({ detail }: { detail: unknown }) {
  const asked = toolAsked(detail);
  if (!asked) return <Detail detail={detail} />;
  const found = changesOf(asked.preview);
  return (
    <div className="stack">
      <div className="muted">
        {asked.agent ? (
          <Link to="/agents/$agentId" params={{ agentId: asked.agent.id }} className="link">
            {asked.agent.name}
          </Link>
        ) : (
          "An agent"
        )}{" "}
        wants to call <code>{asked.tool}</code>
        {found ? ", which would change this:" : " with this:"}
      </div>
      {found ? (
        <Changes changes={found.changes} titles={found.titles} />
      ) : (
        <JsonView value={asked.input ?? {}} label="What it is called with" />
      )}
      {found && (
        <details className="asked-input">
          <summary className="muted">What it is called with</summary>
          <JsonView value={asked.input ?? {}} label="What it is called with" />
        </details>
      )}
      {!found && asked.preview !== null && asked.preview !== undefined && (
        <>
          <h3>What would come of it</h3>
          <JsonView value={asked.preview} label="Preview" />
        </>
      )}
    </div>
  );
}
