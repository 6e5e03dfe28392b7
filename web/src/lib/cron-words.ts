// A schedule in words. What is too particular for words stays as it is written; the next turns say the rest.

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];

type Field = { every: number } | { values: number[] };

interface Shape {
  min: number;
  max: number;
  names?: readonly string[];
  /** The number that the first name stands for. */
  first?: number;
}

const SHAPES = {
  minute: { min: 0, max: 59 },
  hour: { min: 0, max: 23 },
  day: { min: 1, max: 31 },
  month: { min: 1, max: 12, names: MONTHS, first: 1 },
  weekday: { min: 0, max: 7, names: DAYS, first: 0 },
} as const satisfies Record<string, Shape>;

function numberOf(text: string, shape: Shape): number | undefined {
  const named = shape.names?.findIndex((name) => name.slice(0, 3).toLowerCase() === text.toLowerCase()) ?? -1;
  const value = named >= 0 ? named + (shape.first ?? 0) : /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return value >= shape.min && value <= shape.max ? value : undefined;
}

/** One part of a list: `5`, `1-5`, `*`+`/15`, `10-40/10`. */
function valuesOf(part: string, shape: Shape): number[] | undefined {
  const [range = "", step = "1"] = part.split("/");
  if (part.split("/").length > 2 || !/^\d+$/.test(step) || Number(step) === 0) return undefined;
  const [low = "", high] = range.split("-");
  const from = range === "*" ? shape.min : numberOf(low, shape);
  const to =
    range === "*" ? shape.max : high === undefined ? (part.includes("/") ? shape.max : from) : numberOf(high, shape);
  if (from === undefined || to === undefined || to < from) return undefined;
  return Array.from({ length: Math.floor((to - from) / Number(step)) + 1 }, (_, index) => from + index * Number(step));
}

function fieldOf(text: string, shape: Shape): Field | undefined {
  if (text === "*" || text === "?") return { every: 1 };
  const step = /^\*\/(\d+)$/.exec(text)?.[1];
  if (step && Number(step) > 0) return { every: Number(step) };
  const values = new Set<number>();
  for (const part of text.split(",")) {
    const found = valuesOf(part, shape);
    if (!found) return undefined;
    for (const value of found) values.add(value);
  }
  return { values: [...values].toSorted((a, b) => a - b) };
}

const two = (value: number) => String(value).padStart(2, "0");

function listed(words: readonly string[]): string {
  if (words.length < 2) return words[0] ?? "";
  return `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

function ordinal(value: number): string {
  const end = value % 10 === 1 && value !== 11 ? "st" : value % 10 === 2 && value !== 12 ? "nd" : "th";
  return `${value}${value % 10 === 3 && value !== 13 ? "rd" : end}`;
}

/** Above so many times of a day, naming each helps nobody. */
const MOST_TIMES = 6;

function timeWords(minute: Field, hour: Field): string | undefined {
  if ("every" in minute) {
    const often = minute.every === 1 ? "every minute" : `every ${minute.every} minutes`;
    if ("every" in hour) return hour.every === 1 ? often : undefined;
    return hour.values.length <= MOST_TIMES
      ? `${often} of the hour from ${listed(hour.values.map((value) => `${two(value)}:00`))}`
      : undefined;
  }
  if ("every" in hour) {
    const often = hour.every === 1 ? "every hour" : `every ${hour.every} hours`;
    if (minute.values.length === 1 && minute.values[0] === 0) return `${often}, on the hour`;
    return `${often}, at ${listed(minute.values.map((value) => `:${two(value)}`))}`;
  }
  const times = hour.values.flatMap((h) => minute.values.map((m) => `${two(h)}:${two(m)}`));
  if (times.length <= MOST_TIMES) return `at ${listed(times)}`;
  const [first, last] = [hour.values[0], hour.values.at(-1)];
  const isRange = hour.values.every((value, index) => value === (first ?? 0) + index);
  if (!isRange || minute.values.length > 2 || first === undefined || last === undefined) return undefined;
  return `every hour from ${two(first)} to ${two(last)}, at ${listed(minute.values.map((value) => `:${two(value)}`))}`;
}

function dayWords(day: Field, month: Field, weekday: Field): string | undefined {
  const months =
    "every" in month ? (month.every === 1 ? "" : undefined) : listed(month.values.map((m) => MONTHS[m - 1] ?? ""));
  if (months === undefined) return undefined;
  const inMonths = months && ` in ${months}`;
  const anyDay = "every" in day && day.every === 1;
  const anyWeekday = "every" in weekday && weekday.every === 1;
  if (anyDay && anyWeekday) return months ? `every day${inMonths}` : "every day";
  if (anyDay && "values" in weekday) {
    const days = [...new Set(weekday.values.map((value) => value % 7))];
    const key = days.toSorted().join("");
    if (key === "12345") return `on working days${inMonths}`;
    if (key === "06") return `on Saturdays and Sundays${inMonths}`;
    if (days.length === 7) return `every day${inMonths}`;
    return `on ${listed(days.map((value) => `${DAYS[value]}s`))}${inMonths}`;
  }
  if (anyWeekday && "values" in day) {
    const of = months ? `of ${months}` : "of each month";
    return day.values.length <= MOST_TIMES ? `on the ${listed(day.values.map(ordinal))} ${of}` : undefined;
  }
  return undefined;
}

/** "On working days at 09:30"; nothing for an expression that needs more than a sentence. */
export function cronWords(cron: string): string | undefined {
  const parts = cron.trim().split(/\s+/);
  if (parts.length !== 5) return undefined;
  const [minute, hour, day, month, weekday] = (["minute", "hour", "day", "month", "weekday"] as const).map(
    (name, index) => fieldOf(parts[index] ?? "", SHAPES[name]),
  );
  if (!minute || !hour || !day || !month || !weekday) return undefined;
  const [time, days] = [timeWords(minute, hour), dayWords(day, month, weekday)];
  if (!time || !days) return undefined;
  const words =
    days === "every day" && time.startsWith("every") ? time : `${days}${time.startsWith("at") ? " " : ", "}${time}`;
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}

/** A moment as a clock in the schedule's zone shows it. */
export function inZone(at: string, timeZone: string, locale?: string): string {
  const options: Intl.DateTimeFormatOptions = {
    weekday: "short",
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
  };
  try {
    return new Intl.DateTimeFormat(locale, { ...options, timeZone }).format(new Date(at));
  } catch {
    // A zone that the server knows and this browser does not.
    return new Intl.DateTimeFormat(locale, { ...options, timeZone: "UTC", timeZoneName: "short" }).format(new Date(at));
  }
}

export const MISSED_WORDS: Record<string, string> = {
  once: "One run for the last of them",
  skip: "None for turns more than five minutes late",
  all: "One run for each of the last hundred",
};
