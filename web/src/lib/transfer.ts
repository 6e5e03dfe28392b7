// Files that come in by pieces and go out by pages; pure, so that it can be tested by itself.

/** Bytes of one piece of a file. */
export const PIECE = 512 * 1024;
/** Bytes of the largest file that the server takes. */
export const MAX_FILE = 16 * 1024 * 1024;

/** The pieces of a file: from where to where. */
export function pieces(size: number): [from: number, to: number][] {
  const count = Math.ceil(size / PIECE);
  return Array.from({ length: count }, (_, index) => [index * PIECE, Math.min((index + 1) * PIECE, size)]);
}

/** Bytes as base64. In small steps: a call has only so many arguments. */
export function base64(bytes: Uint8Array): string {
  let text = "";
  for (let from = 0; from < bytes.length; from += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(from, from + 0x8000));
  }
  return btoa(text);
}

/** How much of an import is done, 0 to 100. An undo counts back. */
export function percent(done: { parts: number; parts_done: number; status: string }): number {
  if (done.parts === 0) return 100;
  const part = (done.parts_done * 100) / done.parts;
  return Math.round(done.status === "undoing" || done.status === "undone" ? 100 - part : part);
}

/** "3 new, 1 changed" out of counts, without those that are 0. */
export function counted(counts: readonly (readonly [number, string])[]): string {
  const said = counts.filter(([count]) => count > 0).map(([count, word]) => `${count.toLocaleString("en")} ${word}`);
  return said.join(", ") || "nothing";
}

/** Puts the pages of a file together, one after the other. */
export async function allPages(
  page: (cursor: string | undefined) => Promise<{ content: string; next_cursor?: string | null }>,
): Promise<string[]> {
  const contents: string[] = [];
  let cursor: string | undefined;
  do {
    const answer = await page(cursor);
    contents.push(answer.content);
    cursor = answer.next_cursor ?? undefined;
  } while (cursor);
  return contents;
}
