// My work today: what is overdue, due and scheduled, and what I am at.
import { Link, useNavigate } from "@tanstack/react-router";
import { CalendarCheck, CalendarClock, CircleDot, Flame, type LucideIcon, Sun } from "lucide-react";
import { useState } from "react";
import { useMay } from "@/api/session";
import { useTimer } from "@/api/timer";
import type { Task } from "@/api/types";
import { useHotkeys } from "@/app/hotkeys";
import { useTrail } from "@/app/title";
import { countOf } from "@/lib/my-day";
import { day, exact } from "@/lib/time";
import { ProblemNotice } from "@/ui/Problem";
import { Empty, SkeletonRows } from "@/ui/parts";
import { useTaskActions } from "./actions";
import { type Edit, PriorityCell, StatusCell } from "./cells";
import { useMyDay, useOwnNames } from "./mine";
import { useAllProjects, useTask } from "./queries";
import { mineRoute } from "./route";
import { toggleDone } from "./TaskTreeView";
import { TimerButton } from "./TimeOf";
import { Marks } from "./TitleCell";
import "./work.css";

export function MinePage() {
  const { who } = mineRoute.useSearch();
  const navigate = useNavigate();
  const lists = useMyDay(who === "all");
  const timer = useTimer().data?.timer;
  const names = useOwnNames();
  useTrail([{ label: "Work", to: "/work" }, { label: "My work today" }]);
  const turn = (next: "all" | undefined) => void navigate({ to: "/work/mine", search: { who: next }, replace: true });
  useDayKeys([...lists.overdue, ...lists.today, ...lists.scheduled, ...lists.busy]);
  const nothing = !lists.pending && !lists.error && countOf(lists) === 0;
  return (
    <div className="page-body padded mine">
      <div className="page-head">
        <h1>{who === "all" ? "Everybody's work today" : "My work today"}</h1>
        <div className="bar" role="group" aria-label="Whose work">
          <button type="button" className="button small" aria-pressed={!who} onClick={() => turn(undefined)}>
            Mine
          </button>
          <button type="button" className="button small" aria-pressed={who === "all"} onClick={() => turn("all")}>
            Everybody's
          </button>
        </div>
      </div>
      {lists.error !== null && (
        <ProblemNotice error={lists.error} what="Some of the day could not be loaded" onRetry={lists.retry} />
      )}
      {timer && <AtIt taskId={timer.task_id} />}
      {lists.pending && countOf(lists) === 0 && <SkeletonRows rows={4} />}
      {nothing && (
        <Empty
          icon={<Sun aria-hidden />}
          title="Nothing presses today"
          action={
            <Link to="/work" className="button">
              See the projects
            </Link>
          }
        >
          {who === "all"
            ? "No open task is overdue, due or scheduled today, or begun."
            : `Tasks are yours when “Who” is ${names.map((name) => `“${name}”`).join(" or ")}. Give some a date to see them here.`}
        </Empty>
      )}
      <Section title="Overdue" icon={Flame} tone="tone-bad" tasks={lists.overdue} date="due_date" />
      <Section title="Due today" icon={CalendarCheck} tone="tone-wait" tasks={lists.today} date="due_date" />
      <Section
        title="Scheduled today"
        icon={CalendarClock}
        tone="tone-busy"
        tasks={lists.scheduled}
        date="scheduled_date"
      />
      <Section title="Begun" icon={CircleDot} tone="tone-busy" tasks={lists.busy} date="due_date" />
    </div>
  );
}

/** The task that the timer runs on, wherever it belongs. */
function AtIt({ taskId }: { taskId: string }) {
  const task = useTask(taskId);
  if (!task.data) return null;
  return (
    <section className="card day-card" aria-label="At it now">
      <header>
        <h2>At it now</h2>
        <TimerButton task={task.data} wide />
      </header>
      <ul>
        <Line task={task.data} date="due_date" />
      </ul>
    </section>
  );
}

interface SectionProps {
  title: string;
  icon: LucideIcon;
  tone: string;
  tasks: readonly Task[];
  date: "due_date" | "scheduled_date";
}

function Section({ title, icon: Icon, tone, tasks, date }: SectionProps) {
  if (tasks.length === 0) return null;
  return (
    <section className="card day-card" aria-label={title}>
      <header>
        <h2 className="bar">
          <Icon size={16} className={tone} aria-hidden /> {title}
        </h2>
        <span className="muted">{tasks.length}</span>
      </header>
      <ul>
        {tasks.map((task) => (
          <Line key={task.id} task={task} date={date} />
        ))}
      </ul>
    </section>
  );
}

function Line({ task, date }: { task: Task; date: SectionProps["date"] }) {
  const actions = useTaskActions();
  const projects = useAllProjects();
  const locked = !useMay()("tasks:write");
  const edit: Edit = (each, fields, label) => void actions.edit([each], fields, label);
  const at = task[date];
  const project = projects.data?.items.find((each) => each.id === task.project_id)?.name;
  return (
    <li className="day-line">
      <StatusCell task={task} edit={edit} iconOnly disabled={locked} />
      <Link
        id={`day-${task.id}`}
        to="/work/$projectId/$taskId"
        params={{ projectId: task.project_id, taskId: task.id }}
        className="grow day-title"
      >
        <span className="clip">{task.title}</span>
        <span className="faint clip">{project}</span>
      </Link>
      <Marks task={task} />
      <span className="day-priority">
        <PriorityCell task={task} edit={edit} disabled={locked} />
      </span>
      {at && (
        <span className="muted num" title={exact(at)}>
          {day(at)}
        </span>
      )}
      {!locked && <TimerButton task={task} />}
    </li>
  );
}

/** j and k walk the links of all lists; d finishes the one that has the focus. */
function useDayKeys(tasks: readonly Task[]) {
  const actions = useTaskActions();
  const may = useMay();
  const [current, setCurrent] = useState<string>();
  const at = tasks.findIndex((task) => task.id === current);
  const go = (index: number) => {
    const task = tasks[Math.max(0, Math.min(tasks.length - 1, index))];
    if (!task) return;
    setCurrent(task.id);
    document.getElementById(`day-${task.id}`)?.focus();
  };
  const here = tasks[at];
  const group = "Tasks";
  useHotkeys([
    { keys: "j", does: "Next task", group, run: () => go(at + 1) },
    { keys: "k", does: "Task before", group, run: () => go(at < 0 ? 0 : at - 1) },
    ...(may("tasks:write") ? [{ keys: "d", does: "Done", group, run: () => here && toggleDone(here, actions) }] : []),
  ]);
}
