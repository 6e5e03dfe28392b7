// Where the words of a search stand in a text: as the server finds them, without case and accents.

export interface Part {
  text: string;
  hit: boolean;
}

const WORD = /[\p{L}\p{N}\p{M}]+/gu;
const MARKS = /\p{M}/gu;
/** Signs that say how a text is set, and nothing in one line. */
const MARKDOWN = /^\s*(?:#{1,6}|[-*+>]|\d+\.)\s+|\*\*|__|`+/gm;
const MOST_WORDS = 8;
/** So much of a long text is shown around the first hit. */
const AROUND = 70;

const PLAIN: Record<string, string> = {
  ß: "ss",
  æ: "ae",
  œ: "oe",
  ø: "o",
  đ: "d",
  ð: "d",
  ł: "l",
  þ: "th",
  ħ: "h",
  ı: "i",
};

/** A word in the form by which it is found. */
export function folded(word: string): string {
  const bare = word.normalize("NFKD").replace(MARKS, "").toLowerCase();
  return [...bare].map((letter) => PLAIN[letter] ?? letter).join("");
}

function wordsOf(query: string): string[] {
  return [...query.matchAll(WORD)].map(([word]) => folded(word)).slice(0, MOST_WORDS);
}

/** The text in parts, those found marked. The last word of a query may be begun only. */
export function marked(text: string, query: string): Part[] {
  const words = wordsOf(query);
  const last = words.at(-1);
  const parts: Part[] = [];
  let shown = 0;
  for (const found of text.matchAll(WORD)) {
    const word = folded(found[0]);
    const begun = last !== undefined && word.startsWith(last);
    if (!begun && !words.includes(word)) continue;
    // Of a word that is only begun, what was typed; folding may have changed how many letters that is.
    const end = words.includes(word) || word.length !== found[0].length ? found[0].length : (last?.length ?? 0);
    if (found.index > shown) parts.push({ text: text.slice(shown, found.index), hit: false });
    parts.push({ text: text.slice(found.index, found.index + end), hit: true });
    shown = found.index + end;
  }
  if (shown < text.length) parts.push({ text: text.slice(shown), hit: false });
  return parts;
}

/** What stands around the first hit of a long text; undefined if there is none. */
export function excerpt(text: string, query: string): Part[] | undefined {
  const flat = text.replace(MARKDOWN, " ").replace(/\s+/g, " ").trim();
  const parts = marked(flat, query);
  const first = parts.findIndex((part) => part.hit);
  if (first < 0) return undefined;
  const before = parts.slice(0, first).reduce((sum, part) => sum + part.text.length, 0);
  const from = Math.max(0, before - AROUND);
  const to = before + AROUND * 2;
  const cut = flat.slice(from > 0 ? flat.indexOf(" ", from) + 1 || from : 0, to);
  return marked(`${from > 0 ? "… " : ""}${cut}${to < flat.length ? " …" : ""}`, query);
}
