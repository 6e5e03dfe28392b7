// What model calls took and cost, as a chart or as a table; what is not known is said to be so.
import { useNavigate } from "@tanstack/react-router";
import { ChartColumn, Table2 } from "lucide-react";
import { type ReactNode, useMemo } from "react";
import { keys } from "@/api/cache";
import { callOperation } from "@/api/call";
import { usePages } from "@/api/lists";
import type { UsageBy, UsageRow, UsageSum } from "@/api/models-types";
import type { Page } from "@/api/types";
import { useTrail } from "@/app/title";
import { compact, usd, usdOf } from "@/lib/money";
import { duration } from "@/lib/time";
import { chartData, daysBetween, type Measure, totalOf } from "@/lib/usage-chart";
import { ProblemNotice } from "@/ui/Problem";
import { Empty } from "@/ui/parts";
import { Time } from "@/ui/Time";
import { daysBack, useUsage } from "./queries";
import { BYS, MEASURES, SPANS, type UsageSearch, usageRoute } from "./route";
import { UsageChart } from "./UsageChart";

const BY_WORDS: Record<UsageBy, string> = {
  day: "By day",
  route: "By route",
  model: "By model",
  provider: "By provider",
};
const MEASURE_WORDS: Record<Measure, string> = { cost: "Cost", tokens: "Tokens", calls: "Calls" };

export function UsagePage() {
  const search = usageRoute.useSearch();
  const navigate = useNavigate();
  const { by = "day", measure = "cost", days = 30, table = false } = search;
  const query = useUsage(by, days);
  useTrail([{ label: "Models", to: "/models" }, { label: "Usage and cost" }]);
  const go = (next: UsageSearch) =>
    void navigate({ to: "/models/usage", search: { ...search, ...next }, replace: true });
  const sums = query.data?.items ?? [];
  const span = useMemo(() => daysBetween(daysBack(days), new Date().toISOString()), [days]);
  const chart = useMemo(() => chartData(query.data?.items ?? [], by, measure, span), [query.data, by, measure, span]);
  return (
    <div className="page">
      <div className="page-head">
        <h1>Usage and cost</h1>
        <Choice
          label="Group"
          value={by}
          options={BYS.map((value) => ({ value, label: BY_WORDS[value] }))}
          onChange={(next) => go({ by: next })}
        />
        <Choice
          label="Measure"
          value={measure}
          options={MEASURES.map((value) => ({ value, label: MEASURE_WORDS[value] }))}
          onChange={(next) => go({ measure: next })}
        />
        <Choice
          label="Time"
          value={String(days)}
          options={SPANS.map((value) => ({ value: String(value), label: `${value} days` }))}
          onChange={(next) => go({ days: Number(next) })}
        />
        <button
          type="button"
          className="button small"
          aria-pressed={table}
          onClick={() => go({ table: table ? undefined : true })}
        >
          {table ? <ChartColumn aria-hidden /> : <Table2 aria-hidden />} {table ? "Chart" : "Table"}
        </button>
      </div>
      <div className="page-body padded usage">
        {query.error && (
          <ProblemNotice
            error={query.error}
            what="The usage could not be loaded"
            onRetry={() => void query.refetch()}
          />
        )}
        {query.data && <Totals sums={sums} />}
        {query.data && sums.length === 0 && (
          <Empty icon={<ChartColumn aria-hidden />} title="No model was called in this time">
            Each attempt of a call is counted here within a second of its end.
          </Empty>
        )}
        {query.isPending && <div className="skeleton usage-wait" role="status" aria-label="Loading" />}
        {sums.length > 0 &&
          (table ? (
            <SumTable sums={sums} by={by} />
          ) : (
            <UsageChart
              data={chart}
              by={by}
              measure={measure}
              label={`${MEASURE_WORDS[measure]}, ${BY_WORDS[by].toLowerCase()}`}
            />
          ))}
        {query.data?.truncated && <p className="muted">There are more groups than are shown.</p>}
        {sums.length > 0 && <Latest />}
      </div>
    </div>
  );
}

interface ChoiceProps<T extends string> {
  label: string;
  value: T;
  options: readonly { value: T; label: string }[];
  onChange: (value: T) => void;
}

function Choice<T extends string>({ label, value, options, onChange }: ChoiceProps<T>) {
  return (
    <select
      className="input small"
      aria-label={label}
      value={value}
      onChange={(event) => onChange(event.target.value as T)}
    >
      {options.map((option) => (
        <option key={option.value} value={option.value}>
          {option.label}
        </option>
      ))}
    </select>
  );
}

function Totals({ sums }: { sums: readonly UsageSum[] }) {
  const total = useMemo(() => totalOf(sums), [sums]);
  if (sums.length === 0) return null;
  return (
    <dl className="usage-totals">
      <div>
        <dt>{total.unknown_costs && total.cost_nano_usd !== null ? "Known cost" : "Cost"}</dt>
        <dd>{usd(total.cost_nano_usd ?? (total.unknown_costs ? null : 0))}</dd>
        {total.unknown_costs > 0 && (
          <dd className="tone-wait">
            {total.cost_nano_usd === null ? "" : "and "}
            {total.unknown_costs.toLocaleString()} {total.unknown_costs === 1 ? "call" : "calls"} of unknown cost
          </dd>
        )}
      </div>
      <div>
        <dt>Tokens read</dt>
        <dd>{compact(total.input_tokens)}</dd>
        {total.cached_tokens !== null && total.cached_tokens > 0 && (
          <dd className="muted">{compact(total.cached_tokens)} from caches</dd>
        )}
      </div>
      <div>
        <dt>Tokens written</dt>
        <dd>{compact(total.output_tokens)}</dd>
      </div>
      <div>
        <dt>Attempts</dt>
        <dd>{total.attempts.toLocaleString()}</dd>
        {total.failed > 0 && <dd className="tone-bad">{total.failed.toLocaleString()} failed</dd>}
      </div>
    </dl>
  );
}

function SumTable({ sums, by }: { sums: readonly UsageSum[]; by: UsageBy }) {
  return (
    <TableFrame>
      <table className="table">
        <caption className="hidden-text">Usage of models {BY_WORDS[by].toLowerCase()}</caption>
        <thead>
          <tr>
            <th scope="col">{BY_WORDS[by].slice(3).replace(/^./, (sign) => sign.toUpperCase())}</th>
            <th scope="col" className="num">
              Cost
            </th>
            <th scope="col" className="num">
              Of unknown cost
            </th>
            <th scope="col" className="num">
              Read
            </th>
            <th scope="col" className="num">
              Cached
            </th>
            <th scope="col" className="num">
              Written
            </th>
            <th scope="col" className="num">
              Attempts
            </th>
            <th scope="col" className="num">
              Failed
            </th>
          </tr>
        </thead>
        <tbody>
          {sums.map((sum) => (
            <tr key={sum.key ?? ""}>
              <th scope="row">{sum.key ?? "no route"}</th>
              <td className="num">{usdOf(sum)}</td>
              <td className="num">{sum.unknown_costs || ""}</td>
              <td className="num">{compact(sum.input_tokens)}</td>
              <td className="num">{compact(sum.cached_tokens)}</td>
              <td className="num">{compact(sum.output_tokens)}</td>
              <td className="num">{sum.attempts.toLocaleString()}</td>
              <td className="num">{sum.failed || ""}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableFrame>
  );
}

/** A table that scrolls sideways where it is wider than the page, by keyboard, too. */
function TableFrame({ children }: { children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard.
    <div className="table-frame" tabIndex={0}>
      {children}
    </div>
  );
}

const LATEST = 20;

function Latest() {
  const { query, items, more } = usePages<UsageRow>({
    queryKey: keys.usage({ list: true }),
    fetch: (cursor, signal) =>
      callOperation<Page<UsageRow>>("usage.list", { limit: LATEST, ...(cursor && { cursor }) }, { signal }),
  });
  if (query.error) return <ProblemNotice error={query.error} what="The latest calls could not be loaded" />;
  if (items.length === 0) return null;
  return (
    <section className="stack" aria-label="Latest calls">
      <h2>Latest calls</h2>
      <TableFrame>
        <table className="table">
          <thead>
            <tr>
              <th scope="col">When</th>
              <th scope="col">Model</th>
              <th scope="col">Outcome</th>
              <th scope="col" className="num">
                Read
              </th>
              <th scope="col" className="num">
                Written
              </th>
              <th scope="col" className="num">
                Took
              </th>
              <th scope="col" className="num">
                Cost
              </th>
            </tr>
          </thead>
          <tbody>
            {items.map((row) => (
              <tr key={row.id}>
                <td>
                  <Time at={row.at} />
                </td>
                <td>
                  <span className="mono">
                    {row.provider}/{row.model}
                  </span>
                  {row.route && <span className="faint"> by {row.route}</span>}
                </td>
                <td>
                  {row.outcome === "ok" ? (
                    <span className="tone-good">ok</span>
                  ) : (
                    <span className="tone-bad">
                      {row.outcome} {row.status_code ?? ""}
                    </span>
                  )}
                </td>
                <td className="num">{compact(row.input_tokens)}</td>
                <td className="num">{compact(row.output_tokens)}</td>
                <td className="num">{duration(row.total_ms)}</td>
                <td className="num">
                  {row.outcome === "ok" || row.cost_nano_usd !== null ? usd(row.cost_nano_usd) : "–"}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </TableFrame>
      {more.has && (
        <div className="bar">
          <button type="button" className="button small" disabled={more.busy} onClick={more.load}>
            Show more
          </button>
        </div>
      )}
    </section>
  );
}
