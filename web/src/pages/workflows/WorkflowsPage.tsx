import { Link, useNavigate } from "@tanstack/react-router";
import { Play, Workflow as WorkflowIcon } from "lucide-react";
import { api, take } from "@/api/client";
import { usePages } from "@/api/lists";
import { useMay } from "@/api/session";
import type { Workflow } from "@/api/types";
import { useTrail } from "@/app/title";
import { ProblemPage } from "@/ui/Problem";
import { Empty } from "@/ui/parts";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { type Column, VirtualList } from "@/ui/VirtualList";

const COLUMNS: Column<Workflow>[] = [
  { id: "status", title: "Status", width: "88px", cell: (flow) => <Status status={flow.status} /> },
  {
    id: "name",
    title: "Workflow",
    width: "minmax(0, 1fr)",
    phone: true,
    cell: (flow) => (
      <div className="bar">
        <Link to="/workflows/$name" params={{ name: flow.name }} className="clip">
          {flow.title || flow.name}
        </Link>
        <span className="clip faint">{flow.description}</span>
      </div>
    ),
  },
  { id: "version", title: "Version", width: "64px", num: true, cell: (flow) => flow.version },
  {
    id: "updated",
    title: "Changed",
    width: "88px",
    num: true,
    phone: true,
    cell: (flow) => <Time at={flow.updated_at} />,
  },
  { id: "run", title: "", width: "64px", phone: true, cell: (flow) => <RunLink flow={flow} /> },
];

function RunLink({ flow }: { flow: Workflow }) {
  const may = useMay();
  if (flow.status !== "active" || !may("workflows:run")) return null;
  return (
    <Link
      to="/workflows/$name"
      params={{ name: flow.name }}
      search={{ start: true }}
      className="button small"
      aria-label={`Run ${flow.name}`}
    >
      <Play aria-hidden /> Run
    </Link>
  );
}

export function WorkflowsPage() {
  const navigate = useNavigate();
  const { query, items, more } = usePages<Workflow>({
    queryKey: ["workflows", "pages"],
    fetch: (cursor, signal) => take(api.GET("/workflows", { params: { query: { cursor, limit: 100 } }, signal })),
  });
  useTrail([{ label: "Workflows" }]);
  return (
    <div className="page">
      <div className="page-head">
        <h1>Workflows</h1>
      </div>
      {query.error && items.length === 0 ? (
        <ProblemPage
          error={query.error}
          what="The workflows could not be loaded"
          onRetry={() => void query.refetch()}
        />
      ) : (
        <VirtualList
          name="workflows"
          label="Workflows"
          items={items}
          idOf={(flow) => flow.id}
          columns={COLUMNS}
          loading={query.isPending}
          more={more}
          onOpen={(flow) => void navigate({ to: "/workflows/$name", params: { name: flow.name } })}
          rowKeys={(flow) => [
            {
              keys: "r",
              does: "Run the workflow",
              group: "Lists",
              run: () =>
                flow && void navigate({ to: "/workflows/$name", params: { name: flow.name }, search: { start: true } }),
            },
          ]}
          empty={
            <Empty icon={<WorkflowIcon aria-hidden />} title="There is no workflow yet">
              A workflow is a file. Apply one from your machine: <code>synapscale run workflow.yaml</code> applies it
              and runs it once; it is here from then on.
            </Empty>
          }
        />
      )}
    </div>
  );
}
