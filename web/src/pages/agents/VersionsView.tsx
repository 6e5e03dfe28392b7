// The versions of an agent, and what changed between any two.
import { useNavigate } from "@tanstack/react-router";
import { ArrowLeftRight } from "lucide-react";
import { useMemo } from "react";
import type { Agent, AgentVersion } from "@/api/agents-types";
import { specChanges } from "@/lib/spec-diff";
import { ActorName } from "@/ui/ActorName";
import { EventChanges } from "@/ui/Diff";
import { ProblemPage } from "@/ui/Problem";
import { SkeletonRows } from "@/ui/parts";
import { Time } from "@/ui/Time";
import { useVersions } from "./queries";
import { route } from "./route";

export function VersionsView({ agent }: { agent: Agent }) {
  const search = route.useSearch();
  const navigate = useNavigate();
  const { query, items, more } = useVersions(agent.id);
  const to = search.to ?? agent.version;
  const from = search.from ?? Math.max(1, to - 1);
  const pick = (next: { from?: number; to?: number }) =>
    void navigate({
      to: "/agents/$agentId",
      params: { agentId: agent.id },
      search: { view: "versions", from, to, ...next },
      replace: true,
    });
  if (query.error && items.length === 0) {
    return (
      <ProblemPage error={query.error} what="The versions could not be loaded" onRetry={() => void query.refetch()} />
    );
  }
  if (query.isPending) return <SkeletonRows rows={3} />;
  return (
    <div className="page-body padded versions">
      <ol className="card versions-list" aria-label="Versions">
        {items.map((version) => (
          <li key={version.version}>
            <strong>Version {version.version}</strong>
            <span className="grow clip muted">
              {version.note ?? ""} <ActorName actor={version.created_by} />
            </span>
            <span className="faint">
              <Time at={version.created_at} />
            </span>
            <button
              type="button"
              className="button small"
              aria-pressed={version.version === from}
              onClick={() => pick({ from: version.version })}
            >
              Before
            </button>
            <button
              type="button"
              className="button small"
              aria-pressed={version.version === to}
              onClick={() => pick({ to: version.version })}
            >
              After
            </button>
          </li>
        ))}
      </ol>
      {more.has && (
        <button type="button" className="button small" disabled={more.busy} onClick={more.load}>
          Older versions
        </button>
      )}
      <Compared
        before={items.find((each) => each.version === from)}
        after={items.find((each) => each.version === to)}
      />
    </div>
  );
}

function Compared({ before, after }: { before: AgentVersion | undefined; after: AgentVersion | undefined }) {
  const changes = useMemo(() => (before && after ? specChanges(before.spec, after.spec) : {}), [before, after]);
  if (!before || !after) return <p className="muted">Choose two versions to compare.</p>;
  if (before.version === after.version) {
    return <p className="muted">There is one version only, or the same one twice: nothing to compare.</p>;
  }
  return (
    <section className="stack" aria-label="What changed">
      <h2 className="bar">
        <ArrowLeftRight aria-hidden size={16} /> From version {before.version} to version {after.version}
      </h2>
      {Object.keys(changes).length === 0 ? (
        <p className="muted">They say the same.</p>
      ) : (
        <EventChanges changes={changes} />
      )}
    </section>
  );
}
