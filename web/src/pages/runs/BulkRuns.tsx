// What can be done with many runs: those one has chosen, or all that fit the filter. First how many, then how it goes.
import { Link } from "@tanstack/react-router";
import { Ban, CirclePlay, ListChecks, RotateCcw } from "lucide-react";
import { useEffect, useId, useRef, useState } from "react";
import { api, take } from "@/api/client";
import { useMay } from "@/api/session";
import type { Run } from "@/api/types";
import { useHotkeys } from "@/app/hotkeys";
import { addDone, chunksOf, NOTHING, type OneDone, type Progress, refusedCount, runsWord } from "@/lib/many";
import type { RunFilter } from "@/lib/run-filter";
import { Dialog } from "@/ui/Dialog";
import { ProblemNotice } from "@/ui/Problem";
import { shortId } from "@/ui/parts";
import { toast, toastError } from "@/ui/toasts";
import { fetchRuns } from "./queries";

type Deed = "cancel" | "rerun" | "resume";

interface Choice {
  reason: string;
  latest: boolean;
}

const OPEN = new Set(["queued", "running", "waiting", "paused"]);
const OVER = new Set(["succeeded", "failed", "cancelled", "paused"]);

/** Which of the runs a deed is for. */
const FOR: Record<Deed, (run: Run) => boolean> = {
  cancel: (run) => OPEN.has(run.status),
  rerun: (run) => OVER.has(run.status) && run.workflow_name !== null,
  resume: (run) => run.status === "paused",
};

const WORDS: Record<Deed, { title: (runs: string) => string; action: string; done: string; text: string }> = {
  cancel: {
    title: (runs) => `Cancel ${runs}`,
    action: "Cancel them",
    done: "cancelled",
    text: "What their steps did stays done. What waits ends at once, the rest at the next step.",
  },
  rerun: {
    title: (runs) => `Run ${runs} again`,
    action: "Start new runs",
    done: "started again",
    text: "Each gets a new run with the same input; the runs themselves stay as they are.",
  },
  resume: {
    title: (runs) => `Resume ${runs}`,
    action: "Resume them",
    done: "resumed",
    text: "In each, the step whose failure paused it is tried again. What is done stays done.",
  },
};

async function doTo(deed: Deed, run_ids: string[], { reason, latest }: Choice): Promise<OneDone[]> {
  const runs = { run_ids };
  if (deed === "cancel")
    return (await take(api.POST("/runs/cancel", { body: { runs, reason: reason || null } }))).items;
  if (deed === "resume") return (await take(api.POST("/runs/resume", { body: { runs } }))).items;
  return (await take(api.POST("/runs/rerun", { body: { runs, latest } }))).items;
}

/** As many are looked for at most when all that fit are meant. */
const MOST = 10_000;

interface Everything {
  runs: readonly Run[];
  busy: boolean;
  /** There are more than are taken at once. */
  cut: boolean;
}

/** All runs that fit the filter, counted as they are found. */
function useEverything(filter: RunFilter) {
  const [found, setFound] = useState<Everything>();
  const ended = useRef<AbortController>(undefined);
  useEffect(() => () => ended.current?.abort(), []);
  const find = async () => {
    ended.current?.abort();
    const controller = new AbortController();
    ended.current = controller;
    const { signal } = controller;
    const runs = new Map<string, Run>();
    let cursor: string | undefined;
    try {
      do {
        const page = await fetchRuns(filter, cursor, signal);
        if (signal.aborted) return;
        for (const run of page.items) runs.set(run.id, run);
        cursor = page.next_cursor ?? undefined;
        setFound({ runs: [...runs.values()], busy: cursor !== undefined, cut: false });
      } while (cursor !== undefined && runs.size < MOST);
      setFound({ runs: [...runs.values()].slice(0, MOST), busy: false, cut: cursor !== undefined });
    } catch (error) {
      if (signal.aborted) return;
      setFound(undefined);
      toastError("The runs could not be counted.", error);
    }
  };
  return { found, find };
}

interface BulkProps {
  chosen: readonly Run[];
  filter: RunFilter;
  onDone: () => void;
}

export function BulkRuns({ chosen, filter, onDone }: BulkProps) {
  const may = useMay();
  const [asked, setAsked] = useState<Deed>();
  const all = useEverything(filter);
  const runs = all.found?.runs ?? chosen;
  const counting = all.found?.busy === true;
  const of = (deed: Deed) => runs.filter(FOR[deed]);
  const counts = { cancel: of("cancel").length, rerun: of("rerun").length, resume: of("resume").length };
  const mayDo = { cancel: may("runs:write"), rerun: may("workflows:run"), resume: may("runs:write") };
  const can = (deed: Deed) => !counting && counts[deed] > 0 && mayDo[deed];
  const key = (keys: string, does: string, deed: Deed) => ({
    keys,
    does,
    group: "Chosen runs",
    run: () => can(deed) && setAsked(deed),
  });
  useHotkeys([
    { keys: "escape", does: "Choose none", group: "Chosen runs", run: onDone },
    { keys: "shift+x", does: "Choose all that fit the filter", group: "Chosen runs", run: () => void all.find() },
    key("r", "Run them again", "rerun"),
    key("p", "Resume them", "resume"),
    key("c", "Cancel them", "cancel"),
  ]);
  return (
    <section className="bulk" aria-label="What to do with the chosen runs">
      <span className="grow" role="status">
        {all.found
          ? `${counting ? "Counting: " : ""}${runs.length.toLocaleString("en")}${all.found.cut ? ", the newest," : ""} that fit`
          : `${chosen.length} chosen`}
      </span>
      {!all.found && (
        <button type="button" className="button small" onClick={() => void all.find()}>
          <ListChecks aria-hidden /> All that fit
        </button>
      )}
      {counts.resume > 0 && (
        <button type="button" className="button small" disabled={!can("resume")} onClick={() => setAsked("resume")}>
          <CirclePlay aria-hidden /> Resume {counts.resume}
        </button>
      )}
      <button
        type="button"
        className="button small"
        disabled={!can("rerun")}
        title="Starts new runs with the same input"
        onClick={() => setAsked("rerun")}
      >
        <RotateCcw aria-hidden /> Run {counts.rerun || ""} again
      </button>
      <button
        type="button"
        className="button small danger"
        disabled={!can("cancel")}
        onClick={() => setAsked("cancel")}
      >
        <Ban aria-hidden /> Cancel {counts.cancel || ""}
      </button>
      <button type="button" className="button small quiet" onClick={onDone}>
        Choose none
      </button>
      {asked && (
        <BulkDialog
          deed={asked}
          ids={of(asked).map((run) => run.id)}
          others={runs.length - counts[asked]}
          onClose={() => setAsked(undefined)}
          onDone={onDone}
        />
      )}
    </section>
  );
}

interface BulkDialogProps {
  deed: Deed;
  ids: readonly string[];
  /** Of what was chosen, so many are left as they are. */
  others: number;
  onClose: () => void;
  onDone: () => void;
}

type Stage = "asks" | "works" | "over";

function useDeed(deed: Deed, ids: readonly string[], onAll: () => void) {
  const [progress, setProgress] = useState<Progress>(NOTHING);
  const [stage, setStage] = useState<Stage>("asks");
  const [error, setError] = useState<unknown>();
  const stopped = useRef(false);
  useEffect(
    () => () => {
      stopped.current = true;
    },
    [],
  );
  const start = async (choice: Choice) => {
    stopped.current = false;
    setStage("works");
    setError(undefined);
    let now = NOTHING;
    let failed = false;
    for (const chunk of chunksOf(ids)) {
      if (stopped.current) break;
      try {
        now = addDone(now, await doTo(deed, chunk, choice));
        setProgress(now);
      } catch (problem) {
        failed = true;
        setError(problem);
        break;
      }
    }
    // What became of them comes by events, which move nothing under the reader's hand.
    setStage("over");
    if (!failed && now.refused.length === 0 && now.done === ids.length) {
      toast(`${runsWord(now.done)} ${WORDS[deed].done}.`);
      onAll();
    }
  };
  const stop = () => {
    stopped.current = true;
  };
  return { progress, stage, error, start, stop };
}

function BulkDialog({ deed, ids, others, onClose, onDone }: BulkDialogProps) {
  const words = WORDS[deed];
  const [choice, setChoice] = useState<Choice>({ reason: "", latest: false });
  const finish = () => {
    onClose();
    onDone();
  };
  const { progress, stage, error, start, stop } = useDeed(deed, ids, finish);
  const refused = refusedCount(progress);
  return (
    <Dialog
      small
      firm={stage === "works"}
      title={words.title(runsWord(ids.length)) + (stage === "asks" ? "?" : "")}
      onClose={stage === "over" ? finish : onClose}
      foot={
        <Foot
          stage={stage}
          action={words.action}
          danger={deed === "cancel"}
          onStart={() => void start(choice)}
          onStop={stop}
          onClose={stage === "over" ? finish : onClose}
        />
      }
    >
      {stage === "asks" ? (
        <div className="stack wide">
          <p className="muted">
            {words.text}
            {others > 0 && ` The other ${runsWord(others)} chosen are left alone: this is not for their status.`}
          </p>
          <Choices deed={deed} choice={choice} onChange={setChoice} />
        </div>
      ) : (
        <div className="stack wide">
          <div
            className="progress"
            role="progressbar"
            aria-label="Runs treated"
            aria-valuemin={0}
            aria-valuemax={ids.length}
            aria-valuenow={progress.asked}
          >
            <span className="bar-bad" style={{ width: `${(refused / ids.length) * 100}%` }} />
            <span className="bar-good" style={{ width: `${(progress.done / ids.length) * 100}%` }} />
          </div>
          <p role="status">
            {progress.done.toLocaleString("en")} of {ids.length.toLocaleString("en")} {words.done}
            {refused > 0 && `, ${refused.toLocaleString("en")} refused`}
            {stage === "over" && progress.asked < ids.length && "; the rest is as it was"}.
          </p>
          {error !== undefined && <ProblemNotice error={error} what="It could not go on" />}
          <Reasons progress={progress} />
        </div>
      )}
    </Dialog>
  );
}

interface ChoicesProps {
  deed: Deed;
  choice: Choice;
  onChange: (choice: Choice) => void;
}

function Choices({ deed, choice, onChange }: ChoicesProps) {
  const id = useId();
  if (deed === "cancel") {
    return (
      <div className="field">
        <label htmlFor={id}>Reason, for whoever looks at them later</label>
        <input
          id={id}
          className="input"
          maxLength={500}
          value={choice.reason}
          onChange={(event) => onChange({ ...choice, reason: event.target.value })}
        />
      </div>
    );
  }
  if (deed === "resume") return null;
  return (
    <div className="field">
      <label htmlFor={id}>On version</label>
      <select
        id={id}
        className="input"
        value={choice.latest ? "latest" : "own"}
        onChange={(event) => onChange({ ...choice, latest: event.target.value === "latest" })}
      >
        <option value="own">The one each of them had</option>
        <option value="latest">The current one of its workflow</option>
      </select>
    </div>
  );
}

interface FootProps {
  stage: Stage;
  action: string;
  danger: boolean;
  onStart: () => void;
  onStop: () => void;
  onClose: () => void;
}

function Foot({ stage, action, danger, onStart, onStop, onClose }: FootProps) {
  if (stage === "works")
    return (
      <button type="button" className="button" onClick={onStop}>
        Stop here
      </button>
    );
  if (stage === "over")
    return (
      <button type="button" className="button primary" onClick={onClose}>
        Close
      </button>
    );
  return (
    <>
      <button type="button" className="button" onClick={onClose}>
        Keep
      </button>
      <button type="button" className={danger ? "button danger" : "button primary"} onClick={onStart}>
        {action}
      </button>
    </>
  );
}

const MOST_REASONS = 8;

function Reasons({ progress: { refused } }: { progress: Progress }) {
  if (refused.length === 0) return null;
  return (
    <ul className="stack">
      {refused.slice(0, MOST_REASONS).map(({ reason, count, first }) => (
        <li key={reason}>
          <span className="tone-bad">{reason}</span> {count > 1 && <span className="muted">{count} times, as </span>}
          <Link to="/runs/$runId" params={{ runId: first }} className="link mono">
            {shortId(first)}
          </Link>
        </li>
      ))}
      {refused.length > MOST_REASONS && <li className="muted">and {refused.length - MOST_REASONS} other reasons</li>}
    </ul>
  );
}
