import type { Task } from "@/api/types";
import { minutes } from "@/lib/time";
import type { Column } from "@/ui/VirtualList";
import { AssigneeCell, DueCell, type Edit, PriorityCell, StatusCell } from "./cells";

/** The columns after the title; the same in tree and table. */
export function fieldColumns<T>(taskOf: (row: T) => Task, edit: Edit, disabled: boolean): Column<T>[] {
  return [
    {
      id: "status",
      title: "Status",
      width: "116px",
      cell: (row) => <StatusCell task={taskOf(row)} edit={edit} disabled={disabled} />,
    },
    {
      id: "priority",
      from: 560,
      title: "Priority",
      width: "92px",
      sort: "priority",
      cell: (row) => <PriorityCell task={taskOf(row)} edit={edit} disabled={disabled} />,
    },
    {
      id: "assignee",
      from: 740,
      title: "Who",
      width: "104px",
      cell: (row) => <AssigneeCell task={taskOf(row)} edit={edit} disabled={disabled} />,
    },
    {
      id: "due",
      from: 640,
      title: "Due",
      width: "100px",
      sort: "due_date",
      cell: (row) => <DueCell task={taskOf(row)} edit={edit} disabled={disabled} />,
    },
    {
      id: "estimate",
      from: 840,
      title: "Estimate",
      width: "72px",
      num: true,
      cell: (row) => {
        const estimate = taskOf(row).estimated_minutes;
        return estimate === null ? <span className="faint">–</span> : minutes(estimate);
      },
    },
  ];
}
