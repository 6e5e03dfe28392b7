// Markdown as a tree to draw: what models write, without HTML, and with links only to where a link may lead.

export type Inline =
  | string
  | { t: "code"; text: string }
  | { t: "strong" | "em" | "del"; of: Inline[] }
  | { t: "link"; href: string; of: Inline[] }
  | { t: "br" };

export type Align = "left" | "center" | "right" | undefined;

export interface ListItem {
  of: Block[];
  /** Of a list of tasks: whether it is ticked. */
  done?: boolean;
}

export type Block =
  | { t: "p"; of: Inline[] }
  | { t: "h"; level: number; of: Inline[] }
  | { t: "code"; lang: string; text: string }
  | { t: "quote"; of: Block[] }
  | { t: "list"; ordered: boolean; start: number; items: ListItem[] }
  | { t: "table"; align: Align[]; head: Inline[][]; rows: Inline[][][] }
  | { t: "hr" };

/** A block with the lines it was made from: as long as these stay, so does what is drawn. */
export interface Top {
  block: Block;
  raw: string;
}

/** Deeper nesting is text: nobody reads it, and somebody might send it to hold up the page. */
const MOST_DEPTH = 8;
const MOST_LINK_TEXT = 600;
const MOST_URL = 2_000;
const SAFE = new Set(["http:", "https:", "mailto:"]);

/** Where a link may lead; undefined for anything else, such as `javascript:` or a path of this page. */
export function safeHref(written: string): string | undefined {
  // Browsers ignore these inside of a scheme, so they are looked at without them.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out.
  const clean = written.replaceAll(/[\u0000-\u0020\u007f-\u009f]/g, "");
  try {
    const url = new URL(clean);
    return SAFE.has(url.protocol) ? url.href : undefined;
  } catch {
    return undefined;
  }
}

export function markdown(text: string): Top[] {
  return blocks(text.replaceAll("\r\n", "\n").split("\n"), 0);
}

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^\s`]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})(?:\s+(.*))?$/;
const RULE = /^ {0,3}(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})$/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])( {1,4}|$)(.*)$/;
const QUOTE = /^ {0,3}> ?(.*)$/;

function blocks(lines: readonly string[], depth: number): Top[] {
  const out: Top[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] ?? "";
    if (!line.trim()) {
      at++;
      continue;
    }
    const [block, end] = blockAt(lines, at, depth);
    out.push({ block, raw: lines.slice(at, end).join("\n") });
    at = Math.max(end, at + 1);
  }
  return out;
}

type Found = [block: Block, end: number];

function blockAt(lines: readonly string[], at: number, depth: number): Found {
  const line = lines[at] ?? "";
  const fence = FENCE.exec(line);
  if (fence) return fenced(lines, at, fence[1] ?? "```", fence[2] ?? "");
  const heading = HEADING.exec(line);
  if (heading) {
    const text = (heading[2] ?? "").replace(/\s+#+\s*$/, "");
    return [{ t: "h", level: heading[1]?.length ?? 1, of: inlines(text) }, at + 1];
  }
  if (RULE.test(line)) return [{ t: "hr" }, at + 1];
  if (depth < MOST_DEPTH) {
    if (QUOTE.test(line)) return quoted(lines, at, depth);
    if (ITEM.test(line)) return listed(lines, at, depth);
    if (isTable(lines, at)) return tabled(lines, at);
  }
  return paragraph(lines, at, depth);
}

function fenced(lines: readonly string[], at: number, marks: string, lang: string): Found {
  const closes = new RegExp(`^ {0,3}${marks[0] === "~" ? "~" : "`"}{${marks.length},}\\s*$`);
  let end = at + 1;
  while (end < lines.length && !closes.test(lines[end] ?? "")) end++;
  return [{ t: "code", lang, text: lines.slice(at + 1, end).join("\n") }, Math.min(end + 1, lines.length)];
}

function quoted(lines: readonly string[], at: number, depth: number): Found {
  const inner: string[] = [];
  let end = at;
  while (end < lines.length) {
    const found = QUOTE.exec(lines[end] ?? "");
    if (!found) break;
    inner.push(found[1] ?? "");
    end++;
  }
  return [{ t: "quote", of: blocks(inner, depth + 1).map((top) => top.block) }, end];
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}

function listed(lines: readonly string[], at: number, depth: number): Found {
  const first = ITEM.exec(lines[at] ?? "");
  const ordered = /\d/.test(first?.[2] ?? "");
  const items: ListItem[] = [];
  let end = at;
  while (end < lines.length) {
    const found = ITEM.exec(lines[end] ?? "");
    if (!found || /\d/.test(found[2] ?? "") !== ordered || RULE.test(lines[end] ?? "")) break;
    const width = (found[1]?.length ?? 0) + (found[2]?.length ?? 1) + Math.max(1, found[3]?.length ?? 1);
    const [inner, next] = itemLines(lines, end, width, found[4] ?? "");
    items.push(itemOf(inner, depth));
    end = next;
  }
  return [{ t: "list", ordered, start: ordered ? Number.parseInt(first?.[2] ?? "1", 10) : 1, items }, end];
}

/** The lines of one item without its indent, and where the next may begin. */
function itemLines(lines: readonly string[], at: number, width: number, text: string): [inner: string[], end: number] {
  const inner = [text];
  let end = at + 1;
  while (end < lines.length) {
    const line = lines[end] ?? "";
    const blank = !line.trim();
    if (blank) {
      const after = lines[end + 1] ?? "";
      // A blank line belongs to the item only if something indented follows.
      if (!after.trim() || (indentOf(after) < Math.min(width, 2) && !ITEM.test(after))) break;
      if (ITEM.test(after) && indentOf(after) < 2) return [inner, end + 1];
      inner.push("");
    } else if (indentOf(line) >= Math.min(width, 2)) inner.push(line.slice(Math.min(indentOf(line), width)));
    else if (startsBlock(line)) break;
    else inner.push(line.trim());
    end++;
  }
  return [inner, end];
}

function itemOf(inner: string[], depth: number): ListItem {
  const tick = /^\[([ xX])\] /.exec(inner[0] ?? "");
  const lines = tick ? [(inner[0] ?? "").slice(4), ...inner.slice(1)] : inner;
  const of = blocks(lines, depth + 1).map((top) => top.block);
  return tick ? { of, done: tick[1] !== " " } : { of };
}

function startsBlock(line: string): boolean {
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);
}

function paragraph(lines: readonly string[], at: number, depth: number): Found {
  let end = at + 1;
  while (end < lines.length) {
    const line = lines[end] ?? "";
    if (!line.trim() || (depth < MOST_DEPTH && (startsBlock(line) || isTable(lines, end)))) break;
    end++;
  }
  return [{ t: "p", of: inlines(lines.slice(at, end).join("\n").trim()) }, end];
}

const RULER = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;

function isTable(lines: readonly string[], at: number): boolean {
  const ruler = lines[at + 1] ?? "";
  if (!(lines[at] ?? "").includes("|") || !ruler.includes("-") || !ruler.includes("|")) return false;
  return ruler.length < MOST_URL && RULER.test(ruler) && cells(lines[at] ?? "").length === cells(ruler).length;
}

function cells(line: string): string[] {
  const text = line
    .trim()
    .replace(/^\|/, "")
    .replace(/(?<!\\)\|$/, "");
  return text.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function alignOf(ruler: string): Align {
  const [left, right] = [ruler.startsWith(":"), ruler.endsWith(":")];
  if (left && right) return "center";
  return right ? "right" : left ? "left" : undefined;
}

function tabled(lines: readonly string[], at: number): Found {
  const head = cells(lines[at] ?? "");
  const align = cells(lines[at + 1] ?? "").map(alignOf);
  const rows: Inline[][][] = [];
  let end = at + 2;
  while (end < lines.length && (lines[end] ?? "").includes("|")) {
    const row = cells(lines[end] ?? "");
    rows.push(head.map((_, column) => inlines(row[column] ?? "")));
    end++;
  }
  return [{ t: "table", align, head: head.map((cell) => inlines(cell)), rows }, end];
}

const DELIMITERS = ["**", "__", "~~", "*", "_"] as const;
type Delimiter = (typeof DELIMITERS)[number];
const TAGS: Record<Delimiter, "strong" | "em" | "del"> = {
  "**": "strong",
  __: "strong",
  "~~": "del",
  "*": "em",
  _: "em",
};

const ESCAPABLE = /[!-/:-@[-`{-~]/;
const BARE = /^https?:\/\/[^\s<>"`]+/i;
const WORD = /[\p{L}\p{N}]/u;

/** The text of a line or paragraph. Each sign is looked at a bounded number of times, whatever is written. */
export function inlines(text: string, depth = 0): Inline[] {
  return new Line(text, depth).read();
}

class Line {
  readonly #text: string;
  readonly #depth: number;
  readonly #out: Inline[] = [];
  /** Delimiters that nothing closes from here on. */
  readonly #dead = new Set<string>();
  #plain = "";

  constructor(text: string, depth: number) {
    this.#text = text;
    this.#depth = depth;
  }

  read(): Inline[] {
    let at = 0;
    while (at < this.#text.length) at = this.#step(at);
    this.#flush();
    return this.#out;
  }

  #flush() {
    if (this.#plain) this.#out.push(this.#plain);
    this.#plain = "";
  }

  #put(inline: Inline) {
    this.#flush();
    this.#out.push(inline);
  }

  /** Reads what begins at `at`, and says where to go on. */
  #step(at: number): number {
    const sign = this.#text[at] ?? "";
    if (sign === "\\" && ESCAPABLE.test(this.#text[at + 1] ?? "")) {
      this.#plain += this.#text[at + 1];
      return at + 2;
    }
    const end = this.#depth < MOST_DEPTH ? this.#special(sign, at) : undefined;
    if (end !== undefined) return end;
    if (sign === "\n") {
      this.#plain = this.#plain.replace(/ +$/, "");
      this.#put({ t: "br" });
      return at + 1;
    }
    this.#plain += sign;
    return at + 1;
  }

  #special(sign: string, at: number): number | undefined {
    switch (sign) {
      case "`":
        return this.#code(at);
      case "[":
        return this.#link(at);
      case "!":
        // A picture is shown as a link to it: nothing is loaded from elsewhere.
        return this.#text[at + 1] === "[" ? this.#link(at + 1) : undefined;
      case "<":
        return this.#pointed(at);
      case "h":
      case "H":
        return this.#bare(at);
      case "*":
      case "_":
      case "~":
        return this.#stressed(at);
      default:
        return undefined;
    }
  }

  #code(at: number): number {
    let width = 1;
    while (this.#text[at + width] === "`") width++;
    const marks = "`".repeat(width);
    let end = this.#dead.has(marks) ? -1 : this.#text.indexOf(marks, at + width);
    while (end >= 0 && this.#text[end + width] === "`") {
      let past = end + width;
      while (this.#text[past] === "`") past++;
      end = this.#text.indexOf(marks, past);
    }
    if (end < 0) {
      this.#dead.add(marks);
      this.#plain += marks;
      return at + width;
    }
    const text = this.#text.slice(at + width, end).replaceAll("\n", " ");
    this.#put({ t: "code", text: /^ .*\S.* $/.test(text) ? text.slice(1, -1) : text });
    return end + width;
  }

  #link(at: number): number | undefined {
    const close = matching(this.#text, at, "[", "]", MOST_LINK_TEXT);
    if (close === undefined || this.#text[close + 1] !== "(") return undefined;
    const end = matching(this.#text, close + 1, "(", ")", MOST_URL);
    if (end === undefined) return undefined;
    const written = this.#text
      .slice(close + 2, end)
      .trim()
      .replace(/\s+(?:"[^"]*"|'[^']*')$/, "");
    const of = inlines(this.#text.slice(at + 1, close), this.#depth + 1);
    const href = safeHref(written.replace(/^<(.*)>$/, "$1"));
    if (href) this.#put({ t: "link", href, of: of.length ? unlinked(of) : [href] });
    else {
      this.#flush();
      this.#out.push(...of);
    }
    return end + 1;
  }

  #pointed(at: number): number | undefined {
    const end = this.#text.slice(at, at + MOST_URL).indexOf(">");
    if (end < 0) return undefined;
    const inner = this.#text.slice(at + 1, at + end);
    const href = /^[a-z][a-z0-9+.-]*:\S+$/i.test(inner) ? safeHref(inner) : undefined;
    if (!href) return undefined;
    this.#put({ t: "link", href, of: [inner] });
    return at + end + 1;
  }

  #bare(at: number): number | undefined {
    if (WORD.test(this.#text[at - 1] ?? "")) return undefined;
    const found = BARE.exec(this.#text.slice(at, at + MOST_URL))?.[0];
    if (!found) return undefined;
    const url = bareUrl(found);
    const href = safeHref(url);
    if (!href) return undefined;
    this.#put({ t: "link", href, of: [url] });
    return at + url.length;
  }

  #stressed(at: number): number | undefined {
    const mark = DELIMITERS.find((each) => this.#text.startsWith(each, at));
    if (!mark || this.#dead.has(mark)) return undefined;
    const after = this.#text[at + mark.length] ?? " ";
    const inWord = mark[0] === "_" && WORD.test(this.#text[at - 1] ?? "");
    if (/\s/.test(after) || inWord) return undefined;
    const end = this.#closing(mark, at + mark.length);
    if (end === undefined) {
      this.#dead.add(mark);
      return undefined;
    }
    this.#put({ t: TAGS[mark], of: inlines(this.#text.slice(at + mark.length, end), this.#depth + 1) });
    return end + mark.length;
  }

  #closing(mark: Delimiter, from: number): number | undefined {
    const text = this.#text;
    for (let end = text.indexOf(mark, from + 1); end >= 0; end = text.indexOf(mark, end + 1)) {
      if (/\s/.test(text[end - 1] ?? " ") || text[end - 1] === "\\") continue;
      // One star is not half of two.
      if (mark.length === 1 && (text[end + 1] === mark || text[end - 1] === mark)) {
        if (text[end + 1] === mark) end++;
        continue;
      }
      if (mark[0] === "_" && WORD.test(text[end + mark.length] ?? "")) continue;
      return end;
    }
    return undefined;
  }
}

/** An address without the sentence's signs and brackets around it. */
function bareUrl(found: string): string {
  const url = found.replace(/[.,:;!?*_~'"]+$/, "");
  if (!url.endsWith(")") || url.split(")").length <= url.split("(").length) return url;
  return bareUrl(url.slice(0, -1));
}

/** Links do not stand in links. */
function unlinked(of: Inline[]): Inline[] {
  return of.flatMap((each) => (typeof each === "object" && each.t === "link" ? each.of : [each]));
}

/** Where the bracket that opens at `at` is closed. */
function matching(text: string, at: number, opens: string, closes: string, most: number): number | undefined {
  let depth = 0;
  const limit = Math.min(text.length, at + most);
  for (let place = at; place < limit; place++) {
    const sign = text[place];
    if (sign === "\\") place++;
    else if (sign === opens) depth++;
    else if (sign === closes && --depth === 0) return place;
  }
  return undefined;
}
