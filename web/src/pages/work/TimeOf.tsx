// Time on a task: the timer, what was logged, corrections, and the sums over all below it.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Play, Plus, Square, Trash2 } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { once } from "@/api/lists";
import { useMay, useSession } from "@/api/session";
import { useTimer, useTimerActions } from "@/api/timer";
import type { Task, TimeEntry, TimeSums } from "@/api/types";
import { day, minutes } from "@/lib/time";
import { dayOf, readMinutes } from "@/lib/work-time";
import { ActorName, actorOf } from "@/ui/ActorName";
import { Confirm } from "@/ui/Dialog";
import { ProblemNotice } from "@/ui/Problem";
import { Running } from "@/ui/Time";
import { toast, toastError } from "@/ui/toasts";
import { InlineText } from "./cells";
import { useLogged, useTimeSums } from "./queries";

const A_DAY = 24 * 60;

export function TimeOf({ task }: { task: Task }) {
  const sums = useTimeSums(task.id);
  const { query, items, more } = useLogged(task.id);
  const may = useMay();
  const entries = once(items, (entry) => entry.id).filter((entry) => entry.minutes !== null);
  const error = sums.error ?? query.error;
  return (
    <div className="stack wide">
      {error && (
        <ProblemNotice
          error={error}
          what="The time could not be loaded"
          onRetry={() => {
            void sums.refetch();
            void query.refetch();
          }}
        />
      )}
      {may("tasks:write") && <TimerButton task={task} wide />}
      {sums.data && <Sums sums={sums.data} />}
      {may("tasks:write") && <LogTime task={task} />}
      {entries.length > 0 && (
        <ul className="time-entries" aria-label="Logged time">
          {entries.map((entry) => (
            <Entry key={entry.id} entry={entry} />
          ))}
        </ul>
      )}
      {query.data && entries.length === 0 && <p className="faint">No time was logged on this task yet.</p>}
      {more.has && (
        <button type="button" className="button small quiet" disabled={more.busy} onClick={more.load}>
          Show earlier days
        </button>
      )}
    </div>
  );
}

/** Starts the timer on a task, or stops the one that runs on it. */
export function TimerButton({ task, wide }: { task: Task; wide?: boolean }) {
  const { data } = useTimer();
  const { start, stop } = useTimerActions();
  const runs = data?.timer?.task_id === task.id ? data.timer : undefined;
  const label = runs ? "Stop the timer" : "Start the timer";
  const Icon = runs ? Square : Play;
  return (
    <button
      type="button"
      className={wide ? "button small" : "button small quiet icon"}
      aria-label={label}
      title={label}
      aria-pressed={wide ? undefined : runs !== undefined}
      onClick={() => void (runs ? stop() : start(task))}
    >
      <Icon aria-hidden />
      {wide && (runs ? <Running from={runs.started_at} /> : "Start the timer")}
      {wide && runs && <span>Stop</span>}
    </button>
  );
}

function Sums({ sums }: { sums: TimeSums }) {
  const many = sums.tasks > 1;
  const rows = [
    ["Logged", sums.logged_minutes, sums.total_logged_minutes],
    ["Took", sums.actual_minutes, sums.total_actual_minutes],
    ["Estimate", sums.estimated_minutes, sums.total_estimated_minutes],
  ] as const;
  return (
    <>
      <table className="sums">
        <thead>
          <tr>
            <td />
            <th scope="col">This task</th>
            {many && <th scope="col">With the {sums.tasks - 1} below</th>}
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, own, all]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{minutes(own)}</td>
              {many && <td>{minutes(all)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
      {sums.people.length > 1 && (
        <ul className="time-people" aria-label="Who logged how much">
          {sums.people.map(({ person, minutes: spent }) => (
            <li key={person}>
              <ActorName actor={actorOf(person)} /> <span className="faint">{minutes(spent)}</span>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function useTouch(task: string) {
  const client = useQueryClient();
  return () => {
    for (const key of [keys.activity(task), keys.task(task), keys.tasks()]) {
      void client.invalidateQueries({ queryKey: key });
    }
    // The sums of all above it changed, too.
    return client.invalidateQueries({ queryKey: ["task-time"] });
  };
}

function LogTime({ task }: { task: Task }) {
  const [typed, setTyped] = useState({ spent: "", date: dayOf(new Date()), note: "" });
  const ids = { spent: useId(), date: useId(), note: useId(), wrong: useId() };
  const touch = useTouch(task.id);
  const spent = readMinutes(typed.spent);
  const wrong = typed.spent !== "" && (spent === undefined || spent < 1 || spent > A_DAY);
  const log = useMutation({
    mutationFn: (body: { minutes: number; date: string; note: string | null }) =>
      take(api.POST("/tasks/{task_id}/time", { params: { path: { task_id: task.id } }, body })),
    onSuccess: async (entry) => {
      setTyped((now) => ({ ...now, spent: "", note: "" }));
      toast(`${minutes(entry.minutes ?? 0)} logged.`);
      await touch();
    },
    onError: (error) => toastError("The time was not logged. It still stands in its fields.", error),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (spent && !wrong) log.mutate({ minutes: spent, date: typed.date, note: typed.note.trim() || null });
  };
  return (
    <form className="log-time" onSubmit={submit} aria-label="Log time">
      <div className="field">
        <label htmlFor={ids.spent}>How long</label>
        <input
          id={ids.spent}
          className="input small"
          placeholder="1h 30m"
          aria-invalid={wrong}
          aria-describedby={wrong ? ids.wrong : undefined}
          value={typed.spent}
          onChange={(event) => setTyped({ ...typed, spent: event.target.value })}
        />
      </div>
      <div className="field">
        <label htmlFor={ids.date}>On</label>
        <input
          id={ids.date}
          className="input small"
          type="date"
          required
          value={typed.date}
          onChange={(event) => setTyped({ ...typed, date: event.target.value })}
        />
      </div>
      <div className="field log-note">
        <label htmlFor={ids.note}>What was done</label>
        <input
          id={ids.note}
          className="input small"
          maxLength={1_000}
          value={typed.note}
          onChange={(event) => setTyped({ ...typed, note: event.target.value })}
        />
      </div>
      <button type="submit" className="button small" disabled={!spent || wrong || log.isPending}>
        <Plus aria-hidden /> Log it
      </button>
      {wrong && (
        <p id={ids.wrong} className="wrong" role="alert">
          Write it like 45, 1:30 or 1h 30m; a day at most.
        </p>
      )}
    </form>
  );
}

function Entry({ entry }: { entry: TimeEntry }) {
  const { user } = useSession();
  const may = useMay();
  const touch = useTouch(entry.task_id);
  const [asking, setAsking] = useState(false);
  const locked = !(may("tasks:write") && (entry.person === `user:${user.id}` || may("time:manage")));
  const path = { time_entry_id: entry.id };
  const correct = useMutation({
    mutationFn: (body: { minutes?: number; date?: string; note?: string | null }) =>
      take(api.PATCH("/time/{time_entry_id}", { params: { path }, body })),
    onSuccess: touch,
    onError: (error) => toastError("The time stays as it was.", error),
  });
  const remove = useMutation({
    mutationFn: () => take(api.DELETE("/time/{time_entry_id}", { params: { path } })),
    onSuccess: async () => {
      setAsking(false);
      toast("The time was deleted.");
      await touch();
    },
    onError: (error) => toastError("The time was not deleted.", error),
  });
  const saveMinutes = (text: string) => {
    const value = readMinutes(text);
    if (value !== undefined && value >= 0 && value <= A_DAY) correct.mutate({ minutes: value });
    else toast("The time stays as it was.", { tone: "bad", more: "Write it like 45, 1:30 or 1h 30m; a day at most." });
  };
  const spent = (correct.isPending && correct.variables.minutes) || (entry.minutes ?? 0);
  const date = (correct.isPending && correct.variables.date) || entry.date;
  const note = correct.isPending && "note" in correct.variables ? correct.variables.note : entry.note;
  return (
    <li>
      <span className="time-date">
        <InlineText
          label="Day"
          type="date"
          value={date}
          shown={day(`${date}T12:00:00`)}
          disabled={locked}
          onSave={(text) => text && correct.mutate({ date: text })}
        />
      </span>
      <span className="grow">
        <ActorName actor={actorOf(entry.person)} />
        <InlineText
          label="What was done"
          value={note ?? ""}
          empty={locked ? "" : "Say what was done"}
          disabled={locked}
          onSave={(text) => correct.mutate({ note: text || null })}
        />
      </span>
      <span className="num">
        <InlineText
          label="Minutes"
          value={String(spent)}
          shown={minutes(spent)}
          disabled={locked}
          onSave={saveMinutes}
        />
      </span>
      {!locked && (
        <button
          type="button"
          className="button small quiet icon"
          aria-label="Delete this time"
          title="Delete"
          onClick={() => setAsking(true)}
        >
          <Trash2 aria-hidden />
        </button>
      )}
      {asking && (
        <Confirm
          title="Delete the logged time?"
          text={`${minutes(entry.minutes ?? 0)} on ${day(`${entry.date}T12:00:00`)} go for good, and the task took so much less.`}
          action="Delete it"
          danger
          busy={remove.isPending}
          onConfirm={() => remove.mutate()}
          onClose={() => setAsking(false)}
        />
      )}
    </li>
  );
}
