// How a task comes again: told in words, changed in a small form.
import { Repeat } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import type { Recurrence, Task } from "@/api/types";
import { inUnit, nameOfDay, newRule, ruleInWords, WEEKDAYS, withWeekday } from "@/lib/recurrence";
import { dayOf } from "@/lib/work-time";
import { Dialog } from "@/ui/Dialog";
import type { Edit } from "./cells";

const UNITS = ["day", "week", "month"] as const;

export function RecurrenceField({ task, edit, disabled }: { task: Task; edit: Edit; disabled: boolean }) {
  const [open, setOpen] = useState(false);
  const words = task.recurrence ? ruleInWords(task.recurrence) : undefined;
  return (
    <>
      <button
        type="button"
        className={`cell-text clip${words ? "" : " faint"}`}
        disabled={disabled}
        aria-label={`How it comes again: ${words ?? "never"}. Edit`}
        title={words}
        onClick={() => setOpen(true)}
      >
        {words ? (
          <>
            <Repeat size={14} aria-hidden className="repeat" /> {words}
          </>
        ) : (
          "–"
        )}
      </button>
      {open && (
        <RuleForm
          rule={task.recurrence}
          onClose={() => setOpen(false)}
          onSave={(recurrence) => {
            setOpen(false);
            const label = recurrence
              ? `“${task.title}” comes ${ruleInWords(recurrence)}`
              : `“${task.title}” comes once`;
            edit(task, { recurrence }, label);
          }}
        />
      )}
    </>
  );
}

interface RuleFormProps {
  rule: Recurrence | null;
  onSave: (rule: Recurrence | null) => void;
  onClose: () => void;
}

function RuleForm({ rule: before, onSave, onClose }: RuleFormProps) {
  const [rule, setRule] = useState<Recurrence>(before ?? newRule("week"));
  const ids = { every: useId(), unit: useId(), month: useId(), from: useId(), until: useId() };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSave(rule);
  };
  return (
    <Dialog
      small
      title="Comes again"
      onClose={onClose}
      foot={
        <>
          {before && (
            <button type="button" className="button" onClick={() => onSave(null)}>
              Only once
            </button>
          )}
          <button type="submit" form={`${ids.every}-form`} className="button primary">
            Save
          </button>
        </>
      }
    >
      <form id={`${ids.every}-form`} className="stack wide" onSubmit={submit}>
        <div className="bar">
          <label htmlFor={ids.every}>Every</label>
          <input
            id={ids.every}
            className="input rule-every"
            type="number"
            min={1}
            max={365}
            required
            value={rule.every || ""}
            onChange={(event) => setRule({ ...rule, every: Number(event.target.value) })}
          />
          <label htmlFor={ids.unit} className="hidden-text">
            Unit
          </label>
          <select
            id={ids.unit}
            className="input"
            value={rule.unit}
            onChange={(event) => setRule(inUnit(rule, event.target.value as Recurrence["unit"]))}
          >
            {UNITS.map((unit) => (
              <option key={unit} value={unit}>
                {rule.every === 1 ? unit : `${unit}s`}
              </option>
            ))}
          </select>
        </div>
        {rule.unit === "week" && (
          <fieldset className="weekdays">
            <legend>On; on the day it was due unless chosen</legend>
            {WEEKDAYS.map((weekday) => (
              <label key={weekday} className="check">
                <input
                  type="checkbox"
                  checked={rule.weekdays?.includes(weekday) ?? false}
                  onChange={(event) => setRule(withWeekday(rule, weekday, event.target.checked))}
                />
                {nameOfDay(weekday)}
              </label>
            ))}
          </fieldset>
        )}
        {rule.unit === "month" && (
          <div className="field">
            <label htmlFor={ids.month}>Day of the month</label>
            <input
              id={ids.month}
              className="input rule-every"
              type="number"
              min={1}
              max={31}
              placeholder="–"
              value={rule.month_day ?? ""}
              onChange={(event) => setRule({ ...rule, month_day: Number(event.target.value) || null })}
            />
            <span className="hint">The last one of a shorter month; the day it was due unless given.</span>
          </div>
        )}
        <div className="field">
          <label htmlFor={ids.from}>Reckoned from</label>
          <select
            id={ids.from}
            className="input"
            value={rule.from}
            onChange={(event) => setRule({ ...rule, from: event.target.value as Recurrence["from"] })}
          >
            <option value="due">when it was due</option>
            <option value="completion">when it was done</option>
          </select>
        </div>
        <div className="field">
          <label htmlFor={ids.until}>Until, and not after</label>
          <input
            id={ids.until}
            className="input"
            type="date"
            value={rule.until ? dayOf(new Date(rule.until)) : ""}
            onChange={(event) => {
              const day = event.target.value;
              setRule({ ...rule, until: day ? new Date(`${day}T23:59:59`).toISOString() : null });
            }}
          />
        </div>
        <p className="muted">It comes {ruleInWords(rule)}. When it is done, the next one is made.</p>
      </form>
    </Dialog>
  );
}
