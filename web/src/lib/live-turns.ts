// What a model is saying at the moment, put together from the chunks of the stream: one turn for each step in flight.

export type Chunk =
  /** A step begins, or begins anew: what was heard of it before is void. */
  | { type: "begin" }
  | { type: "text"; text: string }
  | { type: "thinking"; text: string }
  | { type: "tool_call_start"; index: number; id: string; name: string }
  | { type: "tool_call_arguments"; index: number; text: string }
  | { type: "usage"; input?: number | null; output?: number | null };

export interface ChunkFrame {
  run_id: string;
  node: string;
  path: string;
  chunk: Chunk;
}

export type LivePart =
  | { type: "text"; text: string }
  | { type: "thinking"; text: string }
  /** Its arguments are JSON that may not be whole yet. */
  | { type: "tool_call"; index: number; id: string; name: string; arguments: string };

export interface LiveTurn {
  node: string;
  path: string;
  parts: readonly LivePart[];
  usage?: { input?: number | null; output?: number | null };
}

export type LiveTurns = readonly LiveTurn[];

/** Takes chunks in the order in which they came. */
export function addChunks(turns: LiveTurns, frames: readonly ChunkFrame[]): LiveTurns {
  // Each turn and part is copied once at most, however many chunks came together.
  const next = [...turns];
  const open = new Map<number, LivePart[]>();
  for (const { node, path, chunk } of frames) {
    let at = next.findIndex((turn) => turn.node === node && turn.path === path);
    if (chunk.type === "begin") {
      if (at >= 0) {
        next[at] = { node, path, parts: [] };
        open.delete(at);
      }
      continue;
    }
    if (at < 0) at = next.push({ node, path, parts: [] }) - 1;
    const turn = next[at];
    if (!turn) continue;
    let parts = open.get(at);
    if (!parts) {
      parts = [...turn.parts];
      open.set(at, parts);
      next[at] = { ...turn, parts };
    }
    if (chunk.type === "usage") {
      const { type: _, ...usage } = chunk;
      next[at] = { ...turn, parts, usage };
    } else addTo(parts, chunk);
  }
  return next;
}

function addTo(parts: LivePart[], chunk: Exclude<Chunk, { type: "usage" | "begin" }>) {
  const last = parts.at(-1);
  switch (chunk.type) {
    case "text":
    case "thinking":
      if (last?.type === chunk.type) parts[parts.length - 1] = { ...last, text: last.text + chunk.text };
      else if (chunk.text) parts.push({ type: chunk.type, text: chunk.text });
      break;
    case "tool_call_start":
      // A stream that begins anew tells the same call again.
      if (!parts.some((part) => part.type === "tool_call" && part.index === chunk.index))
        parts.push({ type: "tool_call", index: chunk.index, id: chunk.id, name: chunk.name, arguments: "" });
      break;
    case "tool_call_arguments": {
      const at = parts.findIndex((part) => part.type === "tool_call" && part.index === chunk.index);
      const call = parts[at];
      if (call?.type === "tool_call") parts[at] = { ...call, arguments: call.arguments + chunk.text };
      break;
    }
    default:
  }
}
