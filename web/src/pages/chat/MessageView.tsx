// One message: what a person said, or what the agent thought, called and answered.
import { Link } from "@tanstack/react-router";
import {
  Brain,
  Check,
  ChevronLeft,
  ChevronRight,
  Copy,
  Hourglass,
  OctagonAlert,
  OctagonMinus,
  Pencil,
  RotateCcw,
  UserCheck,
} from "lucide-react";
import { type FormEvent, memo, useEffect, useMemo, useRef, useState } from "react";
import type { Message } from "@/api/agents-types";
import type { Approval } from "@/api/types";
import type { ChildStep } from "@/lib/agent-steps";
import type { LiveTurns } from "@/lib/live-turns";
import { compact, usd } from "@/lib/money";
import { branchOf, isGoing, type ReplyPart, replyParts, waitOf } from "@/lib/reply";
import { stopWords } from "@/lib/thread";
import { between, duration } from "@/lib/time";
import { useNameOf } from "@/pages/agents/queries";
import { AskedDetail } from "@/pages/approvals/AskedDetail";
import { Decide } from "@/pages/approvals/Decide";
import { ActorName } from "@/ui/ActorName";
import { Markdown } from "@/ui/Markdown";
import { Time } from "@/ui/Time";
import type { Talking } from "./queries";
import { ToolRow } from "./ToolRow";

interface Live {
  turns: LiveTurns;
  steps: readonly ChildStep[];
  approvals: readonly Approval[];
}

interface MessageProps {
  message: Message;
  agent: string;
  /** Several people take part, so that their names matter. */
  several: boolean;
  last: boolean;
  /** Of the reply under way. */
  live: Live | undefined;
  talking: Talking;
  busy: boolean;
  editing: boolean;
  onEdit: (id: string | undefined) => void;
}

export const MessageView = memo((props: MessageProps) =>
  props.message.role === "user" ? <Said {...props} /> : <Reply {...props} />,
);

function Said({ message, several, talking, busy, editing, onEdit }: MessageProps) {
  return (
    <article className="message user" aria-label="Said">
      {several && (
        <div className="message-who muted">
          <ActorName actor={message.author} />
        </div>
      )}
      {editing ? (
        <EditBox message={message} talking={talking} onDone={() => onEdit(undefined)} />
      ) : (
        <div className="bubble">{message.text}</div>
      )}
      {!editing && (
        <div className="message-foot">
          <span className="message-acts">
            <span className="faint">
              <Time at={message.created_at} />
            </span>
            <CopyButton text={message.text} />
            {!busy && (
              <button
                type="button"
                className="button small quiet icon"
                aria-label="Change and send again"
                title="Change and send again"
                onClick={() => onEdit(message.id)}
              >
                <Pencil />
              </button>
            )}
          </span>
          <Branches message={message} talking={talking} busy={busy} />
        </div>
      )}
    </article>
  );
}

function EditBox({ message, talking, onDone }: { message: Message; talking: Talking; onDone: () => void }) {
  const [text, setText] = useState(message.text);
  const ref = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    const area = ref.current;
    area?.focus();
    area?.setSelectionRange(area.value.length, area.value.length);
  }, []);
  const submit = async (event?: FormEvent) => {
    event?.preventDefault();
    const said = text.trim();
    if (!said || talking.edit.isPending) return;
    try {
      await talking.edit.mutateAsync({
        conversation_id: message.conversation_id,
        message_id: message.id,
        text: said,
      });
      onDone();
    } catch {
      // It was told in a toast; what was typed stays.
    }
  };
  return (
    <form className="bubble edit" onSubmit={(event) => void submit(event)}>
      <textarea
        ref={ref}
        className="input"
        aria-label="Change what you said"
        rows={Math.min(12, text.split("\n").length + 1)}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) void submit(event);
          if (event.key === "Escape") {
            event.preventDefault();
            onDone();
          }
        }}
      />
      <div className="bar">
        <span className="hint grow faint">The answer to the old words stays, as another branch.</span>
        <button type="button" className="button small" onClick={onDone}>
          Keep
        </button>
        <button type="submit" className="button small primary" disabled={talking.edit.isPending || !text.trim()}>
          Send
        </button>
      </div>
    </form>
  );
}

const NOTHING: Live = { turns: [], steps: [], approvals: [] };

function Reply({ message, agent, last, live, talking, busy }: MessageProps) {
  const { turns, steps, approvals } = live ?? NOTHING;
  const nameOf = useNameOf();
  const parts = useMemo(() => replyParts(message, turns, steps, nameOf), [message, turns, steps, nameOf]);
  const going = isGoing(message);
  const text = message.text || parts.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n\n");
  const wait = going ? waitOf(steps) : undefined;
  const quiet = going && !wait && approvals.length === 0 && parts.at(-1)?.type !== "text";
  return (
    <article className="message reply" aria-label={`${agent} answers`} aria-busy={going}>
      <div className="message-who">
        <strong>{agent}</strong>
        {message.run_id && (
          <Link to="/runs/$runId" params={{ runId: message.run_id }} className="faint message-run">
            run
          </Link>
        )}
      </div>
      <Parts parts={parts} over={!going} />
      {quiet && <Waits parts={parts} />}
      {approvals.map((approval) => (
        <section key={approval.id} className="notice wait asked" aria-label="Waits for your decision">
          <UserCheck aria-hidden />
          <div className="stack grow">
            <strong>{approval.title}</strong>
            <AskedDetail detail={approval.detail} />
            <Decide approval={approval} />
          </div>
        </section>
      ))}
      {wait?.for === "person" && approvals.length === 0 && <p className="muted">It waits for somebody's decision.</p>}
      {wait?.for === "try" && (
        <p className="message-end tone-wait">
          <Hourglass aria-hidden size={15} />
          <span>
            {wait.message ?? "A call failed."} It is tried again <Time at={wait.at} />.
          </span>
        </p>
      )}
      {message.status === "stopped" && (
        <p className="message-end tone-halt">
          <OctagonMinus aria-hidden size={15} /> {stopWords(message.stop)}
        </p>
      )}
      {message.status === "failed" && (
        <div className="notice bad">
          <OctagonAlert aria-hidden />
          <div className="stack grow">
            <div>
              <strong>The reply failed.</strong> {message.error?.message}{" "}
              {message.error && <code className="faint">{message.error.code}</code>}
            </div>
            <div>What its calls did before stays done.</div>
          </div>
        </div>
      )}
      {!going && (
        <div className={last ? "message-foot shown" : "message-foot"}>
          <Branches message={message} talking={talking} busy={busy} />
          <span className="message-acts">
            {text && <CopyButton text={text} />}
            {!busy && (
              <button
                type="button"
                className="button small quiet icon"
                aria-label="Answer again"
                title="Answer again"
                onClick={() =>
                  talking.retry.mutate({ conversation_id: message.conversation_id, message_id: message.id })
                }
              >
                <RotateCcw />
              </button>
            )}
            <Figures message={message} />
          </span>
        </div>
      )}
    </article>
  );
}

function Parts({ parts, over }: { parts: readonly ReplyPart[]; over: boolean }) {
  return parts.map((part, index) => {
    // Parts are only added at the end, so that their place is what they are known by.
    const key = part.type === "tool" ? part.path : `${index}`;
    if (part.type === "tool") return <ToolRow key={key} part={part} over={over} />;
    if (part.type === "thinking") return <Thought key={key} text={part.text} live={part.live} />;
    return <Markdown key={key} text={part.text} />;
  });
}

function Waits({ parts }: { parts: readonly ReplyPart[] }) {
  const last = parts.at(-1);
  const words =
    last?.type === "thinking"
      ? "It thinks"
      : last?.type === "tool" && last.status !== "done" && last.status !== "failed"
        ? "It works"
        : "It begins to answer";
  return (
    <div className="message-waits muted">
      <span className="dots" aria-hidden>
        <i />
        <i />
        <i />
      </span>
      {words}…
    </div>
  );
}

function Thought({ text, live }: { text: string; live: boolean }) {
  const line = live ? (text.trim().split("\n").at(-1) ?? "") : "";
  return (
    <details className="thought">
      <summary>
        <Brain aria-hidden size={14} /> {live ? "Thinks" : "Thought"}
        {line && <span className="clip faint">{line}</span>}
      </summary>
      <div className="thought-text">{text}</div>
    </details>
  );
}

function Figures({ message }: { message: Message }) {
  const took = between(message.created_at, message.finished_at);
  const tokens = message.usage ? (message.usage.input ?? 0) + (message.usage.output ?? 0) : undefined;
  return (
    <span className="faint message-figures">
      {message.model && <span className="mono clip">{message.model}</span>}
      {tokens !== undefined && (
        <span title={`${message.usage?.input ?? "unknown"} read, ${message.usage?.output ?? "unknown"} written`}>
          {compact(tokens)} tokens
        </span>
      )}
      {message.finished_at && (
        <span>{message.cost_nano_usd === null ? "cost unknown" : usd(message.cost_nano_usd)}</span>
      )}
      {took !== undefined && message.finished_at && <span>{duration(took)}</span>}
    </span>
  );
}

function Branches({ message, talking, busy }: Pick<MessageProps, "message" | "talking" | "busy">) {
  const branch = branchOf(message);
  if (!branch) return null;
  const go = (id: string | undefined) =>
    id && talking.branch.mutate({ conversation_id: message.conversation_id, message_id: id });
  const off = busy || talking.branch.isPending;
  return (
    <fieldset className="branches" aria-label={`Branch ${branch.at} of ${branch.of}`}>
      <button
        type="button"
        className="button small quiet icon"
        aria-label="Branch before"
        disabled={off || !branch.before}
        onClick={() => go(branch.before)}
      >
        <ChevronLeft />
      </button>
      <span>
        {branch.at}/{branch.of}
      </span>
      <button
        type="button"
        className="button small quiet icon"
        aria-label="Branch after"
        disabled={off || !branch.after}
        onClick={() => go(branch.after)}
      >
        <ChevronRight />
      </button>
    </fieldset>
  );
}

const COPIED_MS = 1_500;

function CopyButton({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  return (
    <button
      type="button"
      className="button small quiet icon"
      aria-label={copied ? "Copied" : "Copy"}
      title="Copy"
      onClick={() => {
        void navigator.clipboard?.writeText(text).then(() => setCopied(true));
        setTimeout(() => setCopied(false), COPIED_MS);
      }}
    >
      {copied ? <Check /> : <Copy />}
    </button>
  );
}
