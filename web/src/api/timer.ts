// The timer of the one who is signed in: there is one at a time.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { minutes } from "@/lib/time";
import { toast, toastError } from "@/ui/toasts";
import { keys } from "./cache";
import { api, take } from "./client";
import { useMay } from "./session";
import type { TimeEntry } from "./types";

interface Running {
  timer: TimeEntry | null;
}

export function useTimer() {
  const may = useMay();
  return useQuery({
    queryKey: keys.timer,
    queryFn: ({ signal }) => take(api.GET("/timer", { signal })),
    enabled: may("tasks:write"),
  });
}

function told(entry: TimeEntry, cut: boolean) {
  const logged = `${minutes(entry.minutes ?? 0)} logged`;
  return cut ? `${logged}: the timer had run for longer than a day holds` : logged;
}

export function useTimerActions() {
  const client = useQueryClient();
  return useMemo(() => {
    const settle = () => {
      for (const key of [keys.timer, ["task-time"], ["activity"], ["task"], keys.tasks()]) {
        void client.invalidateQueries({ queryKey: key });
      }
    };
    return {
      start: async (task: { id: string; title: string }) => {
        const before = client.getQueryData<Running>(keys.timer);
        try {
          const path = { task_id: task.id };
          const { timer, stopped } = await take(api.POST("/tasks/{task_id}/timer", { params: { path }, body: {} }));
          client.setQueryData<Running>(keys.timer, { timer });
          const also = stopped ? `, and the one before was stopped: ${told(stopped.entry, stopped.cut)}` : "";
          toast(`The timer runs on “${task.title}”${also}.`);
        } catch (error) {
          client.setQueryData(keys.timer, before);
          toastError("The timer was not started.", error);
        }
        settle();
      },
      stop: async () => {
        const before = client.getQueryData<Running>(keys.timer);
        client.setQueryData<Running>(keys.timer, { timer: null });
        try {
          const { entry, cut } = await take(api.POST("/timer/stop"));
          toast(`${told(entry, cut)}.`);
        } catch (error) {
          client.setQueryData(keys.timer, before);
          toastError("The timer was not stopped.", error);
        }
        settle();
      },
    };
  }, [client]);
}
