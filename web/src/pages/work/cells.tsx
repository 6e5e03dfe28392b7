// Cells of the task list that one edits in place.
import { ChevronDown, ChevronRight } from "lucide-react";
import { useId, useState } from "react";
import type { Priority, Task, TaskStatus } from "@/api/types";
import { localTime } from "@/lib/schema-form";
import { isOver, PRIORITIES, TASK_STATUSES } from "@/lib/task-filter";
import { day, exact } from "@/lib/time";
import { usePeople } from "@/ui/ActorName";
import { Status, wordOf } from "@/ui/Status";
import type { TaskFields } from "./actions";

export type Edit = (task: Task, fields: TaskFields, label: string) => void;

interface ChoiceProps<T extends string> {
  value: T;
  values: readonly T[];
  label: string;
  iconOnly?: boolean;
  disabled?: boolean;
  onChange: (value: T) => void;
}

/** The mark and word of a state with the system's own menu on it: quick to draw, and it works with keys and thumbs. */
export function Choice<T extends string>({ value, values, label, iconOnly, disabled, onChange }: ChoiceProps<T>) {
  return (
    <span className="cell-choice">
      <Status status={value} iconOnly={iconOnly} />
      <select
        aria-label={label}
        title={wordOf(value)}
        tabIndex={-1}
        value={value}
        disabled={disabled}
        onChange={(event) => onChange(event.target.value as T)}
      >
        {values.map((each) => (
          <option key={each} value={each}>
            {wordOf(each)}
          </option>
        ))}
      </select>
    </span>
  );
}

interface CellProps {
  task: Task;
  edit: Edit;
  disabled?: boolean;
}

export function StatusCell({ task, edit, disabled, iconOnly }: CellProps & { iconOnly?: boolean }) {
  return (
    <Choice<TaskStatus>
      label={`Status of ${task.title}`}
      value={task.status}
      values={TASK_STATUSES}
      iconOnly={iconOnly}
      disabled={disabled}
      onChange={(status) => edit(task, { status }, `“${task.title}” is ${wordOf(status).toLowerCase()}`)}
    />
  );
}

export function PriorityCell({ task, edit, disabled }: CellProps) {
  return (
    <Choice<Priority>
      label={`Priority of ${task.title}`}
      value={task.priority}
      values={PRIORITIES}
      disabled={disabled}
      onChange={(priority) =>
        edit(task, { priority }, `“${task.title}” has ${wordOf(priority).toLowerCase()} priority`)
      }
    />
  );
}

interface InlineTextProps {
  value: string;
  label: string;
  type?: "text" | "datetime-local" | "date";
  /** What one may choose instead of typing it. */
  offers?: readonly string[];
  empty?: string;
  shown?: string;
  title?: string;
  disabled?: boolean;
  onSave: (value: string) => void;
}

/** Text that turns into a field when clicked; Enter saves, Escape leaves it as it was. */
export function InlineText({
  value,
  label,
  type = "text",
  offers,
  empty = "–",
  shown,
  title,
  disabled,
  onSave,
}: InlineTextProps) {
  const [editing, setEditing] = useState(false);
  if (editing)
    return (
      <InlineInput
        value={value}
        label={label}
        type={type}
        offers={offers}
        onSave={onSave}
        onDone={() => setEditing(false)}
      />
    );
  return (
    <button
      type="button"
      className={`cell-text clip${value ? "" : " faint"}`}
      tabIndex={-1}
      disabled={disabled}
      aria-label={`${label}: ${shown ?? (value || "empty")}. Edit`}
      title={title}
      onClick={() => setEditing(true)}
    >
      {(shown ?? value) || empty}
    </button>
  );
}

interface InlineInputProps {
  value: string;
  label: string;
  type?: "text" | "datetime-local" | "date";
  offers?: readonly string[];
  onSave: (value: string) => void;
  onDone: () => void;
}

export function InlineInput({ value, label, type = "text", offers, onSave, onDone }: InlineInputProps) {
  const [typed, setTyped] = useState(value);
  const list = useId();
  const finish = (save: boolean) => {
    onDone();
    if (save && typed.trim() !== value) onSave(typed.trim());
  };
  const input = (
    <input
      className="input small"
      type={type}
      list={offers ? list : undefined}
      aria-label={label}
      value={typed}
      // biome-ignore lint/a11y/noAutofocus: it stands where one just clicked or pressed a key to edit.
      autoFocus
      onFocus={(event) => event.target.select?.()}
      onChange={(event) => setTyped(event.target.value)}
      onBlur={() => finish(true)}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Enter") finish(true);
        if (event.key === "Escape") finish(false);
      }}
    />
  );
  if (!offers) return input;
  return (
    <>
      {input}
      <datalist id={list}>
        {offers.map((offer) => (
          <option key={offer} value={offer} />
        ))}
      </datalist>
    </>
  );
}

export function AssigneeCell({ task, edit, disabled }: CellProps) {
  const people = usePeople();
  return (
    <InlineText
      label={`Who does ${task.title}`}
      value={task.assignee ?? ""}
      offers={people}
      disabled={disabled}
      onSave={(text) =>
        edit(task, { assignee: text || null }, text ? `“${task.title}” is ${text}'s` : `“${task.title}” is nobody's`)
      }
    />
  );
}

export function DueCell({ task, edit, disabled }: CellProps) {
  const due = task.due_date;
  const late = due !== null && new Date(due) < new Date() && !isOver(task);
  return (
    <span className={late ? "tone-bad" : undefined}>
      <InlineText
        type="datetime-local"
        label={`When ${task.title} is due`}
        value={due ? localTime(due) : ""}
        shown={due ? `${day(due)}${late ? ", late" : ""}` : undefined}
        title={due ? exact(due) : undefined}
        disabled={disabled}
        onSave={(text) =>
          edit(task, { due_date: text ? new Date(text).toISOString() : null }, `“${task.title}” has another date`)
        }
      />
    </span>
  );
}

export function ScheduledCell({ task, edit, disabled }: CellProps) {
  const at = task.scheduled_date;
  return (
    <InlineText
      type="datetime-local"
      label={`Scheduled time of ${task.title}`}
      value={at ? localTime(at) : ""}
      shown={at ? day(at) : undefined}
      title={at ? exact(at) : undefined}
      disabled={disabled}
      onSave={(text) =>
        edit(task, { scheduled_date: text ? new Date(text).toISOString() : null }, `“${task.title}” is scheduled anew`)
      }
    />
  );
}

interface FoldProps {
  children: number;
  open: boolean;
  onFold: () => void;
}

export function Fold({ children, open, onFold }: FoldProps) {
  if (children === 0) return <span className="cell-fold" />;
  return (
    <button
      type="button"
      className="cell-fold"
      tabIndex={-1}
      aria-label={open ? "Close" : `Open, ${children} below`}
      onClick={onFold}
    >
      {open ? <ChevronDown /> : <ChevronRight />}
    </button>
  );
}
