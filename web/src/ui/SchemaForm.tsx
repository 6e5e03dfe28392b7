// The fields of a form made from a JSON Schema. What the fields mean is in `lib/schema-form`.
import { useId } from "react";
import type { Draft, Field } from "@/lib/schema-form";

interface SchemaFormProps {
  fields: readonly Field[];
  draft: Draft;
  wrong: Record<string, string>;
  onChange: (draft: Draft) => void;
}

export function SchemaForm({ fields, draft, wrong, onChange }: SchemaFormProps) {
  return (
    <>
      {fields.map((field) => (
        <FieldBox
          key={field.name}
          field={field}
          typed={draft[field.name]}
          wrong={wrong[field.name]}
          onTyped={(typed) => onChange({ ...draft, [field.name]: typed })}
        />
      ))}
    </>
  );
}

interface FieldBoxProps {
  field: Field;
  typed: string | boolean | undefined;
  wrong: string | undefined;
  onTyped: (typed: string | boolean | undefined) => void;
}

function FieldBox(props: FieldBoxProps) {
  const { field, wrong } = props;
  const id = useId();
  const notes = `${id}-notes`;
  return (
    <div className="field">
      <label htmlFor={id}>
        {field.name.replaceAll("_", " ")}
        {field.required ? <span className="faint"> needed</span> : null}
      </label>
      <Control {...props} id={id} notes={notes} />
      <span id={notes}>
        {field.about && <span className="hint">{field.about} </span>}
        {wrong && <span className="wrong">{wrong}</span>}
      </span>
    </div>
  );
}

interface ControlProps extends FieldBoxProps {
  id: string;
  notes: string;
}

function Control({ field, typed, wrong, onTyped, id, notes }: ControlProps) {
  const shared = {
    id,
    className: "input",
    "aria-describedby": notes,
    "aria-invalid": wrong !== undefined,
    "aria-required": field.required,
  };
  const text = typeof typed === "string" ? typed : "";
  const hint = field.fallback === undefined ? undefined : `${JSON.stringify(field.fallback)} unless given`;
  switch (field.kind) {
    case "boolean":
      return (
        <select
          {...shared}
          value={typed === undefined ? "" : String(typed)}
          onChange={(event) => onTyped(event.target.value === "" ? undefined : event.target.value === "true")}
        >
          <option value="">{hint ?? (field.required ? "Choose" : "Not given")}</option>
          <option value="true">Yes</option>
          <option value="false">No</option>
        </select>
      );
    case "choice":
      return (
        <select {...shared} value={text} onChange={(event) => onTyped(event.target.value || undefined)}>
          <option value="">{hint ?? (field.required ? "Choose" : "Not given")}</option>
          {field.choices?.map((choice) => (
            <option key={String(choice.value)} value={String(choice.value)}>
              {choice.label}
              {choice.about ? ` – ${choice.about}` : ""}
            </option>
          ))}
        </select>
      );
    case "long":
    case "list":
    case "json":
      return (
        <textarea
          {...shared}
          className={field.kind === "json" ? "input mono" : "input"}
          rows={field.kind === "json" ? 5 : 3}
          spellCheck={field.kind === "long"}
          placeholder={
            hint ?? (field.kind === "list" ? "One on each line" : field.kind === "json" ? "JSON" : undefined)
          }
          value={text}
          onChange={(event) => onTyped(event.target.value || undefined)}
        />
      );
    default:
      return (
        <input
          {...shared}
          type={INPUT_TYPES[field.kind]}
          inputMode={field.kind === "integer" ? "numeric" : field.kind === "number" ? "decimal" : undefined}
          autoComplete="off"
          placeholder={hint}
          value={text}
          onChange={(event) => onTyped(event.target.value || undefined)}
        />
      );
  }
}

const INPUT_TYPES: Record<string, string> = { time: "datetime-local", secret: "password" };
