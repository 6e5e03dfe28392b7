// A step that works through a list, or runs another workflow: how far it is, what failed first, and the runs it began.
import { Link } from "@tanstack/react-router";
import { ChevronLeft, ChevronRight, ExternalLink } from "lucide-react";
import { useMemo, useState } from "react";
import type { Run, Step } from "@/api/types";
import { childRunOf, childWord } from "@/lib/agent-steps";
import { type Counts, countsOf, failuresFirst, groupOf, type ItemGroup, totalOf } from "@/lib/items";
import { between, duration } from "@/lib/time";
import { errorOf } from "@/pages/runs/queries";
import { FilterSelect, shortId } from "@/ui/parts";
import { Status, StatusIcon } from "@/ui/Status";
import { useRun, useStep } from "./queries";

const PAGE = 50;

const GROUPS: { value: ItemGroup; label: string }[] = [
  { value: "failed", label: "Failed" },
  { value: "busy", label: "Under way" },
  { value: "done", label: "Done" },
];

interface ItemsProps {
  run: Run;
  step: Step;
  items: readonly Step[];
  onChoose: (path: string) => void;
}

export function Items({ run, step, items, onChoose }: ItemsProps) {
  const [group, setGroup] = useState<ItemGroup>();
  const [page, setPage] = useState(0);
  const given = useStep(run.id, step).data?.input;
  const counts = countsOf(items, totalOf(step.output, given));
  const rows = useMemo(() => failuresFirst(items).filter((item) => !group || groupOf(item) === group), [items, group]);
  // The list may have become shorter since.
  const at = Math.min(page, Math.max(0, Math.ceil(rows.length / PAGE) - 1));
  return (
    <div className="stack items">
      <Progress counts={counts} />
      {items.length > 1 && (
        <div className="bar wrap">
          <FilterSelect
            label="Which items"
            all={`All ${items.length} begun`}
            value={group}
            options={GROUPS.map(({ value, label }) => ({ value, label: `${label} (${counts[value]})` }))}
            onChange={(next) => {
              setGroup(next);
              setPage(0);
            }}
          />
          <span className="grow" />
          {rows.length > PAGE && <Pager page={at} count={rows.length} onPage={setPage} />}
        </div>
      )}
      {rows.length === 0 && (
        <p className="muted inspector-none">{group ? "None of them is." : "No item has begun yet."}</p>
      )}
      {rows.length > 0 && (
        <ol className="inside">
          {rows.slice(at * PAGE, (at + 1) * PAGE).map((item) => (
            <ItemRow key={item.path} item={item} onChoose={onChoose} />
          ))}
        </ol>
      )}
    </div>
  );
}

function Pager({ page, count, onPage }: { page: number; count: number; onPage: (page: number) => void }) {
  const last = Math.ceil(count / PAGE) - 1;
  return (
    <div className="bar">
      <button
        type="button"
        className="button small quiet icon"
        aria-label="Page before"
        disabled={page <= 0}
        onClick={() => onPage(page - 1)}
      >
        <ChevronLeft />
      </button>
      <span className="muted">
        {page * PAGE + 1}–{Math.min(count, (page + 1) * PAGE)} of {count}
      </span>
      <button
        type="button"
        className="button small quiet icon"
        aria-label="Next page"
        disabled={page >= last}
        onClick={() => onPage(page + 1)}
      >
        <ChevronRight />
      </button>
    </div>
  );
}

function Progress({ counts: { total, done, failed, busy, left } }: { counts: Counts }) {
  const share = (count: number) => ({ width: `${total === 0 ? 0 : (count / total) * 100}%` });
  const rest = [failed > 0 && `${failed} failed`, busy > 0 && `${busy} under way`, left > 0 && `${left} to come`];
  return (
    <div className="stack">
      <div>
        <strong>
          {done + failed} of {total}
        </strong>{" "}
        {total === 1 ? "item" : "items"} worked through
        {rest.filter(Boolean).length > 0 && <span className="muted"> – {rest.filter(Boolean).join(", ")}</span>}
      </div>
      <div
        className="progress"
        role="progressbar"
        aria-label="Items worked through"
        aria-valuemin={0}
        aria-valuemax={total}
        aria-valuenow={done + failed}
      >
        <span className="bar-bad" style={share(failed)} />
        <span className="bar-good" style={share(done)} />
        <span className="bar-busy" style={share(busy)} />
      </div>
    </div>
  );
}

function ItemRow({ item, onChoose }: { item: Step; onChoose: (path: string) => void }) {
  const took = between(item.started_at, item.finished_at);
  const why = item.status === "failed" ? errorOf(item.error)?.message : undefined;
  const child = childRunOf(item);
  return (
    <li className="item-row">
      <button type="button" className="inside-row" onClick={() => onChoose(item.path)}>
        <StatusIcon status={item.status} />
        <span className="item-name">{childWord(item)}</span>
        <span className={`clip grow${why ? " tone-bad" : " faint"}`}>{why ?? child?.workflow ?? ""}</span>
        <span className="faint num">{took === undefined ? "" : duration(took)}</span>
        <span className="hidden-text">{item.status}</span>
      </button>
      {child?.id && (
        <Link
          to="/runs/$runId"
          params={{ runId: child.id }}
          className="button small quiet icon"
          aria-label={`The run of ${childWord(item).toLowerCase()}`}
          title="Open its run"
        >
          <ExternalLink />
        </Link>
      )}
    </li>
  );
}

/** The run that a part of a step is, as a row of its facts. */
export function RunOf({ step }: { step: Step | undefined }) {
  const child = step && childRunOf(step);
  const run = useRun(child?.id);
  if (!child) return null;
  return (
    <>
      <dt>Its run</dt>
      <dd className="bar wrap">
        {child.id ? (
          <Link to="/runs/$runId" params={{ runId: child.id }} className="link">
            {child.workflow} {shortId(child.id)}
          </Link>
        ) : (
          <span>{child.workflow}, not begun</span>
        )}
        {run.data && <Status status={run.data.status} />}
      </dd>
    </>
  );
}
