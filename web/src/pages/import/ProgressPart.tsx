// An import that was started: how far it is, what came of it, the way back.
import { Link } from "@tanstack/react-router";
import { RotateCw, Undo2 } from "lucide-react";
import { counted, percent } from "@/lib/transfer";
import { ProblemNotice } from "@/ui/Problem";
import { Problems } from "./Problems";
import { type Import, isGoing, useSteps } from "./queries";

const WORDS: Record<Import["status"], string> = {
  uploading: "is coming in",
  running: "is being imported",
  done: "was imported",
  undoing: "is being undone",
  undone: "was undone",
};

export function ProgressPart({ found }: { found: Import }) {
  const { undo, resume } = useSteps(found.id);
  const going = isGoing(found);
  const done = percent(found);
  return (
    <>
      <p role="status">
        <strong>{found.name}</strong> {WORDS[found.status]}
        {found.status === "done" &&
          `: ${counted([
            [found.created, "made"],
            [found.updated, "changed"],
            [found.unchanged, "as they were"],
            [found.left_out, "left out"],
          ])}`}
        .
      </p>
      {going && (
        <div className="bar">
          <progress aria-label="Done" value={done} max={100} />
          <span>{done} %</span>
        </div>
      )}
      {going && <p className="faint">It goes on when you leave this page.</p>}
      {found.stopped && (
        <ProblemNotice
          error={new Error(found.stopped_by ?? "Its run was ended.")}
          what="The import stopped before its end"
        />
      )}
      {undo.error && <ProblemNotice error={undo.error} what="The import was not undone" />}
      {resume.error && <ProblemNotice error={resume.error} what="The import did not go on" />}
      <Problems problems={found.problems} />
      <div className="bar wrap">
        <Link to="/work" className="button primary">
          To the projects
        </Link>
        {found.stopped && (
          <button type="button" className="button" disabled={resume.isPending} onClick={() => resume.mutate()}>
            <RotateCw aria-hidden /> Go on
          </button>
        )}
        {(found.status === "done" || (found.status === "running" && found.stopped)) && (
          <button type="button" className="button" disabled={undo.isPending} onClick={() => undo.mutate()}>
            <Undo2 aria-hidden /> Undo the import
          </button>
        )}
        {found.run_id && (
          <Link to="/runs/$runId" params={{ runId: found.run_id }} className="button">
            Look at its run
          </Link>
        )}
        <Link to="/work/import" search={{}} className="button">
          Import another file
        </Link>
      </div>
    </>
  );
}
