// A call of a tool as one row; it unfolds to what it was given and what came of it.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import {
  ChevronRight,
  CircleCheck,
  CircleDotDashed,
  CircleSlash,
  CircleX,
  Hourglass,
  PencilLine,
  Undo2,
} from "lucide-react";
import { useState } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { useMay } from "@/api/session";
import { undo } from "@/app/undo";
import { changesOf } from "@/lib/diff";
import { brief, patchSetOf, type ReplyPart, type ToolStatus } from "@/lib/reply";
import { Changes } from "@/ui/Diff";
import { JsonView } from "@/ui/JsonView";

type ToolPart = Extract<ReplyPart, { type: "tool" }>;

const LOOKS: Record<ToolStatus, { icon: typeof CircleX; tone: string; word: string }> = {
  writing: { icon: PencilLine, tone: "tone-busy", word: "is being written" },
  running: { icon: CircleDotDashed, tone: "tone-busy", word: "runs" },
  waiting: { icon: Hourglass, tone: "tone-wait", word: "waits for a decision" },
  done: { icon: CircleCheck, tone: "tone-good", word: "done" },
  failed: { icon: CircleX, tone: "tone-bad", word: "failed" },
  rejected: { icon: CircleX, tone: "tone-bad", word: "rejected" },
  stopped: { icon: CircleSlash, tone: "tone-idle", word: "not made" },
};

export function ToolRow({ part, over }: { part: ToolPart; over: boolean }) {
  const [open, setOpen] = useState(false);
  const status = over && (part.status === "writing" || part.status === "running") ? "stopped" : part.status;
  const look = LOOKS[status];
  const set = patchSetOf(part);
  return (
    <div className="tool">
      <div className="tool-head">
        <button type="button" className="tool-row" aria-expanded={open} onClick={() => setOpen(!open)}>
          <ChevronRight aria-hidden className="tool-fold" />
          <look.icon aria-hidden className={look.tone} />
          <code>{part.name}</code>
          <span className="clip grow faint">{brief(part.arguments)}</span>
          <span className={status === "done" ? "hidden-text" : look.tone}>{look.word}</span>
        </button>
        {set && <UndoButton set={set} />}
      </div>
      {open && <Unfolded part={part} />}
    </div>
  );
}

function Unfolded({ part }: { part: ToolPart }) {
  const found = changesOf(part.result);
  return (
    <div className="tool-body stack">
      <h3>Given</h3>
      {typeof part.arguments === "string" ? (
        <pre className="tool-raw">{part.arguments || "nothing yet"}</pre>
      ) : (
        <JsonView value={part.arguments ?? {}} label="What it was given" />
      )}
      {part.error !== undefined && (
        <>
          <h3>Failed with</h3>
          <JsonView value={part.error} label="Error" />
        </>
      )}
      {part.result !== null && part.result !== undefined && (
        <>
          <h3>{part.status === "rejected" ? "Rejected" : "Result"}</h3>
          {found ? (
            <Changes changes={found.changes} titles={found.titles} />
          ) : (
            <JsonView value={part.result} label="Result" />
          )}
        </>
      )}
    </div>
  );
}

/** Takes back what a patch set did; says so once it is taken back. */
function UndoButton({ set }: { set: string }) {
  const client = useQueryClient();
  const may = useMay();
  const [busy, setBusy] = useState(false);
  const query = useQuery({
    queryKey: [...keys.patches, "one", set],
    queryFn: ({ signal }) =>
      take(api.GET("/patches/{patch_set_id}", { params: { path: { patch_set_id: set } }, signal })),
    enabled: may("patches:read"),
    retry: false,
  });
  if (query.data?.status === "undone") return <span className="faint tool-undone">undone</span>;
  if (!may("patches:write") && !may("tasks:write")) return null;
  return (
    <button
      type="button"
      className="button small"
      disabled={busy}
      onClick={async () => {
        setBusy(true);
        await undo(client, set);
        await client.invalidateQueries({ queryKey: keys.patches });
        setBusy(false);
      }}
    >
      <Undo2 aria-hidden /> Undo
    </button>
  );
}
