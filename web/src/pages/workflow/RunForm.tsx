// Starts a run: a form made from the workflow's input schema, or plain JSON when it has none.
import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Play } from "lucide-react";
import { type FormEvent, useEffect, useId, useMemo, useRef, useState } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { asApiError } from "@/api/problem";
import type { WorkflowDetail } from "@/api/types";
import { manualTriggers, type WorkflowFile } from "@/lib/graph-model";
import { byField, type Draft, draftOf, fieldsOf, readForm } from "@/lib/schema-form";
import { Pane } from "@/ui/Pane";
import { ProblemNotice } from "@/ui/Problem";
import { SchemaForm } from "@/ui/SchemaForm";
import { toast } from "@/ui/toasts";

interface RunFormProps {
  detail: WorkflowDetail;
  like?: string;
  onClose: () => void;
}

export function RunForm({ detail, like, onClose }: RunFormProps) {
  const { name } = detail.workflow;
  const navigate = useNavigate();
  const form = useRunDraft(detail, like);
  const start = useMutation({
    mutationFn: (input: unknown) =>
      take(
        api.POST("/workflows/{name}/runs", {
          params: { path: { name } },
          body: { input, version: detail.version, trigger: form.trigger },
        }),
      ),
    onSuccess: (started) => {
      toast("Started.");
      void navigate({ to: "/runs/$runId", params: { runId: started.run_id } });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const input = form.read();
    if (input) start.mutate(input.value);
  };
  const errors = start.error ? (asApiError(start.error).problem.errors ?? []) : [];
  return (
    <Pane label="Run the workflow" title={<h2>Run {detail.workflow.title || name}</h2>} onClose={onClose}>
      <form className="stack wide" onSubmit={submit} noValidate>
        {start.error && <ProblemNotice error={start.error} what="The run was not started" />}
        {form.triggers.length > 1 && (
          <TriggerSelect triggers={form.triggers} value={form.trigger} onChange={form.setTrigger} />
        )}
        {form.fields ? (
          <SchemaForm
            fields={form.fields}
            draft={form.draft}
            wrong={{ ...byField(errors, "/input"), ...form.wrong }}
            onChange={form.setDraft}
          />
        ) : (
          <JsonInput text={form.text} wrong={form.wrong.input} onText={form.setText} />
        )}
        {form.fields?.length === 0 && <p className="muted">It needs no input.</p>}
        <div className="bar">
          <button type="submit" className="button primary" disabled={start.isPending || form.triggers.length === 0}>
            <Play aria-hidden /> {start.isPending ? "Starting…" : "Start the run"}
          </button>
          {form.triggers.length === 0 && (
            <span className="muted">It has no trigger that is started by hand; its webhooks start it.</span>
          )}
        </div>
      </form>
    </Pane>
  );
}

/** What is typed into the form, begun with the input of an earlier run if one is named. */
function useRunDraft(detail: WorkflowDetail, like: string | undefined) {
  const file = detail.file as WorkflowFile;
  const fields = useMemo(() => fieldsOf(file.input), [file.input]);
  const triggers = useMemo(() => manualTriggers(file), [file]);
  const [trigger, setTrigger] = useState(triggers[0]);
  const [draft, setDraft] = useState<Draft>({});
  const [text, setText] = useState("{}");
  const [wrong, setWrong] = useState<Record<string, string>>({});
  const begun = useRef(false);
  const model = useQuery({
    queryKey: keys.run(like ?? ""),
    queryFn: ({ signal }) => take(api.GET("/runs/{run_id}", { params: { path: { run_id: like ?? "" } }, signal })),
    enabled: like !== undefined,
  });
  useEffect(() => {
    // Only once: what is typed must not be replaced.
    if (!model.data || begun.current) return;
    begun.current = true;
    const input = model.data.input as Record<string, unknown> | null;
    setText(JSON.stringify(input ?? {}, null, 2));
    setDraft(Object.fromEntries((fields ?? []).map((field) => [field.name, draftOf(field, input?.[field.name])])));
  }, [model.data, fields]);
  const read = (): { value: unknown } | undefined => {
    if (fields) {
      const result = readForm(fields, draft);
      setWrong(result.wrong);
      return Object.keys(result.wrong).length ? undefined : { value: result.value };
    }
    try {
      const value: unknown = JSON.parse(text);
      setWrong({});
      return { value };
    } catch (error) {
      setWrong({ input: `This is no JSON: ${error instanceof Error ? error.message : error}` });
      return undefined;
    }
  };
  return { fields, triggers, trigger, setTrigger, draft, setDraft, text, setText, wrong, read };
}

interface TriggerSelectProps {
  triggers: string[];
  value: string | undefined;
  onChange: (trigger: string) => void;
}

function TriggerSelect({ triggers, value, onChange }: TriggerSelectProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>Begin with</label>
      <select id={id} className="input" value={value} onChange={(event) => onChange(event.target.value)}>
        {triggers.map((each) => (
          <option key={each}>{each}</option>
        ))}
      </select>
    </div>
  );
}

function JsonInput({
  text,
  wrong,
  onText,
}: {
  text: string;
  wrong: string | undefined;
  onText: (text: string) => void;
}) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>Input</label>
      <textarea
        id={id}
        className="input mono"
        rows={12}
        spellCheck={false}
        aria-invalid={wrong !== undefined}
        aria-describedby={`${id}-hint`}
        value={text}
        onChange={(event) => onText(event.target.value)}
      />
      <span id={`${id}-hint`}>
        <span className="hint">JSON. The workflow's file names no schema, so any value goes. </span>
        {wrong && <span className="wrong">{wrong}</span>}
      </span>
    </div>
  );
}
