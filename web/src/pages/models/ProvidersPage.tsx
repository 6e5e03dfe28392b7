// The providers of models: which there are, how each does, and whether it answers.
import { useNavigate } from "@tanstack/react-router";
import { CircleCheck, CircleSlash, CircleX, Cpu, FlaskConical, Plus } from "lucide-react";
import type { Provider, UsageSum } from "@/api/models-types";
import { useMay } from "@/api/session";
import { useTrail } from "@/app/title";
import { duration } from "@/lib/time";
import { ProblemPage } from "@/ui/Problem";
import { Empty } from "@/ui/parts";
import { Time } from "@/ui/Time";
import { toastError } from "@/ui/toasts";
import { type Column, VirtualList } from "@/ui/VirtualList";
import { ProviderPane } from "./ProviderPane";
import { presetOf } from "./presets";
import { useHealth, useLastTest, useModels, useProviders, useTest } from "./queries";
import { providersRoute } from "./route";

export function ProvidersPage() {
  const { provider } = providersRoute.useSearch();
  const navigate = useNavigate();
  const may = useMay();
  const query = useProviders();
  const health = useHealth();
  useTrail([{ label: "Models" }]);
  const open = (id: string | undefined) => void navigate({ to: "/models", search: { provider: id }, replace: true });
  const writes = may("models:write");
  const items = query.data?.items ?? [];
  const chosen = items.find((each) => each.id === provider);
  return (
    <div className="split">
      <div className="main">
        <div className="page-head">
          <h1>Providers</h1>
          {writes && items.length > 0 && (
            <button type="button" className="button primary small" onClick={() => open("new")}>
              <Plus aria-hidden /> Add a provider
            </button>
          )}
        </div>
        {query.error && !query.data ? (
          <ProblemPage
            error={query.error}
            what="The providers could not be loaded"
            onRetry={() => void query.refetch()}
          />
        ) : (
          <VirtualList
            name="providers"
            label="Providers of models"
            items={items}
            idOf={(each) => each.id}
            columns={columns(writes, health)}
            loading={query.isPending}
            current={chosen?.id}
            onOpen={(each) => open(each.id)}
            empty={<NoProvider onAdd={writes ? () => open("new") : undefined} />}
          />
        )}
      </div>
      {(provider === "new" || chosen) && (
        <ProviderPane key={provider} provider={chosen} onClose={() => open(undefined)} onOpen={open} />
      )}
    </div>
  );
}

function NoProvider({ onAdd }: { onAdd?: () => void }) {
  const models = useModels();
  const local = models.data?.items.filter((model) => model.source === "ollama") ?? [];
  return (
    <Empty
      icon={<Cpu aria-hidden />}
      title={local.length ? "Your Ollama is used" : "There is no provider yet"}
      action={
        onAdd && (
          <button type="button" className="button primary" onClick={onAdd}>
            <Plus aria-hidden /> Add a provider
          </button>
        )
      }
    >
      {local.length
        ? `An Ollama on this machine answers with ${local.length} ${local.length === 1 ? "model" : "models"}, so agents can work at once. Add a provider for other models.`
        : "Agents need a model. An Ollama that runs on the server's machine is found by itself; any other provider is added with its key."}
    </Empty>
  );
}

function columns(writes: boolean, health: ReadonlyMap<string, UsageSum>): Column<Provider>[] {
  return [
    {
      id: "name",
      title: "Provider",
      width: "minmax(0, 1.2fr)",
      phone: true,
      cell: (provider) => (
        <div className="bar">
          <span className="clip">{provider.name}</span>
          <span className="clip faint provider-kind">{presetOf(provider.preset)?.label ?? provider.preset}</span>
        </div>
      ),
    },
    {
      id: "status",
      title: "Used",
      width: "84px",
      cell: (provider) => <Used provider={provider} />,
    },
    {
      id: "model",
      title: "Default model",
      width: "minmax(0, 1fr)",
      from: 760,
      cell: (provider) => <span className="clip mono">{provider.settings.default_model ?? "–"}</span>,
    },
    {
      id: "key",
      title: "Key",
      width: "84px",
      from: 900,
      cell: (provider) =>
        provider.has_key ? (
          <span className="mono muted">…{provider.key_hint ?? "set"}</span>
        ) : (
          <span className="faint">none</span>
        ),
    },
    {
      id: "calls",
      title: "Since yesterday",
      width: "132px",
      num: true,
      from: 620,
      cell: (provider) => <Calls sum={health.get(provider.name)} />,
    },
    {
      id: "test",
      title: "Last test",
      width: "minmax(96px, 0.8fr)",
      phone: true,
      cell: (each) => <Tested provider={each} />,
    },
    ...(writes
      ? [
          {
            id: "do",
            title: "",
            width: "72px",
            phone: true,
            cell: (provider: Provider) => <TestButton provider={provider} />,
          },
        ]
      : []),
  ];
}

function Used({ provider }: { provider: Provider }) {
  return provider.status === "active" ? (
    <span className="status tone-good">
      <CircleCheck aria-hidden /> Yes
    </span>
  ) : (
    <span className="status tone-idle">
      <CircleSlash aria-hidden /> No
    </span>
  );
}

function Calls({ sum }: { sum: UsageSum | undefined }) {
  if (!sum) return <span className="faint">no calls</span>;
  return (
    <span>
      {sum.attempts.toLocaleString()}
      {sum.failed > 0 && <span className="tone-bad"> {sum.failed} failed</span>}
    </span>
  );
}

function Tested({ provider }: { provider: Provider }) {
  const test = useLastTest(provider.id);
  if (test?.ok) {
    return (
      <span className="status tone-good clip">
        <CircleCheck aria-hidden /> {duration(test.took_ms)}
      </span>
    );
  }
  if (test) {
    return (
      <span className="status tone-bad clip" title={test.message ?? undefined}>
        <CircleX aria-hidden /> <span className="clip">{test.message ?? test.error}</span>
      </span>
    );
  }
  if (!provider.models_at) return <span className="faint">not yet</span>;
  return (
    <span className="muted clip">
      <Time at={provider.models_at} />, {provider.models} {provider.models === 1 ? "model" : "models"}
    </span>
  );
}

function TestButton({ provider }: { provider: Provider }) {
  const test = useTest();
  return (
    <button
      type="button"
      className="button small"
      disabled={test.isPending}
      aria-label={`Test ${provider.name}`}
      onClick={() => test.mutate(provider.id, { onError: (error) => toastError("The test could not be made.", error) })}
    >
      <FlaskConical aria-hidden /> {test.isPending ? "…" : "Test"}
    </button>
  );
}
