// Minutes of work as people type them, and days as the server keeps them.

const PARTS = /^(?:(\d+(?:[.,]\d+)?)\s*(?:h|hours?|std))?\s*(?:(\d+)\s*(?:m|min|mins|minutes?)?)?$/i;

/** "90", "1:30", "1h 30m", "1.5 h" as minutes; undefined if it is none of these. */
export function readMinutes(text: string): number | undefined {
  const typed = text.trim();
  if (typed === "") return undefined;
  const clock = /^(\d+):([0-5]\d)$/.exec(typed);
  if (clock) return Number(clock[1]) * 60 + Number(clock[2]);
  const parts = PARTS.exec(typed);
  if (!parts) return undefined;
  const hours = Number((parts[1] ?? "0").replace(",", "."));
  return Math.round(hours * 60) + Number(parts[2] ?? 0);
}

/** A day on this clock, such as 2026-03-02. */
export function dayOf(date: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** How long a timer has run: "0:07", "1:02:45". */
export function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (value: number) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
