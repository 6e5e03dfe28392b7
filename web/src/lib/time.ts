// Times and durations as people read them.

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

const relative = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "short" });
const nearDay = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const exactFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const dayFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const dayYearFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });

/** Days as people count them: by midnights, so that tomorrow is the next day and not any time a day and more from now. */
function daysBetween(from: Date, to: Date): number {
  const midnight = (date: Date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
  return Math.round((midnight(to) - midnight(from)) / 86_400_000);
}

/** "3 min. ago", "yesterday", "in 2 days". */
export function ago(at: string | number | Date, now = Date.now()): string {
  const seconds = (new Date(at).getTime() - now) / 1000;
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) < size) continue;
    if (unit === "day") return nearDay.format(daysBetween(new Date(now), new Date(at)), unit);
    return relative.format(Math.trunc(seconds / size), unit);
  }
  if (Math.abs(seconds) < 5) return "now";
  return relative.format(Math.trunc(seconds), "second");
}

export function exact(at: string | number | Date): string {
  return exactFormat.format(new Date(at));
}

export function day(at: string | Date, now = new Date()): string {
  const date = new Date(at);
  return (date.getFullYear() === now.getFullYear() ? dayFormat : dayYearFormat).format(date);
}

/** "380 ms", "4.2 s", "3 min 20 s", "2 h 5 min". */
export function duration(ms: number): string {
  if (ms < 1) return "< 1 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return withRest(minutes, "min", seconds % 60, "s");
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return withRest(hours, "h", minutes % 60, "min");
  return withRest(Math.floor(hours / 24), "d", hours % 24, "h");
}

function withRest(whole: number, unit: string, rest: number, restUnit: string): string {
  return rest ? `${whole} ${unit} ${rest} ${restUnit}` : `${whole} ${unit}`;
}

/** Minutes of work: "45 min", "2 h", "2 h 30 min". */
export function minutes(value: number): string {
  return value < 60 ? `${value} min` : withRest(Math.floor(value / 60), "h", value % 60, "min");
}

/** The time between two moments, the second of which may still be to come. */
export function between(
  from: string | null | undefined,
  to: string | null | undefined,
  now = Date.now(),
): number | undefined {
  if (!from) return undefined;
  return Math.max(0, (to ? new Date(to).getTime() : now) - new Date(from).getTime());
}
