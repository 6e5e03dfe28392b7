// Text as models write it. Everything is drawn as elements of our own: no HTML comes in, nothing is loaded.
import { Check, Copy } from "lucide-react";
import { Fragment, memo, type ReactNode, useMemo, useState } from "react";
import { type Block, type Inline, markdown } from "@/lib/markdown";
import "./markdown.css";

export function Markdown({ text }: { text: string }) {
  const tops = useMemo(() => markdown(text), [text]);
  return (
    <div className="md">
      {tops.map(({ block, raw }, index) => (
        // Text only grows at its end, so that a block's place is what it is known by.
        <Top key={index} block={block} raw={raw} />
      ))}
    </div>
  );
}

/** Drawn again only when its own lines changed, however long the text around it. */
const Top = memo(
  ({ block }: { block: Block; raw: string }) => <BlockView block={block} />,
  (before, after) => before.raw === after.raw,
);

function all<T>(items: readonly T[], draw: (item: T) => ReactNode): ReactNode[] {
  // The parts of one text have no other name than their place.
  return items.map((item, index) => <Fragment key={index}>{draw(item)}</Fragment>);
}

function BlockView({ block }: { block: Block }): ReactNode {
  switch (block.t) {
    case "p":
      return <p>{inline(block.of)}</p>;
    case "h":
      return <Heading level={block.level}>{inline(block.of)}</Heading>;
    case "code":
      return <CodeBlock lang={block.lang} text={block.text} />;
    case "quote":
      return (
        <blockquote>
          {all(block.of, (each) => (
            <BlockView block={each} />
          ))}
        </blockquote>
      );
    case "list":
      return <List block={block} />;
    case "table":
      return <TableView block={block} />;
    default:
      return <hr />;
  }
}

/** Below the page's own headings. */
function Heading({ level, children }: { level: number; children: ReactNode }) {
  const Tag = (["h3", "h4", "h5", "h6"] as const)[Math.min(3, Math.max(0, level - 1))] ?? "h6";
  return <Tag className={`md-h${Math.min(level, 4)}`}>{children}</Tag>;
}

function List({ block }: { block: Extract<Block, { t: "list" }> }) {
  const items = all(block.items, ({ of, done }) => (
    <li className={done === undefined ? undefined : "task"}>
      {done !== undefined && (
        <input type="checkbox" checked={done} readOnly disabled aria-label={done ? "done" : "open"} />
      )}
      {all(of, (each) => (each.t === "p" ? <span>{inline(each.of)}</span> : <BlockView block={each} />))}
    </li>
  ));
  return block.ordered ? <ol start={block.start}>{items}</ol> : <ul>{items}</ul>;
}

function TableView({ block }: { block: Extract<Block, { t: "table" }> }) {
  const { align } = block;
  const cell = (Tag: "th" | "td", of: Inline[], column: number) => (
    <Tag key={column} className={align[column] ? `to-${align[column]}` : undefined}>
      {inline(of)}
    </Tag>
  );
  return (
    <div className="md-table">
      <table>
        <thead>
          <tr>{block.head.map((of, column) => cell("th", of, column))}</tr>
        </thead>
        <tbody>
          {all(block.rows, (row) => (
            <tr>{row.map((of, column) => cell("td", of, column))}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function inline(of: readonly Inline[]): ReactNode[] {
  return all(of, (each) => {
    if (typeof each === "string") return each;
    switch (each.t) {
      case "code":
        return <code>{each.text}</code>;
      case "br":
        return <br />;
      case "link":
        return (
          <a href={each.href} target="_blank" rel="noopener noreferrer nofollow">
            {inline(each.of)}
          </a>
        );
      case "strong":
        return <strong>{inline(each.of)}</strong>;
      case "em":
        return <em>{inline(each.of)}</em>;
      default:
        return <del>{inline(each.of)}</del>;
    }
  });
}

const COPIED_MS = 1_500;

/** Code, with a button that copies it. */
export function CodeBlock({ lang, text }: { lang?: string; text: string }) {
  const [copied, setCopied] = useState(false);
  return (
    <div className="md-code">
      <div className="md-code-head">
        <span className="faint">{lang || "text"}</span>
        <button
          type="button"
          className="button small quiet"
          onClick={() => {
            void navigator.clipboard?.writeText(text).then(() => setCopied(true));
            setTimeout(() => setCopied(false), COPIED_MS);
          }}
        >
          {copied ? <Check aria-hidden /> : <Copy aria-hidden />} {copied ? "Copied" : "Copy"}
        </button>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard. */}
      <pre tabIndex={0}>
        <code>{text}</code>
      </pre>
    </div>
  );
}
