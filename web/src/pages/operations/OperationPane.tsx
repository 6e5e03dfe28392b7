// One operation: what it does, and a form to call it.
import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Play } from "lucide-react";
import { type FormEvent, useMemo, useState } from "react";
import { BASE, raw } from "@/api/client";
import { asApiError } from "@/api/problem";
import type { OperationInfo } from "@/api/types";
import { changesOf } from "@/lib/diff";
import { curl, httpCall } from "@/lib/operation-call";
import { byField, type Draft, fieldsOf, readForm } from "@/lib/schema-form";
import { Confirm } from "@/ui/Dialog";
import { Changes } from "@/ui/Diff";
import { JsonView } from "@/ui/JsonView";
import { Pane } from "@/ui/Pane";
import { ProblemNotice } from "@/ui/Problem";
import { CopyId } from "@/ui/parts";
import { SchemaForm } from "@/ui/SchemaForm";
import { useOperations } from "./queries";
import { listRoute, paneRoute } from "./route";

export function OperationPane() {
  const { operation } = paneRoute.useParams();
  const search = listRoute.useSearch();
  const navigate = useNavigate();
  const query = useOperations();
  const found = query.data?.find((op) => op.name === operation);
  return (
    <Pane
      label={`Operation ${operation}`}
      title={<h2 className="mono clip">{operation}</h2>}
      onClose={() => void navigate({ to: "/operations", search })}
    >
      {found && <Caller key={found.name} operation={found} />}
      {query.isPending && <span className="skeleton" role="status" aria-label="Loading" />}
      {query.data && !found && <p className="muted">There is no such operation, or you may not call it.</p>}
    </Pane>
  );
}

function Caller({ operation }: { operation: OperationInfo }) {
  const fields = useMemo(() => fieldsOf(operation.input_schema) ?? [], [operation]);
  const [draft, setDraft] = useState<Draft>({});
  const [wrong, setWrong] = useState<Record<string, string>>({});
  const [asking, setAsking] = useState(false);
  const call = useMutation({
    mutationFn: async () => {
      const http = httpCall(operation, readForm(fields, draft).value);
      if (!http) throw new Error("This operation is not served by REST.");
      return { answer: await raw(http.method, http.path, http.body) };
    },
    onSettled: () => setAsking(false),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const result = readForm(fields, draft);
    setWrong(result.wrong);
    if (Object.keys(result.wrong).length) return;
    if (operation.destructive) setAsking(true);
    else call.mutate();
  };
  const found = call.error ? byField(asApiError(call.error).problem.errors ?? []) : {};
  return (
    <div className="stack wide">
      <p>{operation.about}</p>
      <div className="bar wrap">
        <span className="chip">{operation.effect}</span>
        {operation.destructive && <span className="chip bad">deletes</span>}
        {operation.permission && <span className="chip">{operation.permission}</span>}
      </div>
      {operation.rest ? (
        <form className="stack wide" onSubmit={submit} noValidate>
          <SchemaForm fields={fields} draft={draft} wrong={{ ...found, ...wrong }} onChange={setDraft} />
          <div className="bar wrap">
            <button
              type="submit"
              className={`button ${operation.destructive ? "danger" : "primary"}`}
              disabled={call.isPending}
            >
              <Play aria-hidden /> {call.isPending ? "Calling…" : "Call"}
            </button>
            <CurlButton operation={operation} input={readForm(fields, draft).value} />
          </div>
        </form>
      ) : (
        <p className="muted">It has no REST path; agents, workflows and the command line call it by its name.</p>
      )}
      {call.error && <ProblemNotice error={call.error} what="The call was refused" />}
      {call.data && <Answer answer={call.data.answer} />}
      {asking && (
        <Confirm
          danger
          title={`${operation.title}?`}
          text="This operation deletes or revokes something."
          action="Go on"
          busy={call.isPending}
          onConfirm={() => call.mutate()}
          onClose={() => setAsking(false)}
        />
      )}
    </div>
  );
}

function CurlButton({ operation, input }: { operation: OperationInfo; input: Record<string, unknown> }) {
  const http = httpCall(operation, input);
  if (!http) return null;
  return <CopyId id={curl(http, `${location.origin}${BASE}`)} label="Copy as curl" />;
}

function Answer({ answer }: { answer: unknown }) {
  const found = changesOf(answer);
  return (
    <section className="stack">
      <h3>Answer</h3>
      {found && <Changes changes={found.changes} titles={found.titles} />}
      {answer === undefined ? (
        <p className="muted">Done; there is nothing to show.</p>
      ) : (
        <JsonView value={answer} label="Answer" />
      )}
    </section>
  );
}
