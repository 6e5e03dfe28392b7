// Sums as bars: days stand, groups lie. A bar that is hatched, or a question mark, says that some cost is not known.
import { useLayoutEffect, useRef, useState } from "react";
import type { UsageBy } from "@/api/models-types";
import { compact, usd, usdOf } from "@/lib/money";
import type { ChartData, Measure, UsageBar } from "@/lib/usage-chart";

interface UsageChartProps {
  data: ChartData;
  by: UsageBy;
  measure: Measure;
  label: string;
}

function told(value: number | null, measure: Measure): string {
  if (measure === "cost") return usd(value);
  return value === null ? "unknown" : compact(value);
}

function barWords(bar: UsageBar, measure: Measure): string {
  const value = measure === "cost" ? usdOf(bar.sum) : told(bar.value, measure);
  const failed = bar.sum.failed ? `, ${bar.sum.failed} failed` : "";
  const unknown = bar.unknown ? `, ${bar.unknown} of unknown cost` : "";
  return `${bar.key || bar.label}: ${value}, ${bar.sum.attempts} attempts${failed}${unknown}`;
}

export function UsageChart(props: UsageChartProps) {
  return props.by === "day" ? <Standing {...props} /> : <Lying {...props} />;
}

const HEIGHT = 240;
const LEFT = 60;
const BOTTOM = 24;
const TOP = 16;
const MIN_LABEL = 44;

function Standing({ data, measure, label }: UsageChartProps) {
  const frame = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(720);
  const [at, setAt] = useState<number>();
  useLayoutEffect(() => {
    const element = frame.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(Math.max(280, element.clientWidth)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const { bars, ticks, top } = data;
  const slot = (width - LEFT) / Math.max(1, bars.length);
  const y = (value: number) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
  const every = Math.ceil(MIN_LABEL / slot);
  const shown = at === undefined ? undefined : bars[at];
  const step = (by: number) => setAt((now) => Math.max(0, Math.min(bars.length - 1, (now ?? bars.length - by) + by)));
  return (
    <figure className="chart">
      <div
        ref={frame}
        className="chart-frame"
        role="group"
        aria-label={`${label}. The arrow keys walk through the days; the table says the same.`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the arrows walk through the days.
        tabIndex={0}
        onKeyDown={(event) => {
          if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
          event.preventDefault();
          step(event.key === "ArrowRight" ? 1 : -1);
        }}
        onMouseLeave={() => setAt(undefined)}
      >
        <svg width={width} height={HEIGHT} aria-hidden>
          <defs>
            <pattern id="usage-hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
              <rect width="6" height="6" className="chart-hatch-ground" />
              <rect width="2" height="6" className="chart-hatch-line" />
            </pattern>
          </defs>
          {ticks.map((tick) => (
            <g key={tick}>
              <line x1={LEFT} x2={width} y1={y(tick)} y2={y(tick)} className="chart-line" />
              <text x={LEFT - 8} y={y(tick) + 4} textAnchor="end" className="chart-text">
                {told(tick, measure)}
              </text>
            </g>
          ))}
          {bars.map((bar, index) => {
            const height = bar.value ? Math.max(2, y(0) - y(bar.value)) : 0;
            const x = LEFT + index * slot;
            const hatched = measure === "cost" && bar.unknown > 0;
            return (
              // biome-ignore lint/a11y/noStaticElementInteractions: pointing at it shows what the keys show, too.
              <g key={bar.key} onMouseEnter={() => setAt(index)}>
                <rect
                  x={x}
                  y={TOP}
                  width={slot}
                  height={HEIGHT - TOP - BOTTOM}
                  className={index === at ? "chart-slot here" : "chart-slot"}
                />
                <rect
                  x={x + slot * 0.15}
                  y={y(0) - height}
                  width={Math.max(1, slot * 0.7)}
                  height={height}
                  rx={Math.min(3, slot * 0.2)}
                  className={hatched ? "chart-bar hatched" : "chart-bar"}
                />
                {hatched && (
                  <text x={x + slot / 2} y={y(0) - height - 4} textAnchor="middle" className="chart-text unknown">
                    ?
                  </text>
                )}
                {index % every === 0 && x + MIN_LABEL <= width + slot && (
                  <text x={x + slot / 2} y={HEIGHT - 6} textAnchor="middle" className="chart-text">
                    {bar.label}
                  </text>
                )}
              </g>
            );
          })}
        </svg>
      </div>
      <figcaption aria-live="polite" className={shown ? undefined : "muted"}>
        {shown ? barWords(shown, measure) : "Days in UTC. Point at a day, or walk with the arrow keys."}
        {!shown &&
          measure === "cost" &&
          bars.some((bar) => bar.unknown > 0) &&
          " Hatched, with “?”: some of it is not known."}
      </figcaption>
    </figure>
  );
}

function Lying({ data, measure, label }: UsageChartProps) {
  const { bars, top } = data;
  return (
    <figure className="chart">
      <ul className="chart-rows" aria-label={label}>
        {bars.map((bar) => {
          const hatched = measure === "cost" && bar.unknown > 0;
          return (
            <li key={bar.key} title={barWords(bar, measure)}>
              <span className="clip chart-name">{bar.label}</span>
              <span className="chart-track" aria-hidden>
                <span
                  className={hatched ? "chart-fill hatched" : "chart-fill"}
                  style={{ width: `${((bar.value ?? 0) / top) * 100}%` }}
                />
              </span>
              <span className="num">{measure === "cost" ? usdOf(bar.sum) : told(bar.value, measure)}</span>
            </li>
          );
        })}
      </ul>
    </figure>
  );
}
