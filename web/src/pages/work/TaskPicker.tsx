// Finding one task by its words: a field with a list below it, walked by the arrow keys.
import { useId, useState } from "react";
import type { Task } from "@/api/types";
import { marked } from "@/lib/found-text";
import { ProblemNotice } from "@/ui/Problem";
import { StatusIcon } from "@/ui/Status";
import { Marked } from "./Marked";
import { useFound, useLater } from "./queries";

interface TaskPickerProps {
  label: string;
  /** In this project only. */
  project?: string;
  /** Tasks that make no sense here. */
  without: ReadonlySet<string>;
  onPick: (task: Task) => void;
  onClose?: () => void;
}

const MOST = 20;
const TYPED_MS = 150;

export function TaskPicker({ label, project, without, onPick, onClose }: TaskPickerProps) {
  const id = useId();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const query = useLater(text.trim(), TYPED_MS);
  const found = useFound({ query, project_id: project, limit: MOST });
  const items = query ? (found.data?.items.map((hit) => hit.task).filter((task) => !without.has(task.id)) ?? []) : [];
  const here = items[Math.min(at, items.length - 1)];
  const step = (by: number) => setAt(Math.max(0, Math.min(items.length - 1, at + by)));
  return (
    <div className="picker">
      <input
        className="input small"
        role="combobox"
        aria-label={label}
        aria-expanded={items.length > 0}
        aria-controls={items.length > 0 ? `${id}-list` : undefined}
        aria-activedescendant={here ? `${id}-${here.id}` : undefined}
        placeholder={`${label}: write a few words`}
        value={text}
        maxLength={200}
        // biome-ignore lint/a11y/noAutofocus: it stands where one just asked for it.
        autoFocus
        onChange={(event) => {
          setText(event.target.value);
          setAt(0);
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") step(1);
          else if (event.key === "ArrowUp") step(-1);
          else if (event.key === "Enter" && here) onPick(here);
          else if (event.key === "Escape" && onClose) onClose();
          else return;
          event.preventDefault();
          event.stopPropagation();
        }}
      />
      {found.error && <ProblemNotice error={found.error} what="Nothing could be looked for" />}
      {items.length > 0 && (
        <div id={`${id}-list`} role="listbox" aria-label={label} className="picker-list">
          {items.map((task) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the keys work in the field above.
            <div
              key={task.id}
              id={`${id}-${task.id}`}
              role="option"
              aria-selected={task === here}
              onClick={() => onPick(task)}
            >
              <StatusIcon status={task.status} />
              <span className="clip">
                <Marked parts={marked(task.title, query)} />
              </span>
            </div>
          ))}
        </div>
      )}
      {query && found.data && items.length === 0 && !found.isFetching && (
        <p className="faint" role="status">
          No other task has these words.
        </p>
      )}
    </div>
  );
}
