// The running timer, on every page: how long, on what, and a way to stop it.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Square, Timer } from "lucide-react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { useTimer, useTimerActions } from "@/api/timer";
import type { TimeEntry } from "@/api/types";
import { Running } from "@/ui/Time";

export function TimerChip() {
  const { data } = useTimer();
  return data?.timer ? <Chip timer={data.timer} /> : null;
}

function Chip({ timer }: { timer: TimeEntry }) {
  const { stop } = useTimerActions();
  const path = { task_id: timer.task_id };
  const task = useQuery({
    queryKey: keys.task(timer.task_id),
    queryFn: ({ signal }) => take(api.GET("/tasks/{task_id}", { params: { path }, signal })),
    retry: false,
  });
  const title = task.data?.title ?? "a task";
  return (
    <section className="timer-chip" aria-label="Running timer">
      <Link
        to="/work/$projectId/$taskId"
        params={{ projectId: task.data?.project_id ?? "all", taskId: timer.task_id }}
        search={{ tab: "time" }}
        title={`The timer runs on ${title}`}
      >
        <Timer aria-hidden />
        <Running from={timer.started_at} />
        <span className="clip timer-task">{title}</span>
      </Link>
      <button
        type="button"
        aria-label={`Stop the timer on ${title}`}
        title="Stop the timer"
        onClick={() => void stop()}
      >
        <Square aria-hidden />
      </button>
    </section>
  );
}
