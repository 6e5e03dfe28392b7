// How a task comes again, in words and as choices.
import type { Recurrence } from "@/api/types";
import { clockOffset } from "./task-filter";
import { day } from "./time";

export type Weekday = NonNullable<Recurrence["weekdays"]>[number];
export const WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const satisfies readonly Weekday[];
const NAMES: Record<Weekday, string> = {
  mon: "Monday",
  tue: "Tuesday",
  wed: "Wednesday",
  thu: "Thursday",
  fri: "Friday",
  sat: "Saturday",
  sun: "Sunday",
};

export function nameOfDay(weekday: Weekday): string {
  return NAMES[weekday];
}

/** "every 2 weeks on Monday and Friday, until 3 Mar", "every month on the 31st, from when it is done". */
export function ruleInWords(rule: Recurrence): string {
  const unit = rule.every === 1 ? `every ${rule.unit}` : `every ${rule.every} ${rule.unit}s`;
  const parts = [unit];
  if (rule.unit === "week" && rule.weekdays?.length) {
    parts.push(`on ${joined(WEEKDAYS.filter((each) => rule.weekdays?.includes(each)).map((each) => NAMES[each]))}`);
  }
  if (rule.unit === "month" && rule.month_day) parts.push(`on the ${ordinal(rule.month_day)}`);
  const extra = [rule.from === "completion" && "from when it is done", rule.until && `until ${day(rule.until)}`].filter(
    Boolean,
  );
  return [parts.join(" "), ...extra].join(", ");
}

function joined(names: string[]): string {
  const last = names.at(-1) ?? "";
  return names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${last}` : last;
}

export function ordinal(value: number): string {
  const tens = value % 100;
  const ending = tens > 10 && tens < 14 ? "th" : (["th", "st", "nd", "rd"][value % 10] ?? "th");
  return `${value}${ending}`;
}

/** A rule to begin with. */
export function newRule(unit: Recurrence["unit"]): Recurrence {
  return { every: 1, unit, from: "due", utc_offset_minutes: clockOffset() };
}

/** The rule in another unit: what belongs to the one before goes. */
export function inUnit(rule: Recurrence, unit: Recurrence["unit"]): Recurrence {
  const { weekdays: _, month_day: __, ...rest } = rule;
  return { ...rest, unit };
}

export function withWeekday(rule: Recurrence, weekday: Weekday, on: boolean): Recurrence {
  const { weekdays, ...rest } = rule;
  const chosen = WEEKDAYS.filter((each) => (each === weekday ? on : weekdays?.includes(each)));
  return chosen.length ? { ...rest, weekdays: chosen } : rest;
}
