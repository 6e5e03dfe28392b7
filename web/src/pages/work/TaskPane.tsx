// One task, whole: its own address beside the list that it stands in.
import { Link, useNavigate } from "@tanstack/react-router";
import { Archive, ArchiveRestore, FolderInput, ScrollText, Trash2 } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useMay } from "@/api/session";
import { useTimer, useTimerActions } from "@/api/timer";
import type { Task } from "@/api/types";
import { useHotkeys } from "@/app/hotkeys";
import { JsonView } from "@/ui/JsonView";
import { Pane } from "@/ui/Pane";
import { ProblemNotice } from "@/ui/Problem";
import { CopyId } from "@/ui/parts";
import { Tabs } from "@/ui/Tabs";
import { Time } from "@/ui/Time";
import { ActivityOf } from "./ActivityOf";
import { useTaskActions } from "./actions";
import { Comments } from "./Comments";
import type { Edit } from "./cells";
import { DependenciesOf } from "./Dependencies";
import { Description, LongText } from "./LongText";
import { MoveDialog } from "./MoveDialog";
import { useTask } from "./queries";
import { listRoute, type PaneTab, paneRoute } from "./route";
import { Subtasks } from "./Subtasks";
import { Facts } from "./TaskFacts";
import { TimeOf, TimerButton } from "./TimeOf";

export function TaskPane() {
  const { projectId, taskId } = paneRoute.useParams();
  const search = listRoute.useSearch();
  const navigate = useNavigate();
  const query = useTask(taskId);
  const may = useMay();
  const close = () => void navigate({ to: "/work/$projectId", params: { projectId }, search });
  const task = query.data;
  return (
    <Pane
      label="Task"
      title={<h2>Task</h2>}
      onClose={close}
      actions={
        task && (
          <>
            <Link
              to="/events"
              search={{ subject: `task:${task.id}` }}
              className="button small quiet icon"
              title="Its events"
              aria-label="Its events"
            >
              <ScrollText aria-hidden />
            </Link>
            {may("tasks:write") && <Deeds task={task} onGone={close} />}
          </>
        )
      }
    >
      {query.error && (
        <ProblemNotice error={query.error} what="The task could not be loaded" onRetry={() => void query.refetch()} />
      )}
      {query.isPending && <span className="skeleton" role="status" aria-label="Loading" />}
      {task && <Shown key={task.id} task={task} projectId={projectId} />}
    </Pane>
  );
}

function Deeds({ task, onGone }: { task: Task; onGone: () => void }) {
  const actions = useTaskActions();
  const timer = useTimer().data?.timer;
  const { start, stop } = useTimerActions();
  const [moving, setMoving] = useState(false);
  const away = task.archived_at === null;
  const group = "Task";
  useHotkeys([
    {
      keys: "t",
      does: "Start or stop the timer",
      group,
      run: () => void (timer?.task_id === task.id ? stop() : start(task)),
    },
    { keys: "m", does: "Move to another project or task", group, run: () => setMoving(true) },
    { keys: "shift+a", does: "Into the archive, or back", group, run: () => void actions.archive(task, away) },
  ]);
  const label = away ? "Put it into the archive" : "Bring it back from the archive";
  return (
    <>
      <TimerButton task={task} />
      <button
        type="button"
        className="button small quiet icon"
        aria-label="Move the task"
        title="Move"
        onClick={() => setMoving(true)}
      >
        <FolderInput aria-hidden />
      </button>
      <button
        type="button"
        className="button small quiet icon"
        aria-label={label}
        title={label}
        onClick={() => void actions.archive(task, away)}
      >
        {away ? <Archive aria-hidden /> : <ArchiveRestore aria-hidden />}
      </button>
      <button
        type="button"
        className="button small quiet icon"
        aria-label="Delete the task"
        title="Delete"
        onClick={() => void actions.remove([task]).then((removed) => removed && onGone())}
      >
        <Trash2 aria-hidden />
      </button>
      {moving && <MoveDialog task={task} onClose={() => setMoving(false)} />}
    </>
  );
}

function Shown({ task, projectId }: { task: Task; projectId: string }) {
  const actions = useTaskActions();
  const locked = !useMay()("tasks:write");
  const edit: Edit = (each, fields, label) => void actions.edit([each], fields, label);
  return (
    <div className="stack wide">
      {task.archived_at && (
        <div className="notice">
          <Archive aria-hidden />
          <div className="grow">In the archive: lists leave it out, nothing is lost.</div>
          {!locked && (
            <button type="button" className="button small" onClick={() => void actions.archive(task, false)}>
              Bring it back
            </button>
          )}
        </div>
      )}
      <LongText
        label="Title"
        value={task.title}
        rows={1}
        disabled={locked}
        heading
        most={500}
        onSave={(title) => title && edit(task, { title }, "The title was changed")}
      />
      <Facts task={task} projectId={projectId} edit={edit} locked={locked} />
      <Description
        value={task.description ?? ""}
        disabled={locked}
        onSave={(text) => edit(task, { description: text || null }, "The description was changed")}
      />
      <Subtasks task={task} projectId={projectId} locked={locked} />
      <DependenciesOf task={task} locked={locked} />
      <Beside task={task} projectId={projectId} />
      <More task={task} />
    </div>
  );
}

/** What was said, what happened, how long it took: each with its own address. */
function Beside({ task, projectId }: { task: Task; projectId: string }) {
  const { tab } = paneRoute.useSearch();
  const navigate = useNavigate();
  const search = listRoute.useSearch();
  const turn = (next: string) =>
    void navigate({
      to: "/work/$projectId/$taskId",
      params: { projectId, taskId: task.id },
      search: { ...search, tab: next === "comments" ? undefined : (next as PaneTab) },
      replace: true,
    });
  const box = useRef<HTMLDivElement>(null);
  const asked = useRef(tab !== undefined);
  useEffect(() => {
    // Who came by an address with a tab wants to see that.
    if (asked.current) box.current?.scrollIntoView({ block: "start" });
    asked.current = false;
  }, []);
  return (
    <div className="stack wide" ref={box}>
      <Tabs
        key={tab ?? "comments"}
        first={tab}
        onTurn={turn}
        tabs={[
          { id: "comments", label: "Comments", show: () => <Comments task={task} /> },
          { id: "activity", label: "Activity", show: () => <ActivityOf taskId={task.id} /> },
          { id: "time", label: "Time", show: () => <TimeOf task={task} /> },
        ]}
      />
    </div>
  );
}

function More({ task }: { task: Task }) {
  const bags = { metadata: task.metadata, integration_ids: task.integration_ids };
  return (
    <>
      {Object.entries(bags)
        .filter(([, bag]) => bag && Object.keys(bag as object).length > 0)
        .map(([name, bag]) => (
          <section key={name}>
            <h3>{name.replaceAll("_", " ")}</h3>
            <JsonView value={bag} label={name} />
          </section>
        ))}
      <dl className="facts">
        <dt>Made</dt>
        <dd>
          <Time at={task.created_at} />
        </dd>
        <dt>Changed</dt>
        <dd>
          <Time at={task.updated_at} />, revision {task.revision}
        </dd>
        <dt>Id</dt>
        <dd>
          <CopyId id={task.id} />
        </dd>
      </dl>
    </>
  );
}
