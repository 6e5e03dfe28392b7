// A day's work in lists, each task once: where it presses most.
import type { Task } from "@/api/types";
import { isOver } from "./task-filter";

export interface DayLists {
  overdue: Task[];
  today: Task[];
  scheduled: Task[];
  /** Begun, whenever it is due. */
  busy: Task[];
}

export function dayLists(found: DayLists): DayLists {
  const seen = new Set<string>();
  const fresh = (tasks: readonly Task[]) =>
    tasks.filter((task) => {
      if (isOver(task) || seen.has(task.id)) return false;
      seen.add(task.id);
      return true;
    });
  return {
    overdue: fresh(found.overdue),
    today: fresh(found.today),
    scheduled: fresh(found.scheduled),
    busy: fresh(found.busy),
  };
}

export function countOf(lists: DayLists): number {
  return lists.overdue.length + lists.today.length + lists.scheduled.length + lists.busy.length;
}
