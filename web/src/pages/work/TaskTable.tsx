import { Link } from "@tanstack/react-router";
import { ListTree } from "lucide-react";
import { useState } from "react";
import { once } from "@/api/lists";
import { useMay } from "@/api/session";
import type { Task } from "@/api/types";
import { ProblemPage } from "@/ui/Problem";
import { Empty } from "@/ui/parts";
import { type Column, VirtualList } from "@/ui/VirtualList";
import { useTaskActions } from "./actions";
import type { Edit } from "./cells";
import { fieldColumns } from "./columns";
import { listQuery, useTaskPages } from "./queries";
import type { TaskListProps } from "./TasksPage";
import { toggleDone } from "./TaskTreeView";
import { TitleCell } from "./TitleCell";

const FIRST_SORT = "-updated_at";

export function TaskTable({ project, filter, chosen, setChosen, current, onOpen, onFilter }: TaskListProps) {
  const sort = filter.sort ?? FIRST_SORT;
  const { query, items, more } = useTaskPages(listQuery(project, { ...filter, sort }));
  const may = useMay();
  const actions = useTaskActions();
  const [editing, setEditing] = useState<string>();
  const locked = !may("tasks:write");
  const edit: Edit = (task, fields, label) => void actions.edit([task], fields, label);
  const columns: Column<Task>[] = [
    {
      id: "title",
      title: "Task",
      width: "minmax(0, 1fr)",
      phone: true,
      sort: "title",
      cell: (task) => (
        <TitleCell
          task={task}
          edit={edit}
          disabled={locked}
          editing={editing === task.id}
          onEditing={(on) => setEditing(on ? task.id : undefined)}
        />
      ),
    },
    ...fieldColumns<Task>((task) => task, edit, locked),
  ];
  if (query.error && items.length === 0) {
    return (
      <ProblemPage error={query.error} what="The tasks could not be loaded" onRetry={() => void query.refetch()} />
    );
  }
  return (
    <VirtualList
      name={`table-${project}`}
      label="Tasks"
      items={once(items, (task) => task.id)}
      idOf={(task) => task.id}
      columns={columns}
      loading={query.isPending}
      more={more}
      sort={sort}
      onSort={(next) => onFilter({ sort: next })}
      selection={locked ? undefined : { chosen, set: setChosen }}
      current={current}
      onOpen={onOpen}
      rowKeys={(task) =>
        locked
          ? []
          : [
              { keys: "e", does: "Edit the title", group: "Tasks", run: () => setEditing(task?.id) },
              { keys: "d", does: "Done, or to do again", group: "Tasks", run: () => task && toggleDone(task, actions) },
              { keys: "backspace", does: "Delete", group: "Tasks", run: () => task && void actions.remove([task]) },
            ]
      }
      empty={
        <Empty
          icon={<ListTree aria-hidden />}
          title="No task here"
          action={
            <Link to="/work" className="button">
              See the projects
            </Link>
          }
        >
          Tasks are made inside of a project; agents and workflows make them too.
        </Empty>
      }
    />
  );
}
