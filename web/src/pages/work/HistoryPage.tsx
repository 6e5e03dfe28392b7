// Every patch set, newest first, each with its diff and a way back.
import { useQueryClient } from "@tanstack/react-query";
import { History, Undo2 } from "lucide-react";
import { useState } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { usePages } from "@/api/lists";
import { useMay } from "@/api/session";
import type { AppliedSet, RowChange } from "@/api/types";
import { useTrail } from "@/app/title";
import { undo } from "@/app/undo";
import { ActorName, actorOf } from "@/ui/ActorName";
import { Changes } from "@/ui/Diff";
import { Pane } from "@/ui/Pane";
import { ProblemPage } from "@/ui/Problem";
import { CopyId, Empty } from "@/ui/parts";
import { Time } from "@/ui/Time";
import { type Column, VirtualList } from "@/ui/VirtualList";

function changesOf(set: AppliedSet): RowChange[] {
  return Array.isArray(set.changes) ? (set.changes as RowChange[]) : [];
}

const VERBS = { create: "made", update: "changed", delete: "deleted", restore: "brought back" };

/** "2 tasks changed, 1 task deleted". */
function summary(set: AppliedSet): string {
  const counts = new Map<string, number>();
  for (const change of changesOf(set)) {
    const key = `${change.kind} ${change.op}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const parts = [...counts].map(([key, count]) => {
    const [kind = "row", op = "update"] = key.split(" ");
    return `${count} ${kind}${count === 1 ? "" : "s"} ${VERBS[op as keyof typeof VERBS] ?? op}`;
  });
  return parts.join(", ") || "nothing changed";
}

const COLUMNS: Column<AppliedSet>[] = [
  {
    id: "what",
    title: "What",
    width: "minmax(0, 1fr)",
    phone: true,
    cell: (set) => (
      <div className="bar">
        <span className={`clip${set.status === "undone" ? " is-over" : ""}`}>{summary(set)}</span>
        {set.undo_of && <span className="chip">undo</span>}
        {set.status === "undone" && <span className="chip">undone</span>}
      </div>
    ),
  },
  {
    id: "by",
    title: "By",
    width: "160px",
    cell: (set) => <ActorName actor={actorOf(set.created_by)} />,
  },
  { id: "at", title: "When", width: "88px", num: true, phone: true, cell: (set) => <Time at={set.created_at} /> },
];

export function HistoryPage() {
  const client = useQueryClient();
  const may = useMay();
  const [shown, setShown] = useState<string>();
  const { query, items, more } = usePages<AppliedSet>({
    queryKey: keys.patches,
    fetch: (cursor, signal) => take(api.GET("/patches", { params: { query: { cursor, limit: 50 } }, signal })),
  });
  useTrail([{ label: "Work", to: "/work" }, { label: "History" }]);
  const set = items.find((each) => each.id === shown);
  return (
    <div className="split">
      <div className="main">
        <div className="page-head">
          <h1>History</h1>
        </div>
        {query.error && items.length === 0 ? (
          <ProblemPage
            error={query.error}
            what="The history could not be loaded"
            onRetry={() => void query.refetch()}
          />
        ) : (
          <VirtualList
            name="history"
            label="Patch sets"
            items={items}
            idOf={(each) => each.id}
            columns={COLUMNS}
            loading={query.isPending}
            more={more}
            current={shown}
            onOpen={(each) => setShown(each.id)}
            empty={
              <Empty icon={<History aria-hidden />} title="Nothing was changed yet">
                What you, your agents and workflows change in projects and tasks stands here, and can be undone.
              </Empty>
            }
          />
        )}
      </div>
      {set && (
        <Pane
          label="Patch set"
          title={<h2>{summary(set)}</h2>}
          onClose={() => setShown(undefined)}
          actions={
            set.status === "applied" &&
            may("patches:write") && (
              <button type="button" className="button small" onClick={() => void undo(client, set.id)}>
                <Undo2 aria-hidden /> Undo
              </button>
            )
          }
        >
          <div className="stack wide">
            <Changes changes={changesOf(set)} />
            <CopyId id={set.id} />
          </div>
        </Pane>
      )}
    </div>
  );
}
