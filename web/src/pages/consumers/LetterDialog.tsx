// Asks before dead letters are replayed or dropped, counts them first when all are meant, and shows how far it is.
import { useEffect, useRef, useState } from "react";
import { chunksOf } from "@/lib/many";
import { Dialog } from "@/ui/Dialog";
import { ProblemNotice } from "@/ui/Problem";
import { toast } from "@/ui/toasts";
import type { Asked } from "./ConsumersPage";
import { allLetters, doToLetters } from "./queries";

interface LetterDialogProps {
  asked: Asked;
  /** Whose letters are meant when all are. */
  consumer: string | undefined;
  onClose: () => void;
  onDone: () => void;
}

const TEXTS = {
  replay:
    "Their events are handled once more, soon, and outside of the log’s order. A letter whose event is handled is gone; one that fails again stays, with the new cause.",
  drop: "Their events are never handled by the consumer that gave them up. The events themselves stay in the log.",
};

function lettersWord(count: number): string {
  return `${count.toLocaleString("en")} ${count === 1 ? "dead letter" : "dead letters"}`;
}

export function LetterDialog({ asked: { deed, ids: named }, consumer, onClose, onDone }: LetterDialogProps) {
  const [ids, setIds] = useState(named);
  const [counted, setCounted] = useState(0);
  const [done, setDone] = useState<number>();
  const [error, setError] = useState<unknown>();
  const gone = useRef(false);
  useEffect(() => {
    gone.current = false;
    if (!named) allLetters(consumer, (count) => !gone.current && setCounted(count)).then(setIds, setError);
    return () => {
      gone.current = true;
    };
  }, [named, consumer]);
  const work = async () => {
    if (!ids) return;
    setError(undefined);
    let count = 0;
    setDone(0);
    try {
      for (const chunk of chunksOf(ids)) {
        if (gone.current) return;
        count += await doToLetters(deed, chunk);
        setDone(count);
      }
      toast(`${lettersWord(count)} ${deed === "replay" ? "handled again soon" : "dropped"}.`);
      onClose();
    } catch (problem) {
      setError(problem);
    } finally {
      onDone();
    }
  };
  const verb = deed === "replay" ? "Replay" : "Drop";
  const busy = done !== undefined && error === undefined;
  return (
    <Dialog
      small
      title={ids ? `${verb} ${lettersWord(ids.length)}?` : `${verb} all?`}
      onClose={onClose}
      foot={
        <>
          <button type="button" className="button" onClick={onClose}>
            {busy ? "Stop here" : "Keep"}
          </button>
          <button
            type="button"
            className={deed === "drop" ? "button danger" : "button primary"}
            disabled={!ids || ids.length === 0 || busy}
            onClick={() => void work()}
          >
            {verb} {ids && ids.length === 1 ? "it" : "them"}
          </button>
        </>
      }
    >
      <div className="stack wide">
        <p className="muted">{TEXTS[deed]}</p>
        {!ids && error === undefined && <p role="status">Counting: {counted.toLocaleString("en")}</p>}
        {ids && done !== undefined && (
          <p role="status">
            {done.toLocaleString("en")} of {ids.length.toLocaleString("en")} done.
          </p>
        )}
        {error !== undefined && <ProblemNotice error={error} what="It could not be done for all" />}
      </div>
    </Dialog>
  );
}
