// Usage as a chart, money, and routes as they are edited.
import { describe, expect, it } from "vitest";
import type { UsageSum } from "@/api/models-types";
import { compact, nanoOf, perMillion, usd, usdOf } from "@/lib/money";
import { moved, newDeployment, routeDraft, routeInput } from "@/lib/route-draft";
import { chartData, daysBetween, ticksTo, totalOf } from "@/lib/usage-chart";

function sum(key: string | null, fields: Partial<UsageSum> = {}): UsageSum {
  return {
    key,
    attempts: 1,
    failed: 0,
    input_tokens: 10,
    output_tokens: 5,
    cached_tokens: null,
    reasoning_tokens: null,
    cost_nano_usd: 1_000,
    unknown_costs: 0,
    ...fields,
  };
}

describe("a chart of usage", () => {
  it("has every day, also those without a call", () => {
    const days = daysBetween("2026-02-27T00:00:00Z", "2026-03-02T13:00:00Z");
    expect(days).toEqual(["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"]);
    const { bars } = chartData([sum("2026-03-01")], "day", "calls", days);
    expect(bars.map((bar) => bar.value)).toEqual([0, 0, 1, 0]);
  });

  it("does not take what is unknown for nothing", () => {
    const known = chartData(
      [sum("a", { cost_nano_usd: null, unknown_costs: 3 }), sum("b"), sum("c", { cost_nano_usd: 0 })],
      "model",
      "cost",
      [],
    );
    expect(known.bars.map(({ key, value, unknown }) => [key, value, unknown])).toEqual([
      ["b", 1_000, 0],
      ["c", 0, 0],
      ["a", null, 3],
    ]);
    const tokens = chartData([sum("a", { input_tokens: null, output_tokens: null })], "model", "tokens", []);
    expect(tokens.bars[0]?.value).toBeNull();
    expect(chartData([sum(null)], "route", "cost", []).bars[0]?.label).toBe("no route");
  });

  it("has round numbers at its axis, up to the highest bar at least", () => {
    expect(ticksTo(0)).toEqual([0, 1]);
    expect(ticksTo(4)).toEqual([0, 1, 2, 3, 4]);
    for (const highest of [1, 7, 93, 1_234, 3.1e9, 0.004]) {
      const ticks = ticksTo(highest);
      expect(ticks.at(-1)).toBeGreaterThanOrEqual(highest * 0.999);
      expect(ticks.length).toBeLessThanOrEqual(6);
    }
  });

  it("adds up what is known, and counts what is not", () => {
    const total = totalOf([sum("a"), sum("b", { cost_nano_usd: null, unknown_costs: 2 })]);
    expect(total).toMatchObject({ attempts: 2, cost_nano_usd: 1_000, unknown_costs: 2, cached_tokens: null });
    expect(totalOf([]).cost_nano_usd).toBeNull();
  });
});

it("tells money", () => {
  expect([null, 0, 1, 5_000_000, 250_000_000, 12_345_678_900_000].map(usd)).toEqual([
    "unknown",
    "$0",
    "< $0.0001",
    "$0.0050",
    "$0.250",
    "$12,345.68",
  ]);
  expect(usdOf({ cost_nano_usd: null, unknown_costs: 2 })).toBe("unknown");
  expect(usdOf({ cost_nano_usd: 2e9, unknown_costs: 2 })).toBe("$2.00 + unknown");
  expect(usdOf({ cost_nano_usd: null, unknown_costs: 0 })).toBe("$0");
  expect([perMillion(1_250_000), perMillion(null)]).toEqual(["$1.25", "unknown"]);
  expect([nanoOf("$0.5"), nanoOf("x"), nanoOf(" "), nanoOf("-1")]).toEqual([
    500_000_000,
    undefined,
    undefined,
    undefined,
  ]);
  expect([compact(null), compact(950), compact(12_400)]).toEqual(["–", "950", "12.4K"]);
});

describe("a route's form", () => {
  it("moves deployments", () => {
    expect(moved(["a", "b", "c"], 0, 2)).toEqual(["b", "c", "a"]);
    expect(moved(["a", "b", "c"], 2, 0)).toEqual(["c", "a", "b"]);
    expect(moved(["a"], 0, 5)).toEqual(["a"]);
  });

  it("sends what was given, and leaves the rest to the product", () => {
    const draft = routeDraft({
      id: "r",
      alias: "default",
      strategy: "weighted",
      deployments: [{ provider_id: "p", model: "m", weight: 3, idle_ms: 1_500, pricing: "free" }],
      total_timeout_ms: 900_000,
      revision: 1,
      created_at: "",
      updated_at: "",
    });
    expect(draft.deployments[0]).toMatchObject({ weight: "3", idle: "1.5", attempt: "" });
    expect(routeInput(draft)).toEqual({
      alias: "default",
      strategy: "weighted",
      total_timeout_ms: 900_000,
      deployments: [{ provider_id: "p", model: "m", weight: 3, idle_ms: 1_500, pricing: "free" }],
    });
    const fresh = { ...routeDraft(undefined), alias: " x ", deployments: [newDeployment("p", " m ")] };
    expect(routeInput(fresh)).toMatchObject({ alias: "x", total_timeout_ms: null, deployments: [{ model: "m" }] });
  });
});
