// What an agent is told, thinks with and may do. What is typed stays until it is saved or taken back.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useEffect, useId, useMemo, useState } from "react";
import type { Agent, Effort } from "@/api/agents-types";
import { keys } from "@/api/cache";
import { callOperation } from "@/api/call";
import { asApiError } from "@/api/problem";
import { useMay } from "@/api/session";
import { useHotkeys } from "@/app/hotkeys";
import { type AgentDraft, draftOf, readDraft, type Wrong, wrongOf } from "@/lib/agent-draft";
import { useModels } from "@/pages/models/queries";
import { ModelPicker } from "@/ui/ModelPicker";
import { ProblemNotice } from "@/ui/Problem";
import { toast } from "@/ui/toasts";
import { JsonField } from "./JsonField";
import { ToolsPicker } from "./ToolsPicker";

interface AgentEditorProps {
  /** Undefined for a new one. */
  agent: Agent | undefined;
  onSaved?: (agent: Agent) => void;
}

export function AgentEditor({ agent, onSaved }: AgentEditorProps) {
  const client = useQueryClient();
  const may = useMay();
  const writes = may("agents:write");
  // What the draft began from: a change by somebody else must not take away what was typed.
  const [base, setBase] = useState(agent);
  const [draft, setDraft] = useState(() => draftOf(agent));
  const [shown, setShown] = useState<Wrong>({});
  const begun = useMemo(() => draftOf(base), [base]);
  const dirty = JSON.stringify(draft) !== JSON.stringify(begun);
  const newer = agent !== undefined && base !== undefined && agent.revision > base.revision;
  const set = (fields: Partial<AgentDraft>) => setDraft((now) => ({ ...now, ...fields }));
  const take = (fresh: Agent) => {
    setBase(fresh);
    setDraft(draftOf(fresh));
    setShown({});
  };
  useEffect(() => {
    // Nothing was typed: it may follow.
    if (newer && !dirty && agent) {
      setBase(agent);
      setDraft(draftOf(agent));
    }
  }, [newer, dirty, agent]);
  const save = useMutation({
    mutationFn: (input: object) =>
      base
        ? callOperation<Agent>("agents.update", { agent_id: base.id, ...input }, { revision: base.revision })
        : callOperation<Agent>("agents.create", input),
    onSuccess: (saved) => {
      toast(
        !base
          ? `${saved.title || saved.name} is ready.`
          : saved.version > base.version
            ? `Saved as version ${saved.version}.`
            : "Saved.",
      );
      client.setQueryData(keys.agent(saved.id), saved);
      for (const queryKey of [keys.agents(), keys.agentVersions(saved.id), keys.agentTools(saved.id)]) {
        void client.invalidateQueries({ queryKey });
      }
      take(saved);
      onSaved?.(saved);
    },
    onError: (error) => {
      if (asApiError(error).code === "stale_revision" && base)
        void client.invalidateQueries({ queryKey: keys.agent(base.id) });
    },
  });
  const submit = () => {
    const { input, wrong } = readDraft(draft);
    setShown(wrong);
    if (Object.keys(wrong).length === 0) save.mutate(input);
  };
  useHotkeys(writes ? [{ keys: "mod+s", does: "Save the agent", group: "Agent", always: true, run: submit }] : []);
  useLeaveWarning(dirty);
  const wrong: Wrong = { ...(save.error ? wrongOf(asApiError(save.error).problem.errors ?? []) : {}), ...shown };
  const faults = Object.keys(wrong).length;
  return (
    <form
      className="agent-editor"
      onSubmit={(event: FormEvent) => {
        event.preventDefault();
        submit();
      }}
      noValidate
    >
      <div className="agent-columns">
        <div className="stack wide">
          {save.error && (
            <ProblemNotice error={save.error} what="The agent was not saved">
              {newer && agent && (
                <button type="button" className="button small" onClick={() => take(agent)}>
                  Take theirs, drop mine
                </button>
              )}
              {newer && agent && (
                <button type="button" className="button small" onClick={() => setBase(agent)}>
                  Keep mine, on top of theirs
                </button>
              )}
            </ProblemNotice>
          )}
          <Instructions draft={draft} set={set} wrong={wrong.instructions} />
          <ToolsPicker
            agentId={dirty ? undefined : base?.id}
            rules={draft.tools}
            wrong={wrong.tools}
            onChange={(tools) => set({ tools })}
          />
          <JsonField
            label="Answer schema"
            hint="A JSON Schema: the agent then answers with such a value besides its words. Empty for words only."
            value={draft.answer}
            wrong={wrong.answer}
            onChange={(answer) => set({ answer })}
          />
        </div>
        <Side draft={draft} set={set} wrong={wrong} isNew={!base} />
      </div>
      {writes && (
        <div className="agent-save">
          <button type="submit" className="button primary" disabled={save.isPending || (!dirty && base !== undefined)}>
            {save.isPending ? "Saving…" : base ? "Save" : "Make the agent"}
          </button>
          {base && dirty && (
            <button type="button" className="button" onClick={() => take(agent ?? base)}>
              Take back
            </button>
          )}
          <span role="status" className={faults ? "tone-bad" : "muted"}>
            {faults > 0 && `${faults} ${faults === 1 ? "field needs" : "fields need"} a look. `}
            {faults === 0 && base && dirty && "Not saved yet. A change of what it does makes a new version."}
          </span>
        </div>
      )}
    </form>
  );
}

/** The browser asks before what was typed goes with the page. */
function useLeaveWarning(dirty: boolean) {
  useEffect(() => {
    if (!dirty) return;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    globalThis.addEventListener("beforeunload", warn);
    return () => globalThis.removeEventListener("beforeunload", warn);
  }, [dirty]);
}

type Set = (fields: Partial<AgentDraft>) => void;

function Instructions({ draft, set, wrong }: { draft: AgentDraft; set: Set; wrong?: string }) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>Instructions</label>
      <textarea
        id={id}
        className="input agent-instructions"
        rows={16}
        placeholder={"You look after the team's tasks.\n\nWhen somebody asks what is late, …"}
        aria-invalid={wrong !== undefined}
        aria-describedby={`${id}-hint`}
        value={draft.instructions}
        onChange={(event) => set({ instructions: event.target.value })}
      />
      <span id={`${id}-hint`} className="bar">
        <span className="hint grow">Who it is, what it is for, and how it should go about it.</span>
        {wrong && <span className="wrong">{wrong}</span>}
        <span className="hint num">{draft.instructions.length.toLocaleString()} characters</span>
      </span>
    </div>
  );
}

interface LineProps {
  label: string;
  hint?: ReactNode;
  wrong?: string;
  children: (id: string, hintId: string) => ReactNode;
}

function Line({ label, hint, wrong, children }: LineProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children(id, `${id}-hint`)}
      {(hint || wrong) && (
        <span id={`${id}-hint`}>
          {hint && <span className="hint">{hint} </span>}
          {wrong && <span className="wrong">{wrong}</span>}
        </span>
      )}
    </div>
  );
}

interface TextProps {
  field: "name" | "title" | "turns" | "tokens" | "seconds" | "cost" | "parallel" | "temperature" | "maxOutput";
  label: string;
  hint?: string;
  placeholder?: string;
  numeric?: boolean;
}

const EFFORTS: Effort[] = ["minimal", "low", "medium", "high"];

function Side({ draft, set, wrong, isNew }: { draft: AgentDraft; set: Set; wrong: Wrong; isNew: boolean }) {
  const models = useModels();
  const text = ({ field, label, hint, placeholder, numeric }: TextProps) => (
    <Line label={label} hint={hint} wrong={wrong[field]}>
      {(id, hintId) => (
        <input
          id={id}
          className="input"
          autoComplete="off"
          inputMode={numeric ? "decimal" : undefined}
          placeholder={placeholder}
          aria-invalid={wrong[field] !== undefined}
          aria-describedby={hintId}
          value={draft[field]}
          onChange={(event) => set({ [field]: event.target.value })}
        />
      )}
    </Line>
  );
  return (
    <div className="stack wide">
      {text({ field: "title", label: "Title", placeholder: "Task keeper" })}
      {text({
        field: "name",
        label: "Name",
        placeholder: "task-keeper",
        hint: isNew ? "Workflows call it by this name." : "Workflows call it by this name; renaming breaks their call.",
      })}
      <Line label="Description">
        {(id) => (
          <textarea
            id={id}
            className="input"
            rows={2}
            maxLength={10_000}
            value={draft.description}
            onChange={(event) => set({ description: event.target.value })}
          />
        )}
      </Line>
      <Line label="Model" wrong={wrong.model}>
        {(id) => (
          <ModelPicker
            id={id}
            value={draft.model}
            models={models.data}
            wrong={wrong.model !== undefined}
            onChange={(model) => set({ model })}
          />
        )}
      </Line>
      <fieldset className="agent-group">
        <legend>Limits of one reply</legend>
        <div className="agent-grid">
          {text({ field: "turns", label: "Turns", numeric: true })}
          {text({ field: "seconds", label: "Seconds", numeric: true })}
          {text({ field: "tokens", label: "Tokens", numeric: true })}
          {text({ field: "cost", label: "Cost, $", placeholder: "no limit", numeric: true })}
          {text({ field: "parallel", label: "Calls at once", numeric: true })}
        </div>
      </fieldset>
      <fieldset className="agent-group">
        <legend>How it answers</legend>
        <div className="agent-grid">
          {text({ field: "temperature", label: "Temperature", placeholder: "the model's", numeric: true })}
          {text({ field: "maxOutput", label: "Longest answer, tokens", placeholder: "the model's", numeric: true })}
          <Line label="Thinking" wrong={wrong.effort}>
            {(id) => (
              <select
                id={id}
                className="input"
                value={draft.effort}
                onChange={(event) => set({ effort: event.target.value as Effort | "" })}
              >
                <option value="">the model's</option>
                {EFFORTS.map((effort) => (
                  <option key={effort}>{effort}</option>
                ))}
              </select>
            )}
          </Line>
        </div>
      </fieldset>
      <details className="agent-more" open={Boolean(wrong.metadata || wrong.capabilities || wrong.settings)}>
        <summary>Metadata, capabilities, settings</summary>
        <div className="stack wide">
          {(["metadata", "capabilities", "settings"] as const).map((field) => (
            <JsonField
              key={field}
              label={field[0]?.toUpperCase() + field.slice(1)}
              object
              value={draft[field]}
              wrong={wrong[field]}
              onChange={(value) => set({ [field]: value })}
            />
          ))}
        </div>
      </details>
    </div>
  );
}
