// A question to a model, to see whether and how it answers.
import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Send } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import { callOperation } from "@/api/call";
import type { ChatAnswer } from "@/api/models-types";
import { useTrail } from "@/app/title";
import { compact, usd } from "@/lib/money";
import { duration } from "@/lib/time";
import { Markdown } from "@/ui/Markdown";
import { ModelPicker } from "@/ui/ModelPicker";
import { ProblemNotice } from "@/ui/Problem";
import { CopyId } from "@/ui/parts";
import { useModels } from "./queries";
import { tryRoute } from "./route";

/** The words of an answer, whose content is a text or parts. */
export function answerText(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .filter((part): part is { type: "text"; text: string } => part?.type === "text" && typeof part.text === "string")
    .map((part) => part.text)
    .join("");
}

export function TryPage() {
  const { model = "" } = tryRoute.useSearch();
  const navigate = useNavigate();
  const models = useModels();
  const [system, setSystem] = useState("");
  const [text, setText] = useState("");
  const id = useId();
  useTrail([{ label: "Models", to: "/models" }, { label: "Try it" }]);
  const ask = useMutation({
    mutationFn: async () => {
      const began = performance.now();
      const messages = [
        ...(system.trim() ? [{ role: "system", content: system }] : []),
        { role: "user", content: text },
      ];
      const answer = await callOperation<ChatAnswer>("llm.chat", { ...(model && { model }), messages });
      return { answer, ms: performance.now() - began };
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (text.trim() && !ask.isPending) ask.mutate();
  };
  return (
    <div className="page-body padded try">
      <h1>Try a model</h1>
      <form className="stack wide" onSubmit={submit}>
        <div className="field">
          <label htmlFor={`${id}-model`}>Model</label>
          <ModelPicker
            id={`${id}-model`}
            value={model}
            placeholder="default"
            models={models.data}
            onChange={(next) =>
              void navigate({ to: "/models/try", search: { model: next || undefined }, replace: true })
            }
          />
        </div>
        <div className="field">
          <label htmlFor={`${id}-system`}>
            Instructions <span className="faint">may stay empty</span>
          </label>
          <textarea
            id={`${id}-system`}
            className="input"
            rows={2}
            value={system}
            onChange={(event) => setSystem(event.target.value)}
          />
        </div>
        <div className="field">
          <label htmlFor={`${id}-text`}>Question</label>
          <textarea
            id={`${id}-text`}
            className="input"
            rows={4}
            placeholder="Say hello in three languages"
            value={text}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) submit(event);
            }}
          />
        </div>
        <div className="bar">
          <button type="submit" className="button primary" disabled={ask.isPending || !text.trim()}>
            <Send aria-hidden /> {ask.isPending ? "Waiting for the model…" : "Ask"}
          </button>
          <span className="faint">Ctrl or ⌘ with Enter. It counts as usage.</span>
        </div>
      </form>
      <section aria-live="polite" aria-label="Answer" className="stack wide">
        {ask.error && <ProblemNotice error={ask.error} what="The model did not answer" onRetry={() => ask.mutate()} />}
        {ask.data && !ask.isPending && <Answer {...ask.data} />}
      </section>
    </div>
  );
}

function Answer({ answer, ms }: { answer: ChatAnswer; ms: number }) {
  const text = answerText(answer.message.content);
  return (
    <div className="card try-answer">
      {text ? <Markdown text={text} /> : <p className="muted">It answered without words.</p>}
      <dl className="facts">
        <dt>Answered by</dt>
        <dd>
          <CopyId id={`${answer.provider}/${answer.model}`} label={`${answer.provider}/${answer.model}`} />
        </dd>
        <dt>Took</dt>
        <dd>{duration(ms)}</dd>
        <dt>Tokens</dt>
        <dd>
          {compact(answer.usage.input)} read, {compact(answer.usage.output)} written
        </dd>
        <dt>Cost</dt>
        <dd>{usd(answer.cost_nano_usd)}</dd>
        {answer.attempts.length > 1 && (
          <>
            <dt>Attempts</dt>
            <dd>
              <ol>
                {answer.attempts.map((attempt, index) => (
                  <li key={index}>
                    <span className="mono">
                      {attempt.provider}/{attempt.model}
                    </span>{" "}
                    <span className={attempt.outcome === "ok" ? "tone-good" : "tone-bad"}>{attempt.outcome}</span>{" "}
                    {duration(attempt.total_ms)} <span className="muted">{attempt.error}</span>
                  </li>
                ))}
              </ol>
            </dd>
          </>
        )}
      </dl>
    </div>
  );
}
