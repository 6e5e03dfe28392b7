// Where one writes. Enter sends, Shift and Enter begins a line; what is typed is kept until it was sent.
import { ArrowUp, Square } from "lucide-react";
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { usePhone } from "@/ui/useMedia";

interface ComposerProps {
  /** Whose draft it is. */
  name: string;
  agent: string;
  going: boolean;
  /** The reply waits for a decision. */
  waiting: boolean;
  busy: boolean;
  /** Fails when it was not sent. */
  onSend: (text: string) => Promise<void>;
  onStop: () => void;
}

const MOST = 200_000;
const draftKey = (name: string) => `synapscale.draft.${name}`;

export function Composer({ name, agent, going, waiting, busy, onSend, onStop }: ComposerProps) {
  const ref = useRef<HTMLTextAreaElement>(null);
  const phone = usePhone();
  const [text, setText] = useState(() => sessionStorage.getItem(draftKey(name)) ?? "");
  useEffect(() => {
    if (text) sessionStorage.setItem(draftKey(name), text);
    else sessionStorage.removeItem(draftKey(name));
  }, [text, name]);
  useEffect(() => {
    // On a phone the keyboard would cover what one came to read.
    if (!phone) ref.current?.focus();
  }, [phone]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: its height follows what stands in it.
  useLayoutEffect(() => {
    const area = ref.current;
    if (!area) return;
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight}px`;
  }, [text]);
  const send = async () => {
    const said = text.trim();
    if (!said || busy) return;
    setText("");
    try {
      await onSend(said);
    } catch {
      // What was typed in the meantime stays, too.
      setText((now) => (now ? `${said}\n${now}` : said));
    }
    ref.current?.focus();
  };
  return (
    <div className="chat-box">
      <label htmlFor="composer" className="hidden-text">
        Say something to {agent}
      </label>
      <textarea
        id="composer"
        ref={ref}
        rows={1}
        maxLength={MOST}
        placeholder={waiting ? "It waits for your decision above" : `Say something to ${agent}`}
        value={text}
        aria-describedby="composer-keys"
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
          event.preventDefault();
          void send();
        }}
      />
      <div className="chat-box-foot">
        <span id="composer-keys" className="faint grow">
          {phone ? "" : going ? "Esc stops" : "Enter sends, Shift+Enter begins a line"}
        </span>
        {going ? (
          <button type="button" className="button icon" aria-label="Stop the reply" title="Stop (Esc)" onClick={onStop}>
            <Square />
          </button>
        ) : (
          <button
            type="button"
            className="button primary icon"
            aria-label="Send"
            title="Send (Enter)"
            disabled={!text.trim() || busy}
            onClick={() => void send()}
          >
            <ArrowUp />
          </button>
        )}
      </div>
    </div>
  );
}
