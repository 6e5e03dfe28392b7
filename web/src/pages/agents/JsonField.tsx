// A field for JSON: says at once what is wrong with it, and sets it in order.
import { Braces } from "lucide-react";
import { useId } from "react";
import { jsonObject, schemaFault } from "@/lib/agent-draft";

interface JsonFieldProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  hint?: string;
  wrong?: string;
  /** Any object; else a schema. */
  object?: boolean;
}

export function JsonField({ label, value, onChange, hint, wrong, object }: JsonFieldProps) {
  const id = useId();
  const read = value.trim() ? jsonObject(value) : undefined;
  const fault = read && ("wrong" in read ? read.wrong : object ? undefined : schemaFault(read.value));
  const said = fault ?? wrong;
  return (
    <div className="field">
      <span className="bar">
        <label htmlFor={id} className="grow agent-label">
          {label}
        </label>
        {read && "value" in read && (
          <button
            type="button"
            className="button small quiet"
            onClick={() => onChange(JSON.stringify(read.value, null, 2))}
          >
            <Braces aria-hidden /> Set in order
          </button>
        )}
      </span>
      <textarea
        id={id}
        className="input mono"
        rows={Math.min(16, Math.max(3, value.split("\n").length))}
        spellCheck={false}
        autoComplete="off"
        aria-invalid={said !== undefined}
        aria-describedby={`${id}-hint`}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
      <span id={`${id}-hint`}>
        {hint && <span className="hint">{hint} </span>}
        {said && <span className="wrong">{said}</span>}
      </span>
    </div>
  );
}
