// The versions of a workflow: each can be looked at, and compared with any other.
import { useQuery } from "@tanstack/react-query";
import { useId, useMemo } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { usePages } from "@/api/lists";
import type { WorkflowVersion } from "@/api/types";
import { fileChanges } from "@/lib/file-diff";
import { ActorName } from "@/ui/ActorName";
import { EventChanges } from "@/ui/Diff";
import { Pane } from "@/ui/Pane";
import { ProblemNotice, ProblemPage } from "@/ui/Problem";
import { CopyId, SkeletonRows } from "@/ui/parts";
import { Time } from "@/ui/Time";
import { type Column, VirtualList } from "@/ui/VirtualList";
import type { WorkflowSearch } from "./route";

const COLUMNS: Column<WorkflowVersion>[] = [
  { id: "version", title: "Version", width: "72px", phone: true, cell: (version) => version.version },
  {
    id: "by",
    title: "Applied by",
    width: "minmax(0, 1fr)",
    phone: true,
    cell: (version) => <ActorName actor={version.publisher} />,
  },
  { id: "graph", title: "Graph", width: "120px", from: 560, cell: (version) => <CopyId id={version.graph_id} /> },
  {
    id: "at",
    title: "Applied",
    width: "96px",
    num: true,
    phone: true,
    cell: (version) => <Time at={version.created_at} />,
  },
];

interface VersionsProps {
  name: string;
  /** The one that is compared. */
  compared: number | undefined;
  go: (next: WorkflowSearch) => void;
}

function useVersions(name: string) {
  return usePages<WorkflowVersion>({
    queryKey: keys.versions(name),
    fetch: (cursor, signal) =>
      take(
        api.GET("/workflows/{name}/versions", { params: { path: { name }, query: { cursor, limit: 100 } }, signal }),
      ),
  });
}

export function Versions({ name, compared, go }: VersionsProps) {
  const { query, items, more } = useVersions(name);
  if (query.error && items.length === 0)
    return (
      <ProblemPage error={query.error} what="The versions could not be loaded" onRetry={() => void query.refetch()} />
    );
  return (
    <VirtualList
      name={`versions-${name}`}
      label="Versions"
      items={items}
      idOf={(version) => String(version.version)}
      columns={COLUMNS}
      loading={query.isPending}
      more={more}
      current={compared === undefined ? undefined : String(compared)}
      onOpen={(version) => go({ compare: version.version, against: undefined })}
    />
  );
}

function useFile(name: string, version: number) {
  return useQuery({
    queryKey: keys.workflow(name, version),
    queryFn: ({ signal }) =>
      take(api.GET("/workflows/{name}", { params: { path: { name }, query: { version } }, signal })),
    enabled: version > 0,
    // A version never changes.
    staleTime: Number.POSITIVE_INFINITY,
  });
}

interface ComparePaneProps {
  name: string;
  version: number;
  /** The one before it unless given. */
  against: number | undefined;
  go: (next: WorkflowSearch) => void;
}

export function ComparePane({ name, version, against = version - 1, go }: ComparePaneProps) {
  const id = useId();
  const { items } = useVersions(name);
  const [after, before] = [useFile(name, version), useFile(name, against)];
  const changes = useMemo(
    () => (before.data && after.data ? fileChanges(before.data.file, after.data.file) : undefined),
    [before.data, after.data],
  );
  const error = after.error ?? before.error;
  return (
    <Pane
      label={`Version ${version}`}
      title={<h2>Version {version}</h2>}
      onClose={() => go({ compare: undefined, against: undefined })}
      actions={
        <button
          type="button"
          className="button small"
          onClick={() => go({ version, view: undefined, compare: undefined, against: undefined })}
        >
          Show its graph
        </button>
      }
    >
      <div className="stack wide">
        {items.length > 1 && (
          <div className="field">
            <label htmlFor={id}>Compared with</label>
            <select
              id={id}
              className="input"
              value={against}
              onChange={(event) => go({ against: Number(event.target.value) })}
            >
              {against === 0 && <option value={0}>Nothing: it is the first</option>}
              {items
                .filter((each) => each.version !== version)
                .map((each) => (
                  <option key={each.version} value={each.version}>
                    Version {each.version}
                  </option>
                ))}
            </select>
          </div>
        )}
        {error && <ProblemNotice error={error} what="The versions could not be compared" />}
        {against === 0 && <p className="muted">This is the first version: there is none before it.</p>}
        {against > 0 && !changes && !error && <SkeletonRows rows={3} />}
        {changes && Object.keys(changes).length === 0 && <p className="muted">They say the same.</p>}
        {changes && <EventChanges changes={changes} />}
      </div>
    </Pane>
  );
}
