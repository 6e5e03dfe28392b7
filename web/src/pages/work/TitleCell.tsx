import { Archive, Hourglass, Repeat } from "lucide-react";
import { type ReactNode, useState } from "react";
import type { Task } from "@/api/types";
import { tagsOf } from "@/lib/task-filter";
import { usePhone } from "@/ui/useMedia";
import { type Edit, InlineInput, StatusCell } from "./cells";
import { useDependencies } from "./queries";

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
  const tags = tagsOf(task);
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
      <Marks task={task} />
      {!phone &&
        tags.slice(0, 2).map((tag) => (
          <span key={tag} className="chip">
            {tag}
          </span>
        ))}
    </div>
  );
}

/** What a row tells beside its title: that it waits for others, comes again, or is put away. */
export function Marks({ task }: { task: Task }) {
  return (
    <>
      {task.blocked && <Waits task={task} />}
      {task.recurrence && (
        <span className="row-mark" title="Comes again" role="img" aria-label="Comes again">
          <Repeat aria-hidden />
        </span>
      )}
      {task.archived_at && (
        <span className="chip">
          <Archive size={12} aria-hidden /> archived
        </span>
      )}
    </>
  );
}

/** For what it waits is asked when somebody points at it. */
function Waits({ task }: { task: Task }) {
  const [asked, setAsked] = useState(false);
  const { data } = useDependencies(task.id, asked);
  const open = data?.blocked_by.filter((other) => other.open).map((other) => other.title);
  const label = open?.length ? `Waits for ${open.join(", ")}` : "Waits for another task";
  return (
    <span
      className="row-mark tone-bad"
      role="img"
      aria-label={label}
      title={label}
      onPointerEnter={() => setAsked(true)}
    >
      <Hourglass aria-hidden />
    </span>
  );
}
