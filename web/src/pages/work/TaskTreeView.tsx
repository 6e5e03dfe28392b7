import { ListTree } from "lucide-react";
import { useMemo, useState } from "react";
import { useMay } from "@/api/session";
import type { Task } from "@/api/types";
import type { Hotkey } from "@/app/hotkeys";
import { fitter } from "@/lib/task-filter";
import { flatten, indentTarget, inSight, outdentTarget, stepTarget, type TaskMap, type TreeRow } from "@/lib/tree";
import { ProblemPage } from "@/ui/Problem";
import { Empty } from "@/ui/parts";
import { type Column, VirtualList } from "@/ui/VirtualList";
import { useTaskActions } from "./actions";
import { type Edit, Fold } from "./cells";
import { fieldColumns } from "./columns";
import { useTaskTree } from "./queries";
import type { TaskListProps } from "./TasksPage";
import { TitleCell } from "./TitleCell";
import { useRowDrop } from "./useRowDrop";

const NO_TASKS: ReadonlyMap<string, Task> = new Map();
const INDENT_PX = 20;

export function TaskTreeView({ project, filter, chosen, setChosen, current, onOpen }: TaskListProps) {
  const archive = filter.archived !== undefined;
  const query = useTaskTree(project, archive, true);
  const may = useMay();
  const actions = useTaskActions();
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const [editing, setEditing] = useState<string>();
  const loaded = query.data?.tasks ?? NO_TASKS;
  const tasks = useMemo(() => inSight(loaded, project, archive), [loaded, project, archive]);
  const rows = useMemo(() => flatten(tasks, closed, fitter(filter)), [tasks, closed, filter]);
  const locked = !may("tasks:write");
  const edit: Edit = (task, fields, label) => void actions.edit([task], fields, label);
  const fold = (id: string, open: boolean) => {
    const next = new Set(closed);
    if (open) next.delete(id);
    else next.add(id);
    setClosed(next);
  };
  const rowProps = useRowDrop({ rows, tasks, chosen, editing, actions });
  const columns: Column<TreeRow>[] = [
    {
      id: "title",
      title:
        query.data?.complete === false
          ? `Task, ${tasks.size.toLocaleString()} so far`
          : `Task, ${tasks.size.toLocaleString()}`,
      width: "minmax(0, 1fr)",
      phone: true,
      cell: (row) => (
        <TitleCell
          task={row.task}
          edit={edit}
          disabled={locked}
          faint={row.context}
          editing={editing === row.task.id}
          onEditing={(on) => setEditing(on ? row.task.id : undefined)}
          lead={
            <span style={{ paddingLeft: row.level * INDENT_PX }} className="bar">
              <Fold open={row.open} onFold={() => fold(row.task.id, !row.open)}>
                {row.children}
              </Fold>
            </span>
          }
        />
      ),
    },
    ...fieldColumns<TreeRow>((row) => row.task, edit, locked),
  ];
  const keysOf = (row: TreeRow | undefined): Hotkey[] => [
    { keys: "right", does: "Open the branch", group: "Tasks", run: () => row && fold(row.task.id, true) },
    { keys: "left", does: "Close the branch", group: "Tasks", run: () => row && fold(row.task.id, false) },
    ...(locked ? [] : editKeys(row, rows, tasks, actions, setEditing)),
  ];
  if (query.error && !query.data) {
    return (
      <ProblemPage error={query.error} what="The tasks could not be loaded" onRetry={() => void query.refetch()} />
    );
  }
  return (
    <VirtualList
      name={`tree-${project}`}
      label="Tasks"
      items={rows}
      idOf={(row) => row.task.id}
      columns={columns}
      loading={query.isPending}
      selection={locked ? undefined : { chosen, set: setChosen }}
      current={current}
      onOpen={(row) => onOpen(row.task)}
      rowKeys={keysOf}
      rowProps={locked ? undefined : rowProps}
      tree={{ level: (row) => row.level, open: (row) => (row.children ? row.open : undefined) }}
      empty={
        <Empty icon={<ListTree aria-hidden />} title={tasks.size ? "No task fits these filters" : "No task yet"}>
          {tasks.size ? "Take a filter away to see more." : "Write the first one above and press Enter."}
        </Empty>
      }
    />
  );
}

function editKeys(
  row: TreeRow | undefined,
  rows: readonly TreeRow[],
  tasks: TaskMap,
  actions: ReturnType<typeof useTaskActions>,
  setEditing: (id: string | undefined) => void,
): Hotkey[] {
  const task = row?.task;
  const indent = () => {
    const target = task && indentTarget(rows, task.id);
    if (task && target) void actions.move([task], { parent: target });
  };
  const outdent = () => {
    const target = task && outdentTarget(tasks, task);
    if (task && target) void actions.move([task], target);
  };
  const step = (by: 1 | -1) => {
    const target = task && stepTarget(rows, task, by);
    if (task && target) void actions.move([task], target);
  };
  const group = "Tasks";
  return [
    { keys: "e", does: "Edit the title", group, run: () => setEditing(task?.id) },
    { keys: "d", does: "Done, or to do again", group, run: () => task && toggleDone(task, actions) },
    { keys: "alt+up", does: "Move up", group, run: () => step(-1) },
    { keys: "alt+down", does: "Move down", group, run: () => step(1) },
    { keys: "alt+right", does: "Put below the task above", group, run: indent },
    { keys: "alt+left", does: "Put one level up", group, run: outdent },
    { keys: "]", does: "Put below the task above", group, run: indent },
    { keys: "[", does: "Put one level up", group, run: outdent },
    { keys: "backspace", does: "Delete", group, run: () => task && void actions.remove([task]) },
  ];
}

export function toggleDone(task: Task, actions: ReturnType<typeof useTaskActions>) {
  const status = task.status === "done" ? "todo" : "done";
  void actions.edit(
    [task],
    { status },
    status === "done" ? `“${task.title}” is done` : `“${task.title}” is to do again`,
  );
}
