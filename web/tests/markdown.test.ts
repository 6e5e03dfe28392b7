// What models write is drawn without danger, and without holding up the page.
import { describe, expect, it } from "vitest";
import { type Block, type Inline, inlines, markdown, safeHref } from "@/lib/markdown";

const block = (text: string): Block | undefined => markdown(text)[0]?.block;

/** Every link of a text. */
function hrefs(of: readonly Inline[]): string[] {
  return of.flatMap((each) => {
    if (typeof each === "string" || each.t === "code" || each.t === "br") return [];
    return [...(each.t === "link" ? [each.href] : []), ...hrefs(each.of)];
  });
}

function plain(of: readonly Inline[]): string {
  return of
    .map((each) =>
      typeof each === "string" ? each : each.t === "code" ? each.text : each.t === "br" ? "\n" : plain(each.of),
    )
    .join("");
}

describe("links", () => {
  it("lead to the web or to mail only", () => {
    expect(safeHref("https://example.com/a?b=1#c")).toBe("https://example.com/a?b=1#c");
    expect(safeHref("mailto:a@example.com")).toBe("mailto:a@example.com");
    const bad = [
      "javascript:alert(1)",
      "JaVaScRiPt:alert(1)",
      "java\nscript:alert(1)",
      "\u0001javascript:alert(1)",
      " javascript:alert(1)",
      "data:text/html,<script>1</script>",
      "vbscript:x",
      "file:///etc/passwd",
      "blob:https://example.com/1",
      "/settings",
      "//example.com",
      "#owner=x",
      "",
    ];
    for (const href of bad) expect(safeHref(href), href).toBeUndefined();
  });

  it("keep their words when they lead nowhere", () => {
    const of = inlines("see [this](javascript:alert(1)) and [that](/x)");
    expect(hrefs(of)).toEqual([]);
    expect(plain(of)).toBe("see this and that");
  });

  it("are found bare, pointed and with titles; pictures become links", () => {
    expect(hrefs(inlines('a [b](https://e.com/x_(y) "title") c'))).toEqual(["https://e.com/x_(y)"]);
    expect(hrefs(inlines("(see https://e.com/a_b.)"))).toEqual(["https://e.com/a_b"]);
    expect(hrefs(inlines("<https://e.com>, <javascript:alert(1)>"))).toEqual(["https://e.com/"]);
    expect(hrefs(inlines("![alt](https://e.com/p.png)"))).toEqual(["https://e.com/p.png"]);
    expect(hrefs(inlines("[a [b](https://in.com)](https://out.com)"))).toEqual(["https://out.com/"]);
  });
});

it("leaves HTML as text", () => {
  const text = '<img src=x onerror="alert(1)"> <b>bold</b>';
  expect(block(text)).toEqual({ t: "p", of: [text] });
  expect(block("<script>alert(1)</script>")).toEqual({ t: "p", of: ["<script>alert(1)</script>"] });
});

it("reads stress and code", () => {
  expect(inlines("**a *b* c** ~~d~~ `e*f*`")).toEqual([
    { t: "strong", of: ["a ", { t: "em", of: ["b"] }, " c"] },
    " ",
    { t: "del", of: ["d"] },
    " ",
    { t: "code", text: "e*f*" },
  ]);
  expect(inlines("snake_case_name 2 * 3 * 4 \\*x\\*")).toEqual(["snake_case_name 2 * 3 * 4 *x*"]);
  expect(inlines("``a`b`` and `open")).toEqual([{ t: "code", text: "a`b" }, " and `open"]);
});

it("reads blocks", () => {
  const tops = markdown(
    "# One\n\ntext\nmore\n\n```ts\nlet a = 1;\n\n# no\n```\n> quote\n\n---\n\n1. a\n2. b\n   - c\n\n- [x] d",
  );
  expect(tops.map((top) => top.block.t)).toEqual(["h", "p", "code", "quote", "hr", "list", "list"]);
  expect(tops[2]?.block).toEqual({ t: "code", lang: "ts", text: "let a = 1;\n\n# no" });
  expect(tops[5]?.block).toMatchObject({ ordered: true, start: 1, items: [{}, { of: [{ t: "p" }, { t: "list" }] }] });
  expect(tops[6]?.block).toMatchObject({ items: [{ done: true }] });
});

it("reads a table", () => {
  expect(block("| a | b |\n|:--|--:|\n| 1 | 2\\|3 |\n| 4 |")).toEqual({
    t: "table",
    align: ["left", "right"],
    head: [["a"], ["b"]],
    rows: [
      [["1"], ["2|3"]],
      [["4"], []],
    ],
  });
});

it("shows code that is still being written", () => {
  expect(block("```sql\nselect 1")).toEqual({ t: "code", lang: "sql", text: "select 1" });
});

it("keeps what was drawn while text is added", () => {
  const [first] = markdown("# a\n\nb");
  expect(markdown("# a\n\nb and more")[0]?.raw).toBe(first?.raw);
});

it("is not held up by what is written to hold it up", () => {
  const many = 20_000;
  const mean = ["*a ", "[", "`", "_x", "![", "> ", "- ", "<", "**", "https://x ", "|a", "(", "\\", "1. ", "~~"];
  const began = performance.now();
  for (const sign of mean) {
    markdown(sign.repeat(many));
    markdown(`${sign}\n`.repeat(2_000));
  }
  markdown(`${"> ".repeat(5_000)}x`);
  expect(performance.now() - began).toBeLessThan(5_000);
});
