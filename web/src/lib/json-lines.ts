// A JSON value as lines to draw, so that large ones fold instead of filling the page.

export interface JsonLine {
  path: string;
  level: number;
  key?: string;
  /** What opens here: it can be folded. */
  opens?: "{" | "[";
  closes?: "}" | "]";
  open?: boolean;
  size?: number;
  value?: string | number | boolean | null;
}

/** Deeper levels, and longer lists, start folded. */
const OPEN_LEVELS = 2;
const LONG = 40;

export function isOpen(path: string, level: number, size: number, flipped: ReadonlySet<string>): boolean {
  const byDefault = level < OPEN_LEVELS && (size <= LONG || level === 0);
  return flipped.has(path) ? !byDefault : byDefault;
}

export function jsonLines(value: unknown, flipped: ReadonlySet<string> = new Set()): JsonLine[] {
  const lines: JsonLine[] = [];
  const visit = (current: unknown, path: string, level: number, key?: string) => {
    if (typeof current !== "object" || current === null) {
      lines.push({ path, level, key, value: scalar(current) });
      return;
    }
    const list = Array.isArray(current);
    const entries = Object.entries(current);
    const open = isOpen(path, level, entries.length, flipped) && entries.length > 0;
    lines.push({ path, level, key, opens: list ? "[" : "{", open, size: entries.length });
    if (!open) return;
    for (const [name, inner] of entries) visit(inner, `${path}/${name}`, level + 1, list ? undefined : name);
    lines.push({ path: `${path}/`, level, closes: list ? "]" : "}" });
  };
  visit(value, "", 0);
  return lines;
}

function scalar(value: unknown): JsonLine["value"] {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  return null;
}
