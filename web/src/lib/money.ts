// Money in nano-USD, and tokens, as people read them. What is not known is said to be so, and is never shown as nought.

const NANO = 1_000_000_000;

/** "$12.40", "$0.0031", "< $0.0001"; "unknown" when it is not known. */
export function usd(nano: number | null | undefined): string {
  if (nano === null || nano === undefined) return "unknown";
  const value = nano / NANO;
  if (value === 0) return "$0";
  if (value < 0.0001) return "< $0.0001";
  if (value < 0.01) return `$${value.toFixed(4)}`;
  if (value < 1) return `$${value.toFixed(3)}`;
  return `$${value.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}

/** What is known of a sum, and whether that is all of it. */
export function usdOf(sum: { cost_nano_usd: number | null; unknown_costs: number }): string {
  if (sum.unknown_costs === 0) return usd(sum.cost_nano_usd ?? 0);
  if (sum.cost_nano_usd === null) return "unknown";
  return `${usd(sum.cost_nano_usd)} + unknown`;
}

const compactFormat = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** "950", "12.4K", "3M"; a dash when it is not known. */
export function compact(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  return value < 1_000 ? String(value) : compactFormat.format(value);
}

/** A price of the price file, which is in micro-USD per million tokens, in dollars. */
export function perMillion(micro: number | null | undefined): string {
  if (micro === null || micro === undefined) return "unknown";
  const value = micro / 1_000_000;
  return `$${value.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 4 })}`;
}

/** Dollars as typed, in nano-USD; undefined for what is no amount. */
export function nanoOf(typed: string): number | undefined {
  const value = Number(typed.trim().replace(/^\$/, ""));
  return typed.trim() && Number.isFinite(value) && value >= 0 ? Math.round(value * NANO) : undefined;
}

/** "$3.00 per million tokens read, $15.00 written". */
export function usdPrice(price: { input: number; output: number } | null): string {
  if (!price) return "Its price is not known.";
  return `${perMillion(price.input)} per million tokens read, ${perMillion(price.output)} written.`;
}
