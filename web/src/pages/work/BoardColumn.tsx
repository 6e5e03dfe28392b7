import { useVirtualizer } from "@tanstack/react-virtual";
import { type DragEvent, memo, type RefObject, useEffect, useMemo, useRef, useState } from "react";
import type { Task, TaskStatus } from "@/api/types";
import { slotAt } from "@/lib/board";
import { isOver, tagsOf } from "@/lib/task-filter";
import { day, exact } from "@/lib/time";
import type { TaskMap } from "@/lib/tree";
import { Status, StatusIcon, wordOf } from "@/ui/Status";
import { Marks } from "./TitleCell";

/** A card and the gap below it. */
const CARD_PX = 104;
const OVERSCAN = 4;
const AHEAD = 20;

interface ColumnProps {
  status: TaskStatus;
  tasks: readonly Task[];
  more?: { has: boolean; busy: boolean; load: () => void };
  all: TaskMap;
  chosen: ReadonlySet<string>;
  locked: boolean;
  /** The card that the keys act on. */
  here: string | undefined;
  /** The card that the pane shows. */
  shown: string | undefined;
  wanted: RefObject<string | undefined>;
  dragged: RefObject<readonly Task[]>;
  onOpen: (task: Task) => void;
  onChoose: (id: string) => void;
  onDrag: (task: Task) => void;
  onDrop: (at: number) => void;
}

type Acts = Pick<ColumnProps, "onOpen" | "onChoose" | "onDrag">;

export function BoardColumn(props: ColumnProps) {
  const { status, tasks, more, wanted, dragged } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const [slot, setSlot] = useState<number>();
  const virtual = useVirtualizer({
    count: tasks.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => CARD_PX,
    getItemKey: (index) => tasks[index]?.id ?? index,
    overscan: OVERSCAN,
  });
  const cards = virtual.getVirtualItems();
  const last = cards.at(-1)?.index ?? 0;
  useEffect(() => {
    if (more?.has && !more.busy && last >= tasks.length - AHEAD) more.load();
  }, [more, last, tasks.length]);
  // After every drawing: the wanted card may have to be scrolled to before there is something to focus.
  // One that had it and was taken out and put back by news, as when it changes its column, has it again.
  const held = useRef<string>(undefined);
  useEffect(() => {
    const active = document.activeElement;
    const lost = !active || active === document.body;
    if (!lost && active.id !== `card-${held.current}`) held.current = undefined;
    const id = wanted.current ?? (lost ? held.current : undefined);
    const index = id ? tasks.findIndex((task) => task.id === id) : -1;
    if (index < 0) return;
    const card = document.getElementById(`card-${id}`);
    if (!card || !scroller.current?.contains(card)) {
      virtual.scrollToIndex(index);
      return;
    }
    card.focus();
    held.current = id;
    wanted.current = undefined;
  });
  const latest = useRef(props);
  useEffect(() => {
    latest.current = props;
  });
  // What a card does stays the same however often its column is drawn, so that cards are not drawn again for it.
  const acts = useMemo<Acts>(
    () => ({
      onOpen: (task) => latest.current.onOpen(task),
      onChoose: (id) => latest.current.onChoose(id),
      onDrag: (task) => latest.current.onDrag(task),
    }),
    [],
  );
  const slotOf = (event: DragEvent) => {
    const box = scroller.current;
    if (!box) return 0;
    return slotAt(event.clientY - box.getBoundingClientRect().top + box.scrollTop, CARD_PX, tasks.length);
  };
  const count = more?.has ? `${tasks.length}+` : tasks.length.toLocaleString();
  return (
    <section
      className={`board-column${slot === undefined ? "" : " over"}`}
      aria-label={`${wordOf(status)}, ${count}`}
      onDragOver={(event) => {
        if (dragged.current.length === 0) return;
        event.preventDefault();
        event.dataTransfer.dropEffect = "move";
        const next = slotOf(event);
        if (next !== slot) setSlot(next);
      }}
      onDragLeave={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setSlot(undefined);
      }}
      onDrop={(event) => {
        event.preventDefault();
        setSlot(undefined);
        if (dragged.current.length > 0) props.onDrop(slotOf(event));
      }}
    >
      <header>
        <h2>
          <Status status={status} />
        </h2>
        <span className="faint">{count}</span>
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keys have to reach it. */}
      <div ref={scroller} className="board-cards" tabIndex={0} role="group" aria-label={wordOf(status)}>
        <ul style={{ height: virtual.getTotalSize() }}>
          {cards.map((card) => {
            const task = tasks[card.index];
            if (!task) return null;
            return (
              <li key={card.key} style={{ height: CARD_PX, transform: `translateY(${card.start}px)` }}>
                <Card
                  task={task}
                  parent={task.parent_id ? props.all.get(task.parent_id)?.title : undefined}
                  chosen={props.chosen.has(task.id)}
                  locked={props.locked}
                  here={props.here === task.id}
                  shown={props.shown === task.id}
                  acts={acts}
                />
              </li>
            );
          })}
        </ul>
        {slot !== undefined && <div className="board-slot" style={{ top: slot * CARD_PX }} />}
      </div>
    </section>
  );
}

interface CardProps {
  task: Task;
  parent: string | undefined;
  chosen: boolean;
  locked: boolean;
  here: boolean;
  shown: boolean;
  acts: Acts;
}

const Card = memo(function Card({ task, parent, chosen, locked, here, shown, acts }: CardProps) {
  const due = task.due_date;
  const late = due !== null && new Date(due) < new Date() && !isOver(task);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dragging and clicking are short cuts; the button and keys do the same.
    // biome-ignore lint/a11y/useKeyWithClickEvents: Enter opens the card that has the focus.
    <div
      className={`board-card${chosen ? " chosen" : ""}${shown ? " shown" : ""}`}
      draggable={!locked}
      onDragStart={(event) => {
        event.dataTransfer.effectAllowed = "move";
        event.dataTransfer.setData("text/plain", task.title);
        acts.onDrag(task);
      }}
      onClick={(event) => {
        const own = event.target instanceof HTMLElement && event.target.closest("input, button");
        if (own) return;
        if (!locked && (event.shiftKey || event.metaKey || event.ctrlKey)) acts.onChoose(task.id);
        else acts.onOpen(task);
      }}
    >
      <div className="board-title">
        <button
          type="button"
          id={`card-${task.id}`}
          tabIndex={here ? 0 : -1}
          className={isOver(task) ? "is-over" : ""}
          onClick={() => acts.onOpen(task)}
        >
          {task.title}
        </button>
        {!locked && (
          <input
            type="checkbox"
            aria-label={`Choose ${task.title}`}
            tabIndex={-1}
            checked={chosen}
            onChange={() => acts.onChoose(task.id)}
          />
        )}
      </div>
      {parent && <div className="faint clip board-parent">in {parent}</div>}
      <div className="board-facts">
        <span className="status" title={`${wordOf(task.priority)} priority`}>
          <StatusIcon status={task.priority} />
          <span className="hidden-text">{wordOf(task.priority)} priority</span>
        </span>
        <Marks task={task} />
        {due && (
          <span className={late ? "tone-bad" : "faint"} title={`due ${exact(due)}`}>
            {day(due)}
            {late && ", late"}
          </span>
        )}
        {task.assignee && <span className="clip">{task.assignee}</span>}
        {tagsOf(task)
          .slice(0, 2)
          .map((tag) => (
            <span key={tag} className="chip clip">
              {tag}
            </span>
          ))}
      </div>
    </div>
  );
});
