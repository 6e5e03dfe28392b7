// What an agent may call, by name or pattern, and before what it asks.
import { Plus, TriangleAlert, Wrench, X } from "lucide-react";
import { useId, useMemo, useState } from "react";
import type { AskWhen, ToolRule } from "@/api/agents-types";
import { asks, type Callable, fits, isPattern, nouns, reach, ruleFor } from "@/lib/tool-patterns";
import { useOperations } from "@/pages/operations/queries";
import { ProblemNotice } from "@/ui/Problem";
import { useTools } from "./queries";

interface ToolsPickerProps {
  /** Of an agent that is as it was saved: the server then says what the patterns come to. */
  agentId: string | undefined;
  rules: readonly ToolRule[];
  onChange: (rules: ToolRule[]) => void;
  wrong?: string;
}

const ASKS: { value: AskWhen; label: string }[] = [
  { value: "changes", label: "asks before changes" },
  { value: "always", label: "always asks" },
  { value: "never", label: "never asks" },
];

const MOST_FOUND = 40;
const MOST_GROUPS = 12;

export function ToolsPicker({ agentId, rules, onChange, wrong }: ToolsPickerProps) {
  const operations = useOperations();
  const all = useMemo<Callable[]>(() => operations.data ?? [], [operations.data]);
  const reached = useMemo(() => reach(rules, all), [rules, all]);
  const set = (name: string, approval: AskWhen) =>
    onChange(rules.map((rule) => (rule.name === name ? { ...rule, approval } : rule)));
  const add = (name: string) => {
    if (!rules.some((rule) => rule.name === name)) onChange([...rules, { name, approval: "changes" }]);
  };
  return (
    <fieldset className="tools">
      <legend>Tools</legend>
      {rules.length === 0 && (
        <p className="muted">It may call nothing yet, and only talks. Search below for what it should be able to do.</p>
      )}
      <ul className="tools-rules">
        {rules.map((rule) => (
          <li key={rule.name}>
            <Wrench aria-hidden size={14} />
            <code className="grow clip">{rule.name}</code>
            <Reach rule={rule} count={reached.get(rule.name)} known={operations.data !== undefined} />
            <select
              className="input small"
              aria-label={`Whether ${rule.name} asks`}
              value={rule.approval ?? "changes"}
              onChange={(event) => set(rule.name, event.target.value as AskWhen)}
            >
              {ASKS.map((each) => (
                <option key={each.value} value={each.value}>
                  {each.label}
                </option>
              ))}
            </select>
            <button
              type="button"
              className="button small quiet icon"
              aria-label={`Take ${rule.name} away`}
              onClick={() => onChange(rules.filter((other) => other.name !== rule.name))}
            >
              <X />
            </button>
          </li>
        ))}
      </ul>
      {wrong && <span className="wrong">{wrong}</span>}
      <Finder all={all} rules={rules} onAdd={add} />
      {rules.length > 0 && <Resolved agentId={agentId} rules={rules} all={all} />}
    </fieldset>
  );
}

function Reach({ rule, count, known }: { rule: ToolRule; count: number | undefined; known: boolean }) {
  if (!known) return null;
  // Tools of other servers are not in this page's list.
  if (!count && rule.name.startsWith("mcp.")) return <span className="faint">from elsewhere</span>;
  if (!count) {
    return (
      <span className="chip wait">
        <TriangleAlert aria-hidden size={12} /> matches nothing
      </span>
    );
  }
  return rule.name.endsWith("*") ? <span className="faint">{count} operations</span> : null;
}

interface FinderProps {
  all: readonly Callable[];
  rules: readonly ToolRule[];
  onAdd: (name: string) => void;
}

function Finder({ all, rules, onAdd }: FinderProps) {
  const id = useId();
  const [text, setText] = useState("");
  const sought = text.trim().toLowerCase();
  const patterns = useMemo(() => nouns(all).map((noun) => `${noun}.*`), [all]);
  const found = useMemo(() => {
    if (!sought) return [];
    return all.filter((each) => `${each.name} ${each.title} ${each.about ?? ""}`.toLowerCase().includes(sought));
  }, [all, sought]);
  const groups = sought ? patterns.filter((pattern) => pattern.includes(sought.replace(/\.?\*?$/, ""))) : patterns;
  const has = (name: string) => rules.some((rule) => rule.name === name);
  const take = (name: string) => {
    onAdd(name);
    setText("");
  };
  return (
    <div className="field">
      <label htmlFor={id} className="hidden-text">
        Search operations
      </label>
      <input
        id={id}
        className="input"
        type="search"
        autoComplete="off"
        placeholder="Search operations, or type a pattern such as tasks.* and press Enter"
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== "Enter") return;
          event.preventDefault();
          const only = found.length === 1 ? found[0]?.name : undefined;
          if (text.includes(".") && isPattern(text.trim())) take(text.trim());
          else if (only) take(only);
        }}
      />
      <div className="bar wrap tools-groups">
        {groups.slice(0, MOST_GROUPS).map((pattern) => (
          <button
            key={pattern}
            type="button"
            className="button small"
            disabled={has(pattern)}
            onClick={() => onAdd(pattern)}
          >
            <Plus aria-hidden /> {pattern}
          </button>
        ))}
      </div>
      {sought && (
        <ul className="tools-found" aria-label="Operations found">
          {found.slice(0, MOST_FOUND).map((each) => (
            <li key={each.name}>
              <button type="button" disabled={has(each.name)} onClick={() => onAdd(each.name)}>
                <code>{each.name}</code>
                <span className="clip grow muted">{each.title}</span>
                <Effect operation={each} />
                {has(each.name) ? <span className="faint">has it</span> : <Plus aria-label="add" size={14} />}
              </button>
            </li>
          ))}
          {found.length === 0 && <li className="muted tools-none">No operation is called that.</li>}
          {found.length > MOST_FOUND && <li className="muted tools-none">and {found.length - MOST_FOUND} more</li>}
        </ul>
      )}
    </div>
  );
}

function Effect({ operation }: { operation: Pick<Callable, "effect" | "destructive"> }) {
  if (operation.destructive) return <span className="chip bad">deletes</span>;
  if (operation.effect === "read") return <span className="chip">reads</span>;
  return <span className="chip wait">{operation.effect === "write" ? "changes" : "reaches out"}</span>;
}

/** What the rules come to: said by the server for what is saved, reckoned here for what is not. */
function Resolved({
  agentId,
  rules,
  all,
}: {
  agentId: string | undefined;
  rules: readonly ToolRule[];
  all: readonly Callable[];
}) {
  const told = useTools(agentId);
  const reckoned = useMemo(
    () =>
      all
        .filter((each) => rules.some((rule) => fits(rule.name, each.name)))
        .map((each) => ({ ...each, asks: asks(ruleFor(rules, each.name)?.approval, each) })),
    [all, rules],
  );
  const items = told.data?.items ?? reckoned;
  const asking = items.filter((item) => item.asks).length;
  return (
    <details className="tools-resolved">
      <summary>
        {items.length} {items.length === 1 ? "operation" : "operations"}, {asking} of them{" "}
        {asking === 1 ? "asks" : "ask"} first
        {!agentId && " (once saved)"}
      </summary>
      {told.error && <ProblemNotice error={told.error} what="The server could not say what they come to" />}
      {told.data && told.data.unknown.length > 0 && (
        <p className="tone-wait">
          Nothing is called {told.data.unknown.join(", ")}. An MCP server may be away, or the name mistyped.
        </p>
      )}
      <ul className="tools-found">
        {items.map((item) => (
          <li key={item.name} className="tools-item">
            <code>{item.name}</code>
            <span className="clip grow muted">{item.title}</span>
            <Effect operation={item} />
            <span className={item.asks ? "tone-wait" : "faint"}>{item.asks ? "asks" : "does not ask"}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}
