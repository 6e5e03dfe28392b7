// A list or tree of any length: draws what is in sight, and is walked with j and k.
import { useElementScrollRestoration } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown, ArrowUp } from "lucide-react";
import {
  type CSSProperties,
  type HTMLAttributes,
  type MouseEvent,
  type ReactNode,
  type RefObject,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { type Hotkey, useHotkeys } from "@/app/hotkeys";
import { SkeletonRows } from "./parts";
import { usePhone } from "./useMedia";

export interface Column<T> {
  id: string;
  title: string;
  /** A track of the grid: `minmax(0, 1fr)`, `120px`. */
  width: string;
  cell: (item: T, state: RowState) => ReactNode;
  num?: boolean;
  /** Stays on a phone. */
  phone?: boolean;
  /** Elsewhere, left out when the list is narrower than this, in pixels: a pane may stand beside it. */
  from?: number;
  /** The name by which the list is sorted. */
  sort?: string;
}

export interface RowState {
  current: boolean;
  chosen: boolean;
  index: number;
}

export interface Selection {
  chosen: ReadonlySet<string>;
  set: (chosen: ReadonlySet<string>) => void;
}

interface VirtualListProps<T> {
  /** Names the list for readers and for the place it was left at. */
  name: string;
  label: string;
  items: readonly T[];
  idOf: (item: T) => string;
  columns: readonly Column<T>[];
  onOpen?: (item: T) => void;
  selection?: Selection;
  current?: string;
  onCurrent?: (id: string) => void;
  sort?: string;
  onSort?: (sort: string) => void;
  more?: { has: boolean; busy: boolean; load: () => void };
  loading?: boolean;
  /** Keys that act on the current row. */
  rowKeys?: (item: T | undefined) => readonly Hotkey[];
  tree?: { level: (item: T) => number; open: (item: T) => boolean | undefined };
  above?: ReactNode;
  empty?: ReactNode;
  /** What else a row does, such as being dragged. */
  rowProps?: (item: T) => RowProps;
}

export type RowProps = Pick<
  HTMLAttributes<HTMLDivElement>,
  "draggable" | "onDragStart" | "onDragOver" | "onDragLeave" | "onDragEnd" | "onDrop"
> & { "data-drop"?: string };

const ROW_PX = 36;
const PHONE_ROW_PX = 44;
const OVERSCAN = 12;
/** The next page is asked for when so few rows are left below. */
const AHEAD = 30;

/** The row that was current when a list was left, for when one comes back. */
const leftAt = new Map<string, string>();

export function VirtualList<T>(props: VirtualListProps<T>) {
  const { items, idOf, selection, more } = props;
  const phone = usePhone();
  const scroller = useRef<HTMLDivElement>(null);
  const width = useWidth(scroller);
  const columns = props.columns.filter((column) => (phone ? column.phone : width >= (column.from ?? 0)));
  const [own, setOwn] = useState(() => leftAt.get(props.name));
  const current = props.current ?? own;
  const restored = useElementScrollRestoration({ id: props.name });
  const rowPx = phone ? PHONE_ROW_PX : ROW_PX;
  const virtual = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowPx,
    getItemKey: (index) => {
      const item = items[index];
      return item === undefined ? index : idOf(item);
    },
    overscan: OVERSCAN,
    initialOffset: restored?.scrollY,
    scrollPaddingStart: ROW_PX,
  });
  const at = current === undefined ? -1 : items.findIndex((item) => idOf(item) === current);

  const setCurrent = (id: string) => {
    leftAt.set(props.name, id);
    setOwn(id);
    props.onCurrent?.(id);
  };
  const go = (index: number) => {
    const item = items[Math.max(0, Math.min(items.length - 1, index))];
    if (item === undefined) return;
    setCurrent(idOf(item));
    virtual.scrollToIndex(Math.max(0, Math.min(items.length - 1, index)), { align: "auto" });
  };

  const rows = virtual.getVirtualItems();
  const last = rows.at(-1)?.index ?? 0;
  useEffect(() => {
    if (more?.has && !more.busy && last >= items.length - AHEAD) more.load();
  }, [more, last, items.length]);

  const marks = useSelection(items, idOf, selection, at);
  const here = at >= 0 ? items[at] : undefined;
  // A row that is far out of sight is not in the document, and nothing may refer to it.
  const shown = here !== undefined && rows.some((row) => row.index === at);
  useHotkeys([
    { keys: "j", does: "Next row", group: "Lists", run: () => go(at + 1) },
    { keys: "k", does: "Row before", group: "Lists", run: () => go(at < 0 ? 0 : at - 1) },
    { keys: "down", does: "Next row", group: "Lists", run: () => go(at + 1) },
    { keys: "up", does: "Row before", group: "Lists", run: () => go(at < 0 ? 0 : at - 1) },
    ...(props.onOpen
      ? [
          {
            keys: "enter",
            does: "Open",
            group: "Lists",
            run: (event: KeyboardEvent) => openHere(event, here, props.onOpen),
          },
        ]
      : []),
    ...(selection
      ? [{ keys: "x", does: "Choose the row", group: "Lists", run: () => here && marks.toggle(at, false) }]
      : []),
    ...(props.rowKeys?.(here) ?? []),
  ]);

  const tracks = columns.map((column) => column.width).join(" ");
  const grid = { gridTemplateColumns: selection ? `16px ${tracks}` : tracks };
  const onRow = (event: MouseEvent, index: number, item: T) => {
    if (isOwnClick(event)) return;
    setCurrent(idOf(item));
    if (selection && (event.shiftKey || event.metaKey || event.ctrlKey)) marks.toggle(index, event.shiftKey);
    else props.onOpen?.(item);
  };

  if (props.loading) {
    return (
      <div className="list" ref={scroller}>
        <SkeletonRows />
      </div>
    );
  }
  if (items.length === 0 && props.empty) {
    return (
      <div className="list" ref={scroller}>
        {props.above}
        {props.empty}
      </div>
    );
  }
  return (
    <div className="list-frame">
      {props.above}
      <div
        ref={scroller}
        className="list"
        role={props.tree ? "treegrid" : "grid"}
        aria-label={props.label}
        aria-rowcount={more?.has ? -1 : items.length + 1}
        aria-multiselectable={selection ? true : undefined}
        aria-activedescendant={shown ? `${props.name}-${idOf(here)}` : undefined}
        tabIndex={0}
        data-scroll-restoration-id={props.name}
      >
        <HeadRow
          columns={columns}
          grid={grid}
          sort={props.sort}
          onSort={props.onSort}
          selection={selection}
          all={marks.all}
        />
        <div className="list-inner" role="presentation" style={{ height: virtual.getTotalSize() }}>
          {rows.map((row) => {
            const item = items[row.index];
            if (item === undefined) return null;
            const id = idOf(item);
            const state = { current: row.index === at, chosen: selection?.chosen.has(id) ?? false, index: row.index };
            return (
              // biome-ignore lint/a11y/useKeyWithClickEvents: Enter on the grid opens the current row.
              <div
                {...props.rowProps?.(item)}
                key={row.key}
                id={`${props.name}-${id}`}
                role="row"
                tabIndex={-1}
                aria-rowindex={row.index + 2}
                aria-selected={selection ? state.chosen : undefined}
                aria-level={props.tree ? props.tree.level(item) + 1 : undefined}
                aria-expanded={props.tree?.open(item)}
                className={`row${state.current ? " current" : ""}${state.chosen ? " chosen" : ""}`}
                style={{ ...grid, height: row.size, transform: `translateY(${row.start}px)` }}
                onClick={(event) => onRow(event, row.index, item)}
              >
                {selection && (
                  <div role="gridcell">
                    <input
                      type="checkbox"
                      aria-label="Choose the row"
                      tabIndex={-1}
                      checked={state.chosen}
                      onChange={() => {}}
                      onClick={(event) => marks.toggle(row.index, event.shiftKey)}
                    />
                  </div>
                )}
                {columns.map((column) => (
                  <div key={column.id} role="gridcell" className={column.num ? "num" : undefined}>
                    {column.cell(item, state)}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
        {more?.busy && <SkeletonRows rows={2} />}
      </div>
    </div>
  );
}

/** The width of the list, as it changes; wide until it is known. */
function useWidth(ref: RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(Number.POSITIVE_INFINITY);
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element) return;
    setWidth(element.clientWidth);
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, [ref]);
  return width;
}

function openHere<T>(event: KeyboardEvent, here: T | undefined, onOpen: ((item: T) => void) | undefined) {
  // Enter on a focused button or link is meant for that.
  const target = event.target;
  if (target instanceof HTMLElement && target.closest("a, button")) target.closest<HTMLElement>("a, button")?.click();
  else if (here !== undefined) onOpen?.(here);
}

/** A click on something in the row that does its own thing. */
function isOwnClick(event: MouseEvent): boolean {
  return event.target instanceof HTMLElement && event.target.closest("a, button, input, select, textarea") !== null;
}

function useSelection<T>(
  items: readonly T[],
  idOf: (item: T) => string,
  selection: Selection | undefined,
  at: number,
): { toggle: (index: number, range: boolean) => void; all: () => void } {
  const anchor = useRef(at);
  const toggle = (index: number, range: boolean) => {
    if (!selection) return;
    const chosen = new Set(selection.chosen);
    const item = items[index];
    if (item === undefined) return;
    if (range && anchor.current >= 0) {
      const [from, to] = [Math.min(anchor.current, index), Math.max(anchor.current, index)];
      for (const each of items.slice(from, to + 1)) chosen.add(idOf(each));
    } else if (!chosen.delete(idOf(item))) chosen.add(idOf(item));
    anchor.current = index;
    selection.set(chosen);
  };
  const all = () => selection?.set(selection.chosen.size ? new Set() : new Set(items.map(idOf)));
  return { toggle, all };
}

interface HeadRowProps<T> {
  columns: readonly Column<T>[];
  grid: CSSProperties;
  sort?: string;
  onSort?: (sort: string) => void;
  selection?: Selection;
  all: () => void;
}

function HeadRow<T>({ columns, grid, sort, onSort, selection, all }: HeadRowProps<T>) {
  return (
    <div className="row-head" role="row" tabIndex={-1} aria-rowindex={1} style={grid}>
      {selection && (
        <div role="columnheader" tabIndex={-1}>
          <input
            type="checkbox"
            aria-label={selection.chosen.size ? "Choose none" : "Choose all that are loaded"}
            tabIndex={-1}
            checked={selection.chosen.size > 0}
            onChange={all}
          />
        </div>
      )}
      {columns.map((column) => (
        <HeadCell key={column.id} column={column} sort={sort} onSort={onSort} />
      ))}
    </div>
  );
}

interface HeadCellProps<T> {
  column: Column<T>;
  sort?: string;
  onSort?: (sort: string) => void;
}

function HeadCell<T>({ column, sort, onSort }: HeadCellProps<T>) {
  const up = column.sort !== undefined && sort === column.sort;
  const down = column.sort !== undefined && sort === `-${column.sort}`;
  const order = up ? "ascending" : down ? "descending" : undefined;
  return (
    <div role="columnheader" tabIndex={-1} className={column.num ? "num" : "clip"} aria-sort={order}>
      {column.sort && onSort ? (
        <button type="button" className="sort" onClick={() => onSort(up ? `-${column.sort}` : (column.sort ?? ""))}>
          {column.title}
          {up && <ArrowUp aria-hidden />}
          {down && <ArrowDown aria-hidden />}
        </button>
      ) : (
        column.title
      )}
    </div>
  );
}
