// Tasks as cards in columns by their status: dragged, or walked and moved with the arrow keys.
import { SquareKanban } from "lucide-react";
import { useRef, useState } from "react";
import { useMay } from "@/api/session";
import type { Task, TaskStatus } from "@/api/types";
import { useHotkeys } from "@/app/hotkeys";
import { gapAt } from "@/lib/board";
import { isFiltered } from "@/lib/task-filter";
import { ProblemPage } from "@/ui/Problem";
import { Empty, SkeletonRows } from "@/ui/parts";
import { useTaskActions } from "./actions";
import { BoardColumn } from "./BoardColumn";
import type { TaskListProps } from "./TasksPage";
import { toggleDone } from "./TaskTreeView";
import { useColumns } from "./useColumns";
import "./board.css";

export function BoardView({ project, filter, chosen, setChosen, current, onOpen }: TaskListProps) {
  const { columns, tasks, loading, error, retry } = useColumns(project, filter);
  const locked = !useMay()("tasks:write");
  const actions = useTaskActions();
  const [own, setOwn] = useState<string>();
  /** The card that is to have the focus as soon as it is drawn. */
  const wanted = useRef<string>(undefined);
  const dragged = useRef<readonly Task[]>([]);
  const here = own ?? current;
  const across = columns.findIndex((column) => column.tasks.some((task) => task.id === here));
  const down = columns[across]?.tasks.findIndex((task) => task.id === here) ?? -1;
  const task = columns[across]?.tasks[down];

  const go = (to: Task | undefined) => {
    if (!to) return;
    wanted.current = to.id;
    setOwn(to.id);
  };
  const walk = (by: number) => {
    const list = columns[across]?.tasks ?? columns.find((column) => column.tasks.length > 0)?.tasks ?? [];
    go(list[Math.max(0, Math.min(list.length - 1, down + by))]);
  };
  const cross = (by: 1 | -1) => {
    for (let at = across + by; at >= 0 && at < columns.length; at += by) {
      const list = columns[at]?.tasks ?? [];
      if (list.length > 0) return go(list[Math.min(down, list.length - 1)]);
    }
  };
  const place = (moved: readonly Task[], status: TaskStatus, at: number) => {
    const list = columns.find((column) => column.status === status)?.tasks ?? [];
    void actions.place(moved, status, gapAt(list, moved, at));
  };
  const shift = (by: 1 | -1) => {
    const status = columns[across]?.status;
    const list = columns[across]?.tasks ?? [];
    if (!task || !status || down + by < 0 || down + by >= list.length) return;
    wanted.current = task.id;
    place([task], status, by > 0 ? down + 2 : down - 1);
  };
  const carry = (by: 1 | -1) => {
    const status = columns[across + by]?.status;
    if (!task || !status) return;
    wanted.current = task.id;
    setOwn(task.id);
    place([task], status, 0);
  };
  const choose = (id: string) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const group = "Board";
  useHotkeys([
    { keys: "j", does: "Next card", group, run: () => walk(1) },
    { keys: "k", does: "Card before", group, run: () => walk(-1) },
    { keys: "down", does: "Next card", group, run: () => walk(1) },
    { keys: "up", does: "Card before", group, run: () => walk(-1) },
    { keys: "right", does: "To the next column", group, run: () => cross(1) },
    { keys: "left", does: "To the column before", group, run: () => cross(-1) },
    { keys: "enter", does: "Open", group, run: (event) => openHere(event, () => task && onOpen(task)) },
    ...(locked
      ? []
      : [
          { keys: "alt+right", does: "Into the next column", group, run: () => carry(1) },
          { keys: "alt+left", does: "Into the column before", group, run: () => carry(-1) },
          { keys: "alt+down", does: "Move down", group, run: () => shift(1) },
          { keys: "alt+up", does: "Move up", group, run: () => shift(-1) },
          { keys: "x", does: "Choose the card", group, run: () => task && choose(task.id) },
          { keys: "d", does: "Done, or to do again", group, run: () => task && toggleDone(task, actions) },
          { keys: "backspace", does: "Delete", group, run: () => task && void actions.remove([task]) },
        ]),
  ]);

  if (error) return <ProblemPage error={error} what="The tasks could not be loaded" onRetry={retry} />;
  if (loading) return <SkeletonRows />;
  if (columns.every((column) => column.tasks.length === 0)) {
    return (
      <Empty
        icon={<SquareKanban aria-hidden />}
        title={isFiltered(filter) ? "No task fits these filters" : "No task yet"}
      >
        {isFiltered(filter)
          ? "Take a filter away to see more."
          : "Each task becomes a card, in the column of its status."}
      </Empty>
    );
  }
  const first = columns.find((column) => column.tasks.length > 0)?.tasks[0];
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways, so the keys have to reach it.
    <section className="board" aria-label="Board" tabIndex={0}>
      {columns.map((column) => (
        <BoardColumn
          key={column.status}
          {...column}
          all={tasks}
          chosen={chosen}
          locked={locked}
          here={task?.id ?? first?.id}
          shown={current}
          wanted={wanted}
          dragged={dragged}
          onOpen={(each) => {
            setOwn(each.id);
            onOpen(each);
          }}
          onChoose={choose}
          onDrag={(each) => {
            const along = chosen.has(each.id)
              ? columns.flatMap((one) => one.tasks.filter((t) => chosen.has(t.id)))
              : [];
            dragged.current = along.length > 0 ? along : [each];
          }}
          onDrop={(at) => {
            place(dragged.current, column.status, at);
            dragged.current = [];
          }}
        />
      ))}
    </section>
  );
}

function openHere(event: KeyboardEvent, open: () => void) {
  const target = event.target;
  const own = target instanceof HTMLElement && target.closest("a, button");
  if (own instanceof HTMLElement && !own.closest(".board-card")) own.click();
  else open();
}
