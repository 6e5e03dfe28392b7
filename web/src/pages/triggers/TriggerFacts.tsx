// One trigger: when it fires, what became of it last, and what one can do with it. For its pane and its workflow's page.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { CirclePause, CirclePlay, KeyRound, Zap } from "lucide-react";
import { useState } from "react";
import { keys as cacheKeys } from "@/api/cache";
import { api, take } from "@/api/client";
import { useMay } from "@/api/session";
import type { EventTrigger, Hook, Schedule } from "@/api/types";
import { useHotkeys } from "@/app/hotkeys";
import { cronWords, inZone, MISSED_WORDS } from "@/lib/cron-words";
import { errorOf } from "@/pages/runs/queries";
import { Confirm, Dialog } from "@/ui/Dialog";
import { CopyId } from "@/ui/parts";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { toast, toastError } from "@/ui/toasts";
import { type Trigger, useFire, useSetStatus, useTurns } from "./queries";
import { schemeWord } from "./TriggersPage";
import "./triggers.css";

/** `named` also tells whose it is. */
export function TriggerFacts({ trigger, named }: { trigger: Trigger; named?: boolean }) {
  const { workflow } = trigger;
  return (
    <dl className="facts">
      {named && workflow && (
        <>
          <dt>Workflow</dt>
          <dd className="bar wrap">
            <Link to="/workflows/$name" params={{ name: workflow.name }} className="link">
              {workflow.title || workflow.name}
            </Link>
            {workflow.status !== "active" && <Status status={workflow.status} />}
          </dd>
        </>
      )}
      {trigger.kind === "schedule" && <ScheduleFacts row={trigger.row} passes={workflow?.status === "paused"} />}
      {trigger.kind === "event" && <EventFacts row={trigger.row} />}
      {trigger.kind === "hook" && <HookFacts row={trigger.row} />}
    </dl>
  );
}

function ScheduleFacts({ row, passes }: { row: Schedule; passes: boolean }) {
  const turns = useTurns(row, row.next_at).data?.turns ?? [];
  return (
    <>
      <dt>When</dt>
      <dd>
        {cronWords(row.cron) ?? "As the expression says"} <code className="faint">{row.cron}</code>
      </dd>
      <dt>Time zone</dt>
      <dd>{row.timezone}</dd>
      <dt>Next turns</dt>
      <dd>
        {turns.length === 0 && !row.next_at && <span className="muted">none: no such day comes</span>}
        {passes && <div className="muted">The workflow is paused: turns pass without a run.</div>}
        <ol className="turns">
          {turns.map((turn) => (
            <li key={turn}>
              {inZone(turn, row.timezone)}{" "}
              <span className="faint">
                <Time at={turn} />
              </span>
            </li>
          ))}
        </ol>
      </dd>
      <dt>Missed turns</dt>
      <dd>{MISSED_WORDS[row.missed] ?? row.missed}</dd>
      <Last row={row} what="turn" />
    </>
  );
}

function EventFacts({ row }: { row: EventTrigger }) {
  return (
    <>
      <dt>On</dt>
      <dd className="bar wrap">
        {row.kinds.map((kind) => (
          <Link key={kind} to="/events" search={{ kinds: kind }} className="chip accent mono">
            {kind}
          </Link>
        ))}
      </dd>
      <dt>Only if</dt>
      <dd>{row.filter ? <code>{row.filter}</code> : <span className="muted">always</span>}</dd>
      <Last row={row} what="event" />
    </>
  );
}

function Last({ row, what }: { row: Schedule | EventTrigger; what: string }) {
  const failure = errorOf(row.failure);
  return (
    <>
      <dt>Last {what}</dt>
      <dd>
        {row.last_at ? <Time at={row.last_at} /> : <span className="muted">none yet</span>}
        {row.last_run_id && (
          <>
            {", "}
            <Link to="/runs/$runId" params={{ runId: row.last_run_id }} className="link">
              its run
            </Link>
          </>
        )}
      </dd>
      {failure && (
        <>
          <dt>Failed</dt>
          <dd className="tone-bad">
            No run could be started: {failure.message} <code>{failure.code}</code>
          </dd>
        </>
      )}
    </>
  );
}

function HookFacts({ row }: { row: Hook }) {
  return (
    <>
      <dt>Address</dt>
      <dd>
        {row.url_path ? (
          <CopyId id={`${location.origin}${row.url_path}`} label={row.url_path} />
        ) : (
          <span className="muted">shown to those who manage webhooks</span>
        )}
      </dd>
      <dt>Signed by</dt>
      <dd>{row.scheme === "none" ? "nobody: whoever knows the address may deliver" : schemeWord(row.scheme)}</dd>
      {row.previous_secret_until && (
        <>
          <dt>Old secret</dt>
          <dd>
            opens it until <Time at={row.previous_secret_until} />
          </dd>
        </>
      )}
      <dt>Repeated</dt>
      <dd>deliveries are recognised for {row.dedupe_hours} hours</dd>
      <dt>Since</dt>
      <dd>
        <Time at={row.created_at} />
        {!row.active && ", takes no deliveries any more"}
      </dd>
    </>
  );
}

/** With `keys`, they answer to the keyboard, too. */
export function TriggerActions({ trigger, keys }: { trigger: Trigger; keys?: boolean }) {
  const may = useMay();
  const navigate = useNavigate();
  const fire = useFire();
  const [asking, setAsking] = useState<"pause" | "rotate">();
  const status = useSetStatus();
  const { workflow } = trigger;
  const canFire = trigger.kind === "schedule" && workflow?.status === "active" && may("workflows:run");
  const canPause = workflow?.status === "active" && may("workflows:write");
  const canResume = workflow?.status === "paused" && may("workflows:write");
  const canRotate =
    trigger.kind === "hook" && trigger.row.scheme !== "none" && trigger.row.active && may("hooks:manage");
  const fireNow = () => {
    if (!canFire || fire.isPending) return;
    fire.mutate(
      { workflow: workflow.name, schedule: trigger.row },
      {
        onSuccess: ({ run_id }) =>
          toast(`“${trigger.node}” was fired.`, {
            action: {
              label: "Open the run",
              run: () => void navigate({ to: "/runs/$runId", params: { runId: run_id } }),
            },
          }),
      },
    );
  };
  const resume = () => workflow && status.mutate({ name: workflow.name, status: "active" });
  useHotkeys(
    keys
      ? [
          ...(canFire ? [{ keys: "f", does: "Fire now", group: "Trigger", run: fireNow }] : []),
          ...(canPause ? [{ keys: "p", does: "Pause", group: "Trigger", run: () => setAsking("pause") }] : []),
          ...(canResume ? [{ keys: "p", does: "Resume", group: "Trigger", run: () => resume() }] : []),
        ]
      : [],
  );
  if (!canFire && !canPause && !canResume && !canRotate) return null;
  return (
    <div className="bar wrap">
      {canFire && (
        <button type="button" className="button small" disabled={fire.isPending} onClick={fireNow}>
          <Zap aria-hidden /> Fire now
        </button>
      )}
      {canPause && (
        <button type="button" className="button small" onClick={() => setAsking("pause")}>
          <CirclePause aria-hidden /> Pause
        </button>
      )}
      {canResume && (
        <button type="button" className="button small primary" disabled={status.isPending} onClick={() => resume()}>
          <CirclePlay aria-hidden /> Resume
        </button>
      )}
      {canRotate && (
        <button type="button" className="button small" onClick={() => setAsking("rotate")}>
          <KeyRound aria-hidden /> New secret
        </button>
      )}
      {asking === "pause" && workflow && (
        <Confirm
          title={`Pause ${workflow.name}?`}
          text="A trigger is paused with its workflow: until it is resumed it takes no runs, by no trigger. Turns of its schedules pass, deliveries are refused, and runs that go on are not touched."
          action="Pause the workflow"
          busy={status.isPending}
          onConfirm={() =>
            status.mutate({ name: workflow.name, status: "paused" }, { onSettled: () => setAsking(undefined) })
          }
          onClose={() => setAsking(undefined)}
        />
      )}
      {asking === "rotate" && trigger.kind === "hook" && (
        <Rotate hook={trigger.row} onClose={() => setAsking(undefined)} />
      )}
    </div>
  );
}

/** Asks, and then shows the new secret: once. */
function Rotate({ hook, onClose }: { hook: Hook; onClose: () => void }) {
  const client = useQueryClient();
  const rotate = useMutation({
    mutationFn: () => take(api.POST("/hooks/{hook_id}/rotate-secret", { params: { path: { hook_id: hook.id } } })),
    onError: (error) => toastError("The secret stays as it was.", error),
    onSettled: () => void client.invalidateQueries({ queryKey: cacheKeys.hooks() }),
  });
  if (!rotate.data) {
    return (
      <Confirm
        title="A new secret for this webhook?"
        text={`It is shown once, for you to enter at ${schemeWord(hook.scheme)}. The secret before it opens the webhook for 24 hours more.`}
        action="Make a new secret"
        busy={rotate.isPending}
        onConfirm={() => rotate.mutate()}
        onClose={onClose}
      />
    );
  }
  const { secret, previous_until } = rotate.data;
  return (
    <Dialog
      small
      firm
      title={`The new secret of “${hook.node}”`}
      onClose={onClose}
      foot={
        <button type="button" className="button primary" onClick={onClose}>
          I have kept it
        </button>
      }
    >
      <div className="stack wide">
        <p>
          <code className="secret">{secret}</code> <CopyId id={secret} label="Copy" />
        </p>
        <p className="muted">
          It is not shown again. The old one works until <Time at={previous_until} />.
        </p>
      </div>
    </Dialog>
  );
}
