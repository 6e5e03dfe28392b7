// What was deleted, by what was deleted together: brought back together, or taken away for good.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { RotateCcw, Trash2 } from "lucide-react";
import { useState } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { once } from "@/api/lists";
import { useMay } from "@/api/session";
import type { TrashGroup } from "@/api/types";
import { useTrail } from "@/app/title";
import { begun, offerUndo } from "@/app/undo";
import { Confirm } from "@/ui/Dialog";
import { ProblemPage } from "@/ui/Problem";
import { Empty } from "@/ui/parts";
import { Time } from "@/ui/Time";
import { toast, toastError } from "@/ui/toasts";
import { type Column, VirtualList } from "@/ui/VirtualList";
import { useTrash } from "./queries";
import "./work.css";

function nameOf(group: TrashGroup): string {
  const [first] = group.names;
  return first ? `“${first.name}”` : "what was deleted";
}

/** "1 project, 12 tasks". */
function sizeOf({ projects, tasks }: Pick<TrashGroup, "projects" | "tasks">): string {
  const parts = [
    projects > 0 && `${projects} project${projects === 1 ? "" : "s"}`,
    tasks > 0 && `${tasks.toLocaleString()} task${tasks === 1 ? "" : "s"}`,
  ];
  return parts.filter(Boolean).join(", ");
}

export function TrashPage() {
  const { query, items, more } = useTrash();
  const may = useMay();
  const restore = useRestore();
  const [doomed, setDoomed] = useState<TrashGroup>();
  useTrail([{ label: "Work", to: "/work" }, { label: "Trash" }]);
  const groups = once(items, (group) => group.delete_group_id);
  const columns: Column<TrashGroup>[] = [
    {
      id: "what",
      title: "What was deleted",
      width: "minmax(0, 1fr)",
      phone: true,
      cell: (group) => <span className="clip">{group.names.map((each) => each.name).join(", ") || "–"}</span>,
    },
    { id: "size", title: "With", width: "140px", cell: (group) => <span className="clip muted">{sizeOf(group)}</span> },
    { id: "at", title: "Deleted", width: "96px", num: true, cell: (group) => <Time at={group.deleted_at} /> },
    {
      id: "do",
      title: "",
      width: may("trash:purge") ? "156px" : "116px",
      phone: true,
      cell: (group) => (
        <div className="bar trash-do">
          {may("tasks:write") && (
            <button
              type="button"
              className="button small"
              disabled={restore.isPending && restore.variables.delete_group_id === group.delete_group_id}
              onClick={() => restore.mutate(group)}
            >
              <RotateCcw aria-hidden /> Bring back
            </button>
          )}
          {may("trash:purge") && (
            <button
              type="button"
              className="button small quiet icon danger"
              aria-label={`Delete ${nameOf(group)} for good`}
              title="Delete for good"
              onClick={() => setDoomed(group)}
            >
              <Trash2 aria-hidden />
            </button>
          )}
        </div>
      ),
    },
  ];
  return (
    <div className="page">
      <div className="page-head">
        <h1>Trash</h1>
      </div>
      {query.error && items.length === 0 ? (
        <ProblemPage error={query.error} what="The trash could not be loaded" onRetry={() => void query.refetch()} />
      ) : (
        <VirtualList
          name="trash"
          label="Trash"
          items={groups}
          idOf={(group) => group.delete_group_id}
          columns={columns}
          loading={query.isPending}
          more={more}
          rowKeys={(group) => [
            {
              keys: "r",
              does: "Bring back",
              group: "Trash",
              run: () => group && may("tasks:write") && restore.mutate(group),
            },
            {
              keys: "backspace",
              does: "Delete for good",
              group: "Trash",
              run: () => may("trash:purge") && setDoomed(group),
            },
          ]}
          empty={
            <Empty icon={<Trash2 aria-hidden />} title="The trash is empty">
              Tasks and projects that are deleted lie here, with all that was deleted with them, until somebody brings
              them back or deletes them for good.
            </Empty>
          }
        />
      )}
      {doomed && <Purge group={doomed} onClose={() => setDoomed(undefined)} />}
    </div>
  );
}

function useTouch() {
  const client = useQueryClient();
  return () => {
    for (const key of [["tree"], keys.tasks(), keys.projects, ["project"], keys.patches]) {
      void client.invalidateQueries({ queryKey: key });
    }
    return client.invalidateQueries({ queryKey: keys.trash });
  };
}

function useRestore() {
  const client = useQueryClient();
  const touch = useTouch();
  return useMutation({
    mutationFn: (group: TrashGroup) => {
      const path = { delete_group_id: group.delete_group_id };
      return begun(take(api.POST("/trash/{delete_group_id}/restore", { params: { path } })));
    },
    onSuccess: (kept, group) => {
      offerUndo(client, kept, `${nameOf(group)} is back, ${sizeOf(group)}`);
      return touch();
    },
    onError: (error) => toastError("It was not brought back.", error),
  });
}

function Purge({ group, onClose }: { group: TrashGroup; onClose: () => void }) {
  const touch = useTouch();
  const purge = useMutation({
    mutationFn: () =>
      take(api.DELETE("/trash/{delete_group_id}", { params: { path: { delete_group_id: group.delete_group_id } } })),
    onSuccess: (gone) => {
      toast(`${sizeOf(gone)} went for good.`);
      onClose();
      return touch();
    },
    onError: (error) => {
      toastError("Nothing was deleted for good.", error);
      onClose();
    },
  });
  return (
    <Confirm
      title={`Delete ${nameOf(group)} for good?`}
      text={`${sizeOf(group)} with their comments and logged time. Nothing brings them back, and what was done to them can no longer be undone.`}
      action="Delete for good"
      danger
      busy={purge.isPending}
      onConfirm={() => purge.mutate()}
      onClose={onClose}
    />
  );
}
