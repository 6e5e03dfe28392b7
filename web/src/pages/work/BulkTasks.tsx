import { useQueryClient } from "@tanstack/react-query";
import { Trash2 } from "lucide-react";
import { cachedTask } from "@/api/tasks-cache";
import { PRIORITIES, TASK_STATUSES } from "@/lib/task-filter";
import { FilterSelect } from "@/ui/parts";
import { wordOf } from "@/ui/Status";
import { type TaskFields, useTaskActions } from "./actions";

/** The same change for all that are chosen, as one set: undone in one go, too. */
export function BulkTasks({ chosen, onDone }: { chosen: ReadonlySet<string>; onDone: () => void }) {
  const client = useQueryClient();
  const actions = useTaskActions();
  const tasks = () => [...chosen].map((id) => cachedTask(client, id)).filter((task) => task !== undefined);
  const set = async (fields: TaskFields, word: string) => {
    const list = tasks();
    if (await actions.edit(list, fields, `${list.length} tasks: ${word}`)) onDone();
  };
  return (
    <section className="bulk" aria-label="What to do with the chosen tasks">
      <span className="grow">{chosen.size} chosen</span>
      <FilterSelect
        label="Set the status"
        all="Set status…"
        value={undefined}
        options={TASK_STATUSES.map((value) => ({ value, label: wordOf(value) }))}
        onChange={(status) => status && void set({ status }, wordOf(status).toLowerCase())}
      />
      <FilterSelect
        label="Set the priority"
        all="Set priority…"
        value={undefined}
        options={PRIORITIES.map((value) => ({ value, label: wordOf(value) }))}
        onChange={(priority) => priority && void set({ priority }, `${wordOf(priority).toLowerCase()} priority`)}
      />
      <button
        type="button"
        className="button small danger"
        onClick={() => void actions.remove(tasks()).then((removed) => removed && onDone())}
      >
        <Trash2 aria-hidden /> Delete
      </button>
      <button type="button" className="button small quiet" onClick={onDone}>
        Choose none
      </button>
    </section>
  );
}
