import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { Activity, Play } from "lucide-react";
import { lazy, Suspense, useMemo } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { useMay } from "@/api/session";
import type { WorkflowDetail } from "@/api/types";
import { useHotkeys } from "@/app/hotkeys";
import { useTrail } from "@/app/title";
import { modelOf, type WorkflowFile } from "@/lib/graph-model";
import { TriggersView } from "@/pages/triggers/TriggersView";
import { JsonView } from "@/ui/JsonView";
import { Pane } from "@/ui/Pane";
import { ProblemPage } from "@/ui/Problem";
import { SkeletonRows } from "@/ui/parts";
import { Status } from "@/ui/Status";
import { RunForm } from "./RunForm";
import { route, type WorkflowSearch } from "./route";
import { ComparePane, Versions } from "./Versions";
import "./workflow.css";

const Graph = lazy(() => import("@/graph/Graph").then((module) => ({ default: module.Graph })));

export function WorkflowPage() {
  const { name } = route.useParams();
  const { version } = route.useSearch();
  const query = useQuery({
    queryKey: keys.workflow(name, version),
    queryFn: ({ signal }) =>
      take(api.GET("/workflows/{name}", { params: { path: { name }, query: { version } }, signal })),
    placeholderData: (before) => (before?.workflow.name === name ? before : undefined),
  });
  useTrail([{ label: "Workflows", to: "/workflows" }, { label: name }]);
  if (query.error && !query.data) {
    return (
      <ProblemPage error={query.error} what="The workflow could not be loaded" onRetry={() => void query.refetch()} />
    );
  }
  if (!query.data) return <SkeletonRows rows={3} />;
  return <Shown detail={query.data} />;
}

function Shown({ detail }: { detail: WorkflowDetail }) {
  const search = route.useSearch();
  const navigate = useNavigate();
  const may = useMay();
  const { workflow } = detail;
  const go = (next: WorkflowSearch) =>
    void navigate({
      to: "/workflows/$name",
      params: { name: workflow.name },
      search: { ...search, ...next },
      replace: true,
    });
  const start = () => go({ start: true, node: undefined });
  const runnable = may("workflows:run") && workflow.status === "active";
  useHotkeys(runnable ? [{ keys: "r", does: "Run the workflow", group: "Workflow", run: start }] : []);
  return (
    <div className="split">
      <div className="main">
        <div className="page-head">
          <h1>{workflow.title || workflow.name}</h1>
          <Status status={workflow.status} />
          <span className="muted">
            version {detail.version}
            {detail.version !== workflow.version && " of "}
            {detail.version !== workflow.version && (
              <Link to="/workflows/$name" params={{ name: workflow.name }} className="link">
                {workflow.version}
              </Link>
            )}
          </span>
          <Link to="/runs" search={{ workflow: workflow.name }} className="button small">
            <Activity aria-hidden /> Its runs
          </Link>
          {runnable && (
            <button type="button" className="button primary small" onClick={start}>
              <Play aria-hidden /> Run
            </button>
          )}
        </div>
        {workflow.description && <p className="muted workflow-about">{workflow.description}</p>}
        <Views view={search.view} onView={(view) => go({ view })} />
        <View detail={detail} search={search} go={go} />
      </div>
      {search.start ? (
        <RunForm
          key={`${workflow.name} ${detail.version} ${search.like}`}
          detail={detail}
          like={search.like}
          onClose={() => go({ start: undefined, like: undefined })}
        />
      ) : search.view === "versions" && search.compare ? (
        <ComparePane name={workflow.name} version={search.compare} against={search.against} go={go} />
      ) : (
        search.node && <NodePane detail={detail} node={search.node} onClose={() => go({ node: undefined })} />
      )}
    </div>
  );
}

const VIEWS = [
  { value: undefined, label: "Graph" },
  { value: "file", label: "File" },
  { value: "versions", label: "Versions" },
  { value: "triggers", label: "Triggers" },
] as const;

function Views({ view, onView }: { view: WorkflowSearch["view"]; onView: (view: WorkflowSearch["view"]) => void }) {
  return (
    <div className="tabs workflow-views" role="tablist" aria-label="Views of the workflow">
      {VIEWS.map((each) => (
        <button
          type="button"
          role="tab"
          key={each.label}
          className="tab"
          aria-selected={view === each.value}
          onClick={() => onView(each.value)}
        >
          {each.label}
        </button>
      ))}
    </div>
  );
}

interface ViewProps {
  detail: WorkflowDetail;
  search: WorkflowSearch;
  go: (next: WorkflowSearch) => void;
}

function View({ detail, search, go }: ViewProps) {
  const model = useMemo(() => modelOf(detail.file), [detail.file]);
  switch (search.view) {
    case "file":
      return (
        <div className="page-body padded">
          <JsonView value={detail.file} label="The file" />
        </div>
      );
    case "versions":
      return <Versions name={detail.workflow.name} compared={search.compare} go={go} />;
    case "triggers":
      return <TriggersView workflow={detail.workflow} />;
    default:
      return (
        <div className="workflow-graph">
          <Suspense fallback={<div className="graph-wait" />}>
            <Graph model={model} chosen={search.node} onChoose={(node) => go({ node, start: undefined })} />
          </Suspense>
        </div>
      );
  }
}

function NodePane({ detail, node, onClose }: { detail: WorkflowDetail; node: string; onClose: () => void }) {
  const written = (detail.file as WorkflowFile).nodes?.[node];
  return (
    <Pane label={`Node ${node}`} title={<h2 className="clip">{node}</h2>} onClose={onClose}>
      {written ? (
        <JsonView value={written} label="As written" />
      ) : (
        <p className="muted">This version has no such node.</p>
      )}
    </Pane>
  );
}
