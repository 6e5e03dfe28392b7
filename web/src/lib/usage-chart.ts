// Sums of usage as bars: which, how high, and with what at the axis.
import type { UsageBy, UsageSum } from "@/api/models-types";

export type Measure = "cost" | "tokens" | "calls";

export interface UsageBar {
  key: string;
  label: string;
  /** Null when nothing of it is known. */
  value: number | null;
  /** Calls whose cost is in no sum. */
  unknown: number;
  sum: UsageSum;
}

export interface ChartData {
  bars: UsageBar[];
  /** Marks of the axis, from nought to at least the highest bar. */
  ticks: number[];
  top: number;
}

const DAY_MS = 86_400_000;
/** Groups beyond these are told together. */
const MOST_BARS = 60;

export function measured(sum: UsageSum, measure: Measure): number | null {
  if (measure === "calls") return sum.attempts;
  if (measure === "cost") return sum.cost_nano_usd ?? (sum.unknown_costs > 0 ? null : 0);
  if (sum.input_tokens === null && sum.output_tokens === null) return null;
  return (sum.input_tokens ?? 0) + (sum.output_tokens ?? 0);
}

const NOTHING: Omit<UsageSum, "key"> = {
  attempts: 0,
  failed: 0,
  input_tokens: 0,
  output_tokens: 0,
  cached_tokens: 0,
  reasoning_tokens: 0,
  cost_nano_usd: 0,
  unknown_costs: 0,
};

/** The days from `from` to `to` in UTC, both included, as the server names them. */
export function daysBetween(from: string, to: string): string[] {
  const [begin, end] = [Date.parse(`${from.slice(0, 10)}T00:00:00Z`), Date.parse(`${to.slice(0, 10)}T00:00:00Z`)];
  const days: string[] = [];
  for (let at = begin; at <= end && days.length < 400; at += DAY_MS) days.push(new Date(at).toISOString().slice(0, 10));
  return days;
}

export function chartData(
  sums: readonly UsageSum[],
  by: UsageBy,
  measure: Measure,
  days: readonly string[],
): ChartData {
  const bars = by === "day" ? dayBars(sums, measure, days) : groupBars(sums, measure);
  const highest = Math.max(0, ...bars.map((bar) => bar.value ?? 0));
  const ticks = ticksTo(highest);
  return { bars, ticks, top: ticks.at(-1) ?? 1 };
}

/** A day on which nothing was called is a day, too. */
function dayBars(sums: readonly UsageSum[], measure: Measure, days: readonly string[]): UsageBar[] {
  const known = new Map(sums.map((sum) => [sum.key, sum]));
  return days.map((key) => barOf(known.get(key) ?? { ...NOTHING, key }, measure, key.slice(5)));
}

function groupBars(sums: readonly UsageSum[], measure: Measure): UsageBar[] {
  return sums
    .map((sum) => barOf(sum, measure, sum.key ?? "no route"))
    .toSorted((a, b) => (b.value ?? -1) - (a.value ?? -1) || b.unknown - a.unknown || a.label.localeCompare(b.label))
    .slice(0, MOST_BARS);
}

function barOf(sum: UsageSum, measure: Measure, label: string): UsageBar {
  return { key: sum.key ?? "", label, value: measured(sum, measure), unknown: sum.unknown_costs, sum };
}

const STEPS = [1, 2, 2.5, 5, 10];
const TICKS = 4;

/** Round numbers, so that the axis can be read. */
export function ticksTo(highest: number): number[] {
  if (highest <= 0) return [0, 1];
  const rough = highest / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = (STEPS.find((each) => each * power >= rough) ?? 10) * power;
  const count = Math.ceil(highest / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, index) => index * step);
}

export function totalOf(sums: readonly UsageSum[]): UsageSum {
  const add = (a: number | null, b: number | null) => (a === null && b === null ? null : (a ?? 0) + (b ?? 0));
  return sums.reduce<UsageSum>(
    (total, sum) => ({
      key: null,
      attempts: total.attempts + sum.attempts,
      failed: total.failed + sum.failed,
      input_tokens: add(total.input_tokens, sum.input_tokens),
      output_tokens: add(total.output_tokens, sum.output_tokens),
      cached_tokens: add(total.cached_tokens, sum.cached_tokens),
      reasoning_tokens: add(total.reasoning_tokens, sum.reasoning_tokens),
      cost_nano_usd: add(total.cost_nano_usd, sum.cost_nano_usd),
      unknown_costs: total.unknown_costs + sum.unknown_costs,
    }),
    {
      key: null,
      attempts: 0,
      failed: 0,
      input_tokens: null,
      output_tokens: null,
      cached_tokens: null,
      reasoning_tokens: null,
      cost_nano_usd: null,
      unknown_costs: 0,
    },
  );
}
