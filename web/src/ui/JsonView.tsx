// JSON to read: folds, copies, and never draws more than fits.
import { Check, ChevronDown, ChevronRight, Copy } from "lucide-react";
import { useMemo, useState } from "react";
import { type JsonLine, jsonLines } from "@/lib/json-lines";

const MOST_LINES = 600;
const MOST_CHARACTERS = 4_000;

export function JsonView({ value, label = "JSON" }: { value: unknown; label?: string }) {
  const [flipped, setFlipped] = useState<ReadonlySet<string>>(new Set());
  const [all, setAll] = useState(false);
  const lines = useMemo(() => jsonLines(value, flipped), [value, flipped]);
  const shown = all ? lines : lines.slice(0, MOST_LINES);
  const flip = (path: string) => {
    const next = new Set(flipped);
    if (!next.delete(path)) next.add(path);
    setFlipped(next);
  };
  return (
    <figure className="json" aria-label={label}>
      <CopyJson value={value} />
      {shown.map((line) => (
        <Line key={line.path + (line.closes ?? "")} line={line} onFlip={flip} />
      ))}
      {shown.length < lines.length && (
        <button type="button" className="button small" onClick={() => setAll(true)}>
          Show {lines.length - shown.length} more lines
        </button>
      )}
    </figure>
  );
}

function CopyJson({ value }: { value: unknown }) {
  const [copied, setCopied] = useState(false);
  return (
    <button
      type="button"
      className="button small quiet icon json-copy"
      aria-label="Copy as JSON"
      onClick={() => {
        void navigator.clipboard?.writeText(JSON.stringify(value, null, 2)).then(() => setCopied(true));
        setTimeout(() => setCopied(false), 1_500);
      }}
    >
      {copied ? <Check /> : <Copy />}
    </button>
  );
}

function Line({ line, onFlip }: { line: JsonLine; onFlip: (path: string) => void }) {
  const indent = { paddingLeft: line.level * 14 };
  if (line.closes) {
    return (
      <div className="json-line" style={indent}>
        <span className="json-fold" />
        {line.closes}
      </div>
    );
  }
  return (
    <div className="json-line" style={indent}>
      {line.opens && line.size ? (
        <button
          type="button"
          className="json-fold"
          aria-expanded={line.open}
          aria-label={`${line.key ?? "value"}, ${line.size} entries`}
          onClick={() => onFlip(line.path)}
        >
          {line.open ? <ChevronDown /> : <ChevronRight />}
        </button>
      ) : (
        <span className="json-fold" />
      )}
      <span>
        {line.key !== undefined && <span className="json-key">{line.key}: </span>}
        {line.opens ? <Opening line={line} /> : <Scalar value={line.value ?? null} />}
      </span>
    </div>
  );
}

function Opening({ line }: { line: JsonLine }) {
  const end = line.opens === "{" ? "}" : "]";
  if (!line.size) return <span>{`${line.opens}${end}`}</span>;
  if (line.open) return <span>{line.opens}</span>;
  return <span className="faint">{`${line.opens} ${line.size} ${line.size === 1 ? "entry" : "entries"} ${end}`}</span>;
}

function Scalar({ value }: { value: string | number | boolean | null }) {
  const [whole, setWhole] = useState(false);
  if (typeof value !== "string")
    return <span className={`json-${value === null ? "null" : typeof value}`}>{String(value)}</span>;
  const cut = !whole && value.length > MOST_CHARACTERS;
  return (
    <span className="json-string">
      "{cut ? value.slice(0, MOST_CHARACTERS) : value}"
      {cut && (
        <button type="button" className="button small" onClick={() => setWhole(true)}>
          all {value.length.toLocaleString()} characters
        </button>
      )}
    </span>
  );
}
