// A workflow's file as nodes and edges to draw.

export interface GraphNode {
  id: string;
  kind: string;
  /** What it does, in a few characters: the operation it calls, the address it asks. */
  note?: string;
  trigger: boolean;
}

export interface GraphEdge {
  id: string;
  from: string;
  to: string;
  port: string;
}

export interface GraphModel {
  nodes: GraphNode[];
  edges: GraphEdge[];
}

export interface FileNode {
  kind: string;
  with?: Record<string, unknown>;
  after?: string | string[];
  join?: unknown;
  on_error?: string;
  [more: string]: unknown;
}

export interface WorkflowFile {
  name?: string;
  title?: string;
  input?: unknown;
  nodes?: Record<string, FileNode>;
  [more: string]: unknown;
}

export function modelOf(file: unknown): GraphModel {
  const nodes = Object.entries((file as WorkflowFile | null)?.nodes ?? {});
  const known = new Set(nodes.map(([id]) => id));
  const edges: GraphEdge[] = [];
  for (const [to, node] of nodes) {
    for (const entry of afterOf(node)) {
      const [from = "", port = "out"] = entry.split(".");
      if (known.has(from)) edges.push({ id: `${from}.${port}>${to}`, from, to, port });
    }
  }
  return {
    nodes: nodes.map(([id, node]) => ({
      id,
      kind: node.kind,
      note: noteOf(node),
      trigger: node.kind.startsWith("trigger."),
    })),
    edges,
  };
}

function afterOf(node: FileNode): string[] {
  if (!node.after) return [];
  return Array.isArray(node.after) ? node.after : [node.after];
}

function noteOf(node: FileNode): string | undefined {
  const settings = node.with ?? {};
  for (const field of ["operation", "title", "scheme", "url", "workflow", "model"]) {
    const value = settings[field];
    if (typeof value === "string") return value;
  }
  return undefined;
}

/** The kind without its version, as a word. */
export function kindWord(kind: string): string {
  return (kind.split("@")[0] ?? kind).replace("trigger.", "").replaceAll("_", " ");
}

/** The triggers that a person may start. */
export function manualTriggers(file: unknown): string[] {
  return Object.entries((file as WorkflowFile | null)?.nodes ?? {})
    .filter(([, node]) => node.kind.startsWith("trigger.manual"))
    .map(([id]) => id);
}

/** What stands in the file at a JSON pointer such as `/nodes/check/with/total`. */
export function writtenAt(file: unknown, pointer: string): unknown {
  let found: unknown = file;
  for (const part of pointer.split("/").slice(1)) {
    if (typeof found !== "object" || found === null) return undefined;
    found = (found as Record<string, unknown>)[part.replaceAll("~1", "/").replaceAll("~0", "~")];
  }
  return found;
}

/** The expression that failed, as it is written: errors of a step name its place in the file. */
export function failedExpression(file: unknown, error: unknown): { pointer: string; text: string } | undefined {
  const { fields, message } = (error ?? {}) as { fields?: { pointer?: string }[]; message?: string };
  const named = fields?.[0]?.pointer ?? "";
  const pointer = named.startsWith("/nodes/") ? named : /^(\/nodes\/\S+?):/.exec(message ?? "")?.[1];
  const text = pointer && writtenAt(file, pointer);
  return pointer && typeof text === "string" ? { pointer, text } : undefined;
}

/** A node and everything that comes behind it. */
export function behind({ edges }: GraphModel, start: string): ReadonlySet<string> {
  const after = new Map<string, string[]>();
  for (const { from, to } of edges) after.set(from, [...(after.get(from) ?? []), to]);
  const found = new Set([start]);
  const next = [start];
  for (let node = next.pop(); node !== undefined; node = next.pop()) {
    for (const to of after.get(node) ?? []) {
      if (found.has(to)) continue;
      found.add(to);
      next.push(to);
    }
  }
  return found;
}
