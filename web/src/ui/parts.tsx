// Small parts that many pages use.
import { Check, Copy, Search, X } from "lucide-react";
import { type ReactNode, useEffect, useRef, useState } from "react";

/** An id, short, copied whole by a click. */
export function CopyId({ id, label }: { id: string; label?: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1_500);
    return () => clearTimeout(timer);
  }, [copied]);
  return (
    <button
      type="button"
      className="copy"
      title={`Copy ${id}`}
      onClick={(event) => {
        event.stopPropagation();
        void navigator.clipboard?.writeText(id).then(() => setCopied(true));
      }}
    >
      {label ?? shortId(id)}
      {copied ? <Check aria-label="copied" /> : <Copy aria-hidden />}
    </button>
  );
}

/** The end of an id: ids begin with their time, so it is the end that tells neighbours apart. */
export function shortId(id: string): string {
  return id.length > 12 ? `…${id.slice(-8)}` : id;
}

interface EmptyProps {
  icon?: ReactNode;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}

/** What stands where nothing is yet: what it would be, and one way to begin. */
export function Empty({ icon, title, children, action }: EmptyProps) {
  return (
    <div className="empty">
      {icon}
      <h2>{title}</h2>
      {children && <p>{children}</p>}
      {action}
    </div>
  );
}

/** Rows that are on their way. */
export function SkeletonRows({ rows = 8 }: { rows?: number }) {
  return (
    <div role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, index) => index).map((row) => (
        <div className="row static" key={row} style={{ gridTemplateColumns: "16px 1fr 80px" }}>
          <span className="skeleton" />
          <span className="skeleton" style={{ width: `${75 - ((row * 13) % 45)}%` }} />
          <span className="skeleton" />
        </div>
      ))}
    </div>
  );
}

interface SearchBoxProps {
  value: string;
  onChange: (value: string) => void;
  label: string;
}

const TYPED_MS = 200;

/** A text filter that waits until one stops typing. */
export function SearchBox({ value, onChange, label }: SearchBoxProps) {
  const [text, setText] = useState(value);
  const sent = useRef(value);
  const latest = useRef(onChange);
  useEffect(() => {
    latest.current = onChange;
  });
  useEffect(() => {
    if (value === sent.current) return;
    sent.current = value;
    setText(value);
  }, [value]);
  useEffect(() => {
    if (text === sent.current) return;
    const timer = setTimeout(() => {
      sent.current = text;
      latest.current(text);
    }, TYPED_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <div className="search-box">
      <Search aria-hidden />
      <input
        className="input small"
        type="search"
        aria-label={label}
        placeholder={label}
        value={text}
        data-search
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") event.currentTarget.blur();
        }}
      />
      {text && (
        <button type="button" aria-label="Clear" onClick={() => setText("")}>
          <X />
        </button>
      )}
    </div>
  );
}

interface SelectProps<T extends string> {
  value: T | undefined;
  options: readonly { value: T; label: string }[];
  onChange: (value: T | undefined) => void;
  label: string;
  all: string;
}

/** A filter of one choice; the first entry stands for all. */
export function FilterSelect<T extends string>({ value, options, onChange, label, all }: SelectProps<T>) {
  return (
    <select
      className="input small"
      aria-label={label}
      value={value ?? ""}
      onChange={(event) => onChange((event.target.value || undefined) as T | undefined)}
    >
      <option value="">{all}</option>
      {options.map((option) => (
        <option key={option.value} value={option.value}>
          {option.label}
        </option>
      ))}
    </select>
  );
}
