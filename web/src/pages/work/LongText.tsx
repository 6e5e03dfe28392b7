// Longer texts, edited in place.
import { Pencil } from "lucide-react";
import { useEffect, useId, useState } from "react";
import { Markdown } from "@/ui/Markdown";

interface LongTextProps {
  label: string;
  value: string;
  rows: number;
  disabled: boolean;
  heading?: boolean;
  most: number;
  focus?: boolean;
  onSave: (value: string) => void;
  onDone?: () => void;
}

/** A text that is saved when one leaves it. What comes from others meanwhile does not overwrite what is being typed. */
export function LongText({ label, value, rows, disabled, heading, most, focus, onSave, onDone }: LongTextProps) {
  const [typed, setTyped] = useState(value);
  const [dirty, setDirty] = useState(false);
  const id = useId();
  useEffect(() => {
    if (!dirty) setTyped(value);
  }, [value, dirty]);
  const finish = () => {
    setDirty(false);
    if (typed.trim() !== value.trim()) onSave(typed.trim());
    onDone?.();
  };
  return (
    <div className="field">
      <label htmlFor={id} className={heading ? "hidden-text" : undefined}>
        {label}
      </label>
      <textarea
        id={id}
        className={heading ? "input task-title" : "input"}
        rows={rows}
        disabled={disabled}
        maxLength={most}
        value={typed}
        // biome-ignore lint/a11y/noAutofocus: it stands where one just asked to edit.
        autoFocus={focus}
        onChange={(event) => {
          setDirty(true);
          setTyped(event.target.value);
        }}
        onBlur={finish}
        onKeyDown={(event) => {
          const send = event.key === "Enter" && (heading || event.metaKey || event.ctrlKey);
          if (event.key === "Escape") setTyped(value);
          if (send || event.key === "Escape") {
            event.preventDefault();
            event.stopPropagation();
            event.currentTarget.blur();
          }
        }}
      />
    </div>
  );
}

interface DescriptionProps {
  value: string;
  disabled: boolean;
  onSave: (value: string) => void;
}

/** Markdown to read, which turns into a field; an empty one is a field at once. */
export function Description({ value, disabled, onSave }: DescriptionProps) {
  const [editing, setEditing] = useState(false);
  if (!value && disabled) return null;
  if (!value || editing) {
    return (
      <LongText
        label="Description"
        value={value}
        rows={editing ? 10 : 3}
        disabled={disabled}
        most={20_000}
        focus={editing}
        onSave={onSave}
        onDone={() => setEditing(false)}
      />
    );
  }
  return (
    <section aria-label="Description" className="stack">
      <div className="section-head">
        <h3 className="grow">Description</h3>
        {!disabled && (
          <button
            type="button"
            className="button small quiet icon"
            aria-label="Edit the description"
            title="Edit"
            onClick={() => setEditing(true)}
          >
            <Pencil aria-hidden />
          </button>
        )}
      </div>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: a short cut for the pointer; the button does it with keys. */}
      <div onDoubleClick={() => !disabled && setEditing(true)}>
        <Markdown text={value} />
      </div>
    </section>
  );
}
