import { Outlet, useNavigate, useParams } from "@tanstack/react-router";
import { BookOpen, Braces } from "lucide-react";
import type { OperationInfo } from "@/api/types";
import { useTrail } from "@/app/title";
import { ProblemPage } from "@/ui/Problem";
import { Empty, SearchBox } from "@/ui/parts";
import { type Column, VirtualList } from "@/ui/VirtualList";
import { useOperations } from "./queries";
import { listRoute } from "./route";

const COLUMNS: Column<OperationInfo>[] = [
  {
    id: "name",
    title: "Operation",
    width: "minmax(120px, 190px)",
    phone: true,
    cell: (op) => <div className="mono clip">{op.name}</div>,
  },
  {
    id: "title",
    title: "What it does",
    width: "minmax(0, 1fr)",
    cell: (op) => (
      <div className="bar">
        <span className="clip">{op.title}</span>
        {op.destructive && <span className="chip bad">deletes</span>}
      </div>
    ),
  },
  { id: "effect", title: "Effect", width: "64px", cell: (op) => <span className="muted">{op.effect}</span> },
  {
    id: "rest",
    title: "REST",
    width: "minmax(0, 260px)",
    phone: true,
    cell: (op) =>
      op.rest ? (
        <div className="mono clip muted">
          {op.rest.method} {op.rest.path}
        </div>
      ) : (
        <span className="faint">–</span>
      ),
  },
];

export function OperationsPage() {
  const { text } = listRoute.useSearch();
  const { operation } = useParams({ strict: false });
  const navigate = useNavigate();
  const query = useOperations();
  useTrail([{ label: "API" }]);
  const sought = text?.toLowerCase();
  const items = (query.data ?? []).filter(
    (op) => !sought || `${op.name} ${op.title} ${op.about}`.toLowerCase().includes(sought),
  );
  return (
    <div className="split">
      <div className="main">
        <div className="page-head">
          <h1>API</h1>
          <SearchBox
            label="Filter operations"
            value={text ?? ""}
            onChange={(next) => void navigate({ to: ".", search: { text: next || undefined }, replace: true })}
          />
          <a href="/docs" className="button small">
            <BookOpen aria-hidden /> Reference
          </a>
          <a href="/api/v1/openapi.json" className="button small">
            <Braces aria-hidden /> OpenAPI file
          </a>
        </div>
        {query.error ? (
          <ProblemPage
            error={query.error}
            what="The operations could not be loaded"
            onRetry={() => void query.refetch()}
          />
        ) : (
          <VirtualList
            name="operations"
            label="Operations"
            items={items}
            idOf={(op) => op.name}
            columns={COLUMNS}
            loading={query.isPending}
            current={operation}
            onOpen={(op) =>
              void navigate({ to: "/operations/$operation", params: { operation: op.name }, search: { text } })
            }
            empty={<Empty title="No operation fits this text" />}
          />
        )}
      </div>
      <Outlet />
    </div>
  );
}
