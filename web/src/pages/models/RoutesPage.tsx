// Routes: a name that callers use, and where its calls go.
import { useNavigate } from "@tanstack/react-router";
import { Plus, Route as RouteIcon } from "lucide-react";
import { useMemo } from "react";
import type { ModelRoute, UsageSum } from "@/api/models-types";
import { useMay } from "@/api/session";
import { useTrail } from "@/app/title";
import { usdOf } from "@/lib/money";
import { duration } from "@/lib/time";
import { ProblemPage } from "@/ui/Problem";
import { Empty } from "@/ui/parts";
import { type Column, VirtualList } from "@/ui/VirtualList";
import { useModelRoutes, useProviders, useUsage } from "./queries";
import { RoutePane } from "./RoutePane";
import { routesRoute } from "./route";

export const STRATEGIES = [
  { value: "ordered", label: "In order", about: "the first that works" },
  { value: "weighted", label: "By weight", about: "by chance, each by its share" },
  { value: "least_latency", label: "Fastest", about: "the one that answered fastest of late" },
  { value: "cheapest", label: "Cheapest", about: "unknown prices last" },
] as const;

export function RoutesPage() {
  const { route } = routesRoute.useSearch();
  const navigate = useNavigate();
  const may = useMay();
  const query = useModelRoutes();
  const providers = useProviders();
  const usage = useUsage("route", 30);
  const sums = useMemo(() => new Map((usage.data?.items ?? []).map((sum) => [sum.key, sum])), [usage.data]);
  const names = useMemo(
    () => new Map((providers.data?.items ?? []).map((provider) => [provider.id, provider.name])),
    [providers.data],
  );
  useTrail([{ label: "Models", to: "/models" }, { label: "Routes" }]);
  const open = (id: string | undefined) =>
    void navigate({ to: "/models/routes", search: { route: id }, replace: true });
  const writes = may("models:write") && (providers.data?.items.length ?? 0) > 0;
  const items = query.data?.items ?? [];
  const chosen = items.find((each) => each.id === route);
  const add = writes && (
    <button type="button" className="button primary small" onClick={() => open("new")}>
      <Plus aria-hidden /> Add a route
    </button>
  );
  return (
    <div className="split">
      <div className="main">
        <div className="page-head">
          <h1>Routes</h1>
          {items.length > 0 && add}
        </div>
        {query.error && !query.data ? (
          <ProblemPage error={query.error} what="The routes could not be loaded" onRetry={() => void query.refetch()} />
        ) : (
          <VirtualList
            name="model-routes"
            label="Routes to models"
            items={items}
            idOf={(each) => each.id}
            columns={columns(names, sums)}
            loading={query.isPending}
            current={chosen?.id}
            onOpen={(each) => open(each.id)}
            empty={
              <Empty icon={<RouteIcon aria-hidden />} title="There is no route yet" action={add}>
                A route gives models one name, such as <code>default</code>. When the first does not answer, the next is
                asked. {!writes && "Add a provider first."}
              </Empty>
            }
          />
        )}
      </div>
      {(route === "new" || chosen) && (
        <RoutePane key={route} route={chosen} onClose={() => open(undefined)} onOpen={open} />
      )}
    </div>
  );
}

function columns(names: ReadonlyMap<string, string>, sums: ReadonlyMap<string | null, UsageSum>): Column<ModelRoute>[] {
  return [
    {
      id: "alias",
      title: "Name",
      width: "minmax(96px, 180px)",
      phone: true,
      cell: (route) => <span className="mono clip">{route.alias}</span>,
    },
    {
      id: "to",
      title: "Leads to",
      width: "minmax(0, 1fr)",
      phone: true,
      cell: (route) => (
        <span className="clip muted">
          {route.deployments
            .map((each) => `${names.get(each.provider_id) ?? "?"}/${each.model}`)
            .join(route.strategy === "ordered" ? " → " : ", ")}
        </span>
      ),
    },
    {
      id: "strategy",
      title: "First tried",
      width: "96px",
      from: 640,
      cell: (route) => STRATEGIES.find((each) => each.value === route.strategy)?.label ?? route.strategy,
    },
    {
      id: "time",
      title: "Longest",
      width: "72px",
      num: true,
      from: 760,
      cell: (route) => duration(route.total_timeout_ms),
    },
    {
      id: "cost",
      title: "Cost, 30 days",
      width: "120px",
      num: true,
      from: 560,
      cell: (route) => {
        const sum = sums.get(route.alias);
        return sum ? usdOf(sum) : <span className="faint">no calls</span>;
      },
    },
  ];
}
