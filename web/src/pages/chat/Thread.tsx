// The messages, oldest first. The end is followed as long as one is there; who reads above is left in peace.
import { ArrowDown } from "lucide-react";
import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import type { Conversation, Message } from "@/api/agents-types";
import type { Approval } from "@/api/types";
import type { ChildStep } from "@/lib/agent-steps";
import type { LiveTurns } from "@/lib/live-turns";
import { spokenTo } from "@/lib/thread";
import { MessageView } from "./MessageView";
import type { Talking } from "./queries";

interface ThreadProps {
  conversation: Conversation;
  messages: readonly Message[];
  more: { has: boolean; busy: boolean; load: () => void };
  going: Message | undefined;
  live: { turns: LiveTurns; steps: readonly ChildStep[]; approvals: readonly Approval[] };
  talking: Talking;
  busy: boolean;
  editing: string | undefined;
  onEdit: (id: string | undefined) => void;
  pending: string | undefined;
}

export function Thread(props: ThreadProps) {
  const { conversation, messages, more, going, live, pending } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const inner = useRef<HTMLDivElement>(null);
  const { away, fresh, toEnd } = useEnd(scroller, inner);
  const said = messages.length + (pending ? 1 : 0);
  useEffect(() => {
    // What one sends oneself is always brought into sight.
    if (pending) toEnd();
  }, [pending, toEnd]);
  const several = conversation.participants.length > 1;
  const agent = conversation.agent_title || conversation.agent_name;
  return (
    <div className="chat-frame">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard. */}
      <div ref={scroller} className="chat-scroll" role="log" aria-live="off" aria-label="Messages" tabIndex={0}>
        <div ref={inner} className="chat-inner">
          <Older more={more} scroller={scroller} />
          {said === 0 && (
            <div className="chat-begin muted">
              This is the beginning. {agent} answers here, shows what it calls, and asks before it changes something.
            </div>
          )}
          {messages.map((message) => (
            <MessageView
              key={message.id}
              message={message}
              agent={agent}
              several={several}
              last={message === messages.at(-1)}
              live={message.id === going?.id ? live : undefined}
              talking={props.talking}
              busy={props.busy}
              editing={props.editing === message.id}
              onEdit={props.onEdit}
            />
          ))}
          {pending && (
            <article className="message user pending" aria-label="On its way">
              <div className="bubble">{pending}</div>
            </article>
          )}
        </div>
      </div>
      {away && (
        <button
          type="button"
          className={fresh ? "button primary small chat-end" : "button small chat-end"}
          onClick={toEnd}
        >
          <ArrowDown aria-hidden /> {fresh ? "New" : "To the end"}
        </button>
      )}
      <Spoken agent={agent} going={going !== undefined} text={going ? wordsOf(live.turns) : ""} />
    </div>
  );
}

function wordsOf(turns: LiveTurns): string {
  const texts = turns.flatMap((turn) => turn.parts.flatMap((part) => (part.type === "text" ? [part.text] : [])));
  return texts.join("\n");
}

const SPEAK_MS = 2_500;

/** For readers that speak: whole sentences, now and then, instead of every word. */
function Spoken({ agent, going, text }: { agent: string; going: boolean; text: string }) {
  const [told, setTold] = useState("");
  const latest = useRef(text);
  latest.current = text;
  const was = useRef(false);
  useEffect(() => {
    if (!going) {
      if (was.current) setTold(`${agent} has answered.`);
      was.current = false;
      return;
    }
    was.current = true;
    setTold(`${agent} answers.`);
    let from = latest.current.length;
    const timer = setInterval(() => {
      const end = spokenTo(latest.current, from);
      if (end > from) setTold(latest.current.slice(from, end));
      from = Math.max(from, end);
    }, SPEAK_MS);
    return () => clearInterval(timer);
  }, [going, agent]);
  return (
    <div className="hidden-text" role="status" aria-live="polite">
      {told}
    </div>
  );
}

/** So near to the end one still is at the end, in pixels. */
const NEAR = 64;

function useEnd(scroller: RefObject<HTMLDivElement | null>, inner: RefObject<HTMLDivElement | null>) {
  const at = useRef(true);
  const [away, setAway] = useState(false);
  const [fresh, setFresh] = useState(false);
  const toEnd = useCallback(() => {
    const box = scroller.current;
    if (!box) return;
    box.scrollTop = box.scrollHeight;
    at.current = true;
    setAway(false);
    setFresh(false);
  }, [scroller]);
  useLayoutEffect(() => {
    const [box, content] = [scroller.current, inner.current];
    if (!box || !content) return;
    toEnd();
    const onScroll = () => {
      at.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
      setAway(!at.current);
      if (at.current) setFresh(false);
    };
    box.addEventListener("scroll", onScroll, { passive: true });
    let height = content.clientHeight;
    const observer = new ResizeObserver(() => {
      const grown = content.clientHeight > height;
      height = content.clientHeight;
      if (at.current) box.scrollTop = box.scrollHeight;
      else if (grown) setFresh(true);
    });
    observer.observe(content);
    observer.observe(box);
    return () => {
      box.removeEventListener("scroll", onScroll);
      observer.disconnect();
    };
  }, [scroller, inner, toEnd]);
  return { away, fresh, toEnd };
}

/** Older messages come when one scrolls up to where they would be. */
function Older({ more, scroller }: { more: ThreadProps["more"]; scroller: RefObject<HTMLDivElement | null> }) {
  const ref = useRef<HTMLDivElement>(null);
  const latest = useRef(more);
  latest.current = more;
  useEffect(() => {
    const mark = ref.current;
    if (!mark) return;
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting) && latest.current.has && !latest.current.busy)
          latest.current.load();
      },
      { root: scroller.current, rootMargin: "400px 0px 0px 0px" },
    );
    observer.observe(mark);
    return () => observer.disconnect();
  }, [scroller]);
  return (
    <div ref={ref} className="chat-older">
      {more.has && (
        <button type="button" className="button small quiet" disabled={more.busy} onClick={more.load}>
          {more.busy ? "Older ones come…" : "Older messages"}
        </button>
      )}
    </div>
  );
}
