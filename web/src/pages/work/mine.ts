// What one has to do today: overdue, due, scheduled, and what one is at.
import { useQueries } from "@tanstack/react-query";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { useMay, useSession } from "@/api/session";
import type { Query, Task } from "@/api/types";
import { type DayLists, dayLists } from "@/lib/my-day";
import { clockOffset } from "@/lib/task-filter";

const MOST = 50;
const OPEN = ["todo", "in_progress", "blocked"] as const;

/** The names by which "who" may mean oneself: it is a text. */
export function useOwnNames(): string[] {
  const { user } = useSession();
  return [
    ...new Set([user.display_name, user.email].filter((name) => typeof name === "string" && name !== "")),
  ] as string[];
}

export interface MyDay extends DayLists {
  pending: boolean;
  error: unknown;
  retry: () => void;
}

export function useMyDay(everybody: boolean): MyDay {
  const may = useMay();
  const names = useOwnNames();
  const whose: Query<"tasks_list">[] = everybody ? [{}] : names.map((assignee) => ({ assignee }));
  const times: Query<"tasks_list">[] = [
    { due: "overdue", sort: "due_date" },
    { due: "today", sort: "due_date" },
    { scheduled: "today", sort: "scheduled_date" },
    { status: ["in_progress"], sort: "-updated_at" },
  ];
  const asked = times.flatMap((time) =>
    whose.map((who) => ({
      status: [...OPEN],
      utc_offset_minutes: clockOffset(),
      limit: MOST,
      ...time,
      ...who,
    })),
  );
  return useQueries({
    queries: asked.map((query) => ({
      // Named as one page of a list, so that a change of a task reaches it.
      queryKey: keys.tasks({ day: query }),
      queryFn: async ({ signal }: { signal: AbortSignal }) => {
        const page = await take(api.GET("/tasks", { params: { query }, signal }));
        return { pages: [page], pageParams: [undefined] };
      },
      enabled: may("tasks:read"),
    })),
    combine: (results) => {
      const of = (time: number): Task[] =>
        whose.flatMap((_, at) => results[time * whose.length + at]?.data?.pages.flatMap((page) => page.items) ?? []);
      return {
        ...dayLists({ overdue: of(0), today: of(1), scheduled: of(2), busy: of(3) }),
        pending: results.some((result) => result.isPending && result.fetchStatus !== "idle"),
        error: results.find((result) => result.error)?.error ?? null,
        retry: () => {
          for (const result of results) void result.refetch();
        },
      };
    },
  });
}
