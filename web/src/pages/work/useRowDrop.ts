// Rows of the tree, dragged: before, after or into another; all that are chosen go along with one of them.
import { type DragEvent, useRef, useState } from "react";
import type { Task } from "@/api/types";
import { type Drop, dropOf, dropTarget, type TaskMap, type TreeRow } from "@/lib/tree";
import type { RowProps } from "@/ui/VirtualList";
import type { useTaskActions } from "./actions";

interface RowDropProps {
  rows: readonly TreeRow[];
  tasks: TaskMap;
  chosen: ReadonlySet<string>;
  /** The row whose title is being edited keeps its text selectable. */
  editing: string | undefined;
  actions: ReturnType<typeof useTaskActions>;
}

export function useRowDrop({ rows, tasks, chosen, editing, actions }: RowDropProps): (row: TreeRow) => RowProps {
  const [over, setOver] = useState<{ id: string; drop: Drop }>();
  const moved = useRef<Task[]>([]);
  const end = () => {
    moved.current = [];
    setOver(undefined);
  };
  const targetOf = (event: DragEvent<HTMLElement>, row: TreeRow) => {
    const box = event.currentTarget.getBoundingClientRect();
    const drop = dropOf(event.clientY - box.top, box.height);
    const ids = new Set(moved.current.map((task) => task.id));
    return { drop, target: dropTarget(tasks, ids, row.task, drop) };
  };
  return (row) => ({
    draggable: editing !== row.task.id,
    "data-drop": over?.id === row.task.id ? over.drop : undefined,
    onDragStart: (event) => {
      const along = chosen.has(row.task.id) ? rows.filter((each) => chosen.has(each.task.id)) : [row];
      moved.current = along.map((each) => each.task);
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", moved.current.map((task) => task.title).join("\n"));
    },
    onDragOver: (event) => {
      if (moved.current.length === 0) return;
      const { drop, target } = targetOf(event, row);
      if (!target) {
        setOver(undefined);
        return;
      }
      event.preventDefault();
      event.dataTransfer.dropEffect = "move";
      if (over?.id !== row.task.id || over.drop !== drop) setOver({ id: row.task.id, drop });
    },
    onDrop: (event) => {
      event.preventDefault();
      const { target } = targetOf(event, row);
      if (target && moved.current.length > 0) void actions.move(moved.current, target);
      end();
    },
    onDragEnd: end,
  });
}
