// Every model that a call can name, with its price.
import { Link, useNavigate } from "@tanstack/react-router";
import { Cpu, MessageSquareText } from "lucide-react";
import { useMemo } from "react";
import type { KnownModel } from "@/api/models-types";
import { useMay } from "@/api/session";
import { useTrail } from "@/app/title";
import { perMillion } from "@/lib/money";
import { ProblemPage } from "@/ui/Problem";
import { CopyId, Empty, FilterSelect, SearchBox } from "@/ui/parts";
import { type Column, VirtualList } from "@/ui/VirtualList";
import { useModels } from "./queries";
import { type KnownSearch, knownRoute } from "./route";

const SOURCES = { provider: "told by it", price_file: "price file", ollama: "local Ollama" };

function money(micro: number | null | undefined, known: boolean) {
  if (!known) return <span className="faint">unknown</span>;
  if (micro === null || micro === undefined) return <span className="faint">–</span>;
  return perMillion(micro);
}

const COLUMNS: Column<KnownModel>[] = [
  {
    id: "model",
    title: "Model",
    width: "minmax(0, 1fr)",
    phone: true,
    cell: (model) => (
      <div className="bar known-name">
        <CopyId id={model.id} label={model.id} />
      </div>
    ),
  },
  {
    id: "source",
    title: "Known from",
    width: "104px",
    from: 700,
    cell: (model) => <span className="muted">{SOURCES[model.source]}</span>,
  },
  {
    id: "in",
    title: "Read, $/M",
    width: "84px",
    num: true,
    phone: true,
    cell: (model) => money(model.price?.input, model.price !== null),
  },
  {
    id: "cached",
    title: "Cached, $/M",
    width: "92px",
    num: true,
    from: 620,
    cell: (model) => money(model.price?.cached_input, model.price !== null),
  },
  {
    id: "out",
    title: "Written, $/M",
    width: "92px",
    num: true,
    phone: true,
    cell: (model) => money(model.price?.output, model.price !== null),
  },
  { id: "try", title: "", width: "64px", from: 560, cell: (model) => <TryLink model={model.id} /> },
];

function TryLink({ model }: { model: string }) {
  const may = useMay();
  if (!may("llm:chat")) return null;
  return (
    <Link to="/models/try" search={{ model }} className="button small" aria-label={`Try ${model}`}>
      <MessageSquareText aria-hidden /> Try
    </Link>
  );
}

export function KnownPage() {
  const search = knownRoute.useSearch();
  const navigate = useNavigate();
  const query = useModels();
  useTrail([{ label: "Models", to: "/models" }, { label: "Models and prices" }]);
  const go = (next: KnownSearch) =>
    void navigate({ to: "/models/known", search: { ...search, ...next }, replace: true });
  const items = useMemo(() => {
    const sought = search.text?.toLowerCase();
    return (query.data?.items ?? []).filter(
      (model) =>
        (!sought || model.id.toLowerCase().includes(sought)) &&
        (!search.priced || (model.price !== null) === (search.priced === "yes")),
    );
  }, [query.data, search]);
  const routes = query.data?.routes ?? [];
  return (
    <div className="page">
      <div className="page-head">
        <h1>Models and prices</h1>
        {query.data && (
          <span className="muted">
            {query.data.prices_as_of ? `Prices of ${query.data.prices_as_of}` : "No price file"}
          </span>
        )}
        <FilterSelect
          label="Price"
          all="All prices"
          value={search.priced}
          options={[
            { value: "yes", label: "Price known" },
            { value: "no", label: "Price unknown" },
          ]}
          onChange={(priced) => go({ priced })}
        />
        <SearchBox
          label="Filter models"
          value={search.text ?? ""}
          onChange={(text) => go({ text: text || undefined })}
        />
      </div>
      {routes.length > 0 && (
        <div className="filters">
          <span className="muted">Routes:</span>
          {routes.map((alias) => (
            <span key={alias} className="chip accent mono">
              {alias}
            </span>
          ))}
        </div>
      )}
      {query.error && !query.data ? (
        <ProblemPage error={query.error} what="The models could not be loaded" onRetry={() => void query.refetch()} />
      ) : (
        <VirtualList
          name="models"
          label="Models"
          items={items}
          idOf={(model) => `${model.id} ${model.source}`}
          columns={COLUMNS}
          loading={query.isPending}
          empty={
            search.text || search.priced ? (
              <Empty title="No model fits this filter" />
            ) : (
              <Empty
                icon={<Cpu aria-hidden />}
                title="No model is known yet"
                action={
                  <Link to="/models" search={{ provider: "new" }} className="button primary">
                    Add a provider
                  </Link>
                }
              >
                Models appear when a provider was tested. A local Ollama is found by itself.
              </Empty>
            )
          }
        />
      )}
    </div>
  );
}
