import type { ReactNode } from "react";
import type { Task } from "@/api/types";
import { usePhone } from "@/ui/useMedia";
import { type Edit, InlineInput, StatusCell } from "./cells";

interface TitleCellProps {
  task: Task;
  edit: Edit;
  editing: boolean;
  disabled: boolean;
  onEditing: (editing: boolean) => void;
  lead?: ReactNode;
  faint?: boolean;
}

/** The title, with its state beside it where there is no column for that. */
export function TitleCell({ task, edit, editing, disabled, onEditing, lead, faint }: TitleCellProps) {
  const phone = usePhone();
  const tags = (task.tags as string[] | null) ?? [];
  return (
    <div className="bar title-cell">
      {lead}
      {phone && <StatusCell task={task} edit={edit} iconOnly disabled={disabled} />}
      {editing ? (
        <InlineInput
          value={task.title}
          label="Title"
          onSave={(title) => title && edit(task, { title }, "The title was changed")}
          onDone={() => onEditing(false)}
        />
      ) : (
        // biome-ignore lint/a11y/noStaticElementInteractions: a short cut for the pointer; `e` does it with keys.
        <span
          className={`clip${faint ? " faint" : ""}${task.status === "done" || task.status === "cancelled" ? " is-over" : ""}`}
          onDoubleClick={() => !disabled && onEditing(true)}
        >
          {task.title}
        </span>
      )}
      {!phone &&
        tags.slice(0, 2).map((tag) => (
          <span key={tag} className="chip">
            {tag}
          </span>
        ))}
    </div>
  );
}
