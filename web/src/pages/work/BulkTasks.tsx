import { useQueryClient } from "@tanstack/react-query";
import { Archive, ArchiveRestore, SlidersHorizontal, Trash2 } from "lucide-react";
import { useMemo, useState } from "react";
import { cachedTasks } from "@/api/tasks-cache";
import type { Task } from "@/api/types";
import { useHotkeys } from "@/app/hotkeys";
import { PRIORITIES, TASK_STATUSES } from "@/lib/task-filter";
import { FilterSelect } from "@/ui/parts";
import { wordOf } from "@/ui/Status";
import { MOST_PATCHES, type TaskFields, useTaskActions } from "./actions";
import { type BulkDeed, BulkDialog } from "./BulkDialog";

/** The same change for all that are chosen, as one set: undone in one go, too. */
export function BulkTasks({ chosen, onDone }: { chosen: ReadonlySet<string>; onDone: () => void }) {
  const client = useQueryClient();
  const actions = useTaskActions();
  const [doing, setDoing] = useState<{ deed: BulkDeed; tasks: readonly Task[] }>();
  const tasks = () => cachedTasks(client, chosen);
  const set = async (fields: TaskFields, word: string) => {
    const list = tasks();
    if (await actions.edit(list, fields, `${list.length} tasks: ${word}`)) onDone();
  };
  const open = (deed: BulkDeed) => setDoing({ deed, tasks: tasks() });
  const away = useMemo(() => {
    const all = cachedTasks(client, chosen);
    return all.length > 0 && all.every((task) => task.archived_at !== null);
  }, [client, chosen]);
  const tooMany = chosen.size > MOST_PATCHES;
  const group = "Chosen tasks";
  // Too many for one change: the keys do nothing rather than something to a part of them.
  const act = (deed: BulkDeed) => () => {
    if (!tooMany) open(deed);
  };
  useHotkeys([
    { keys: "c", does: "Change them", group, run: act("change") },
    { keys: "shift+a", does: "Into the archive, or back", group, run: act(away ? "unarchive" : "archive") },
    { keys: "backspace", does: "Delete them", group, run: act("delete") },
    { keys: "escape", does: "Choose none", group, run: onDone },
  ]);
  return (
    <section className="bulk" aria-label="What to do with the chosen tasks">
      <span className="grow">
        {chosen.size.toLocaleString()} chosen
        {tooMany && <span className="muted"> – one change holds {MOST_PATCHES} at most</span>}
      </span>
      {!tooMany && (
        <>
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
          <button type="button" className="button small" onClick={() => open("change")}>
            <SlidersHorizontal aria-hidden /> Change…
          </button>
          <button type="button" className="button small" onClick={() => open(away ? "unarchive" : "archive")}>
            {away ? <ArchiveRestore aria-hidden /> : <Archive aria-hidden />} {away ? "Bring back…" : "Archive…"}
          </button>
          <button type="button" className="button small danger" onClick={() => open("delete")}>
            <Trash2 aria-hidden /> Delete…
          </button>
        </>
      )}
      <button type="button" className="button small quiet" onClick={onDone}>
        Choose none
      </button>
      {doing && (
        <BulkDialog
          {...doing}
          onClose={() => setDoing(undefined)}
          onDone={() => {
            setDoing(undefined);
            onDone();
          }}
        />
      )}
    </section>
  );
}
