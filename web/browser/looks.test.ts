// Every page, light, dark and on a phone: without an accessibility fault, within the screen, and pictured in shots/.
import { mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ALLOW } from "./support/chat";
import { Model } from "./support/model";
import { PLACES, settled, visit } from "./support/pages";
import { type Seeded, seed } from "./support/seed";
import { ROOT } from "./support/server";
import { PHONE, stage } from "./support/stage";

const SHOTS = fileURLToPath(new URL("shots/", import.meta.url));
/** Made anew only when SYNAPSCALE_PICTURES=1 asks for it, so that test runs leave the tree as it is. */
const PICTURE = join(ROOT, "docs/images/dashboard.png");
const WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"];

const on = stage("looks", ALLOW);
let model: Model;
let seeded: Seeded;
beforeAll(async () => {
  mkdirSync(SHOTS, { recursive: true });
  // First: the link that is seeded makes the one before it useless.
  await on.signIn();
  model = await Model.start();
  seeded = await seed(on.server, model);
});
afterAll(() => model?.stop());

interface Finding {
  id: string;
  help: string;
  nodes: { html: string; failureSummary?: string }[];
}

/** What axe finds against WCAG 2.x A and AA; with `rules`, these alone. */
async function faults(page: Page, rules?: string[]): Promise<string[]> {
  // Through the debugger: the content policy would refuse a script tag, and rightly so.
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axe.source);
  const found = await page.evaluate(
    async ([tags, only]) => {
      const runOnly = only ? { type: "rule", values: only } : { type: "tag", values: tags };
      const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run(document, {
        runOnly: runOnly as never,
        resultTypes: ["violations"],
      });
      return violations as unknown as Finding[];
    },
    [WCAG, rules] as const,
  );
  return found.flatMap(({ id, help, nodes }) =>
    nodes.map(
      (node) => `${id}: ${help}\n  ${node.html.slice(0, 300)}\n  ${node.failureSummary?.replaceAll("\n", " ")}`,
    ),
  );
}

const picture = (page: Page, name: string) => page.screenshot({ path: join(SHOTS, `${name}.png`) });

test.each(PLACES)("$name", async (place) => {
  // Said by the browser itself of what is not there, or not for strangers.
  if (place.open || place.name === "missing") on.allow(/status of (401|404|410)/);
  const page = await (place.open ? on.stranger() : on.owner());
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  await visit(page, place, seeded, on.server);
  const light = await faults(page);
  await picture(page, `${place.name}-light`);
  await page.emulateMedia({ colorScheme: "dark" });
  // Between light and dark nothing but colours can differ.
  const dark = await faults(page, ["color-contrast", "link-in-text-block"]);
  await picture(page, `${place.name}-dark`);
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(PHONE);
  await settled(page);
  await picture(page, `${place.name}-phone`);
  const looks = { light, dark, onPhone: await outside(page) };
  expect(looks).toEqual({ light: [], dark: [], onPhone: [] });
});

/** How far the page is wider than the screen, and what stands outside of it where nothing scrolls. */
function outside(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const scrolls = (element: Element): boolean => {
      for (let up = element.parentElement; up; up = up.parentElement) {
        const { overflowX } = getComputedStyle(up);
        if (["auto", "scroll"].includes(overflowX) && up.scrollWidth > up.clientWidth) return true;
      }
      return false;
    };
    const out = [...document.querySelectorAll("a, button, input, select, textarea")].filter((element) => {
      const { left, right, width } = element.getBoundingClientRect();
      const shown = width > 1 && element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
      return shown && !element.closest(".react-flow") && (left < -1 || right > innerWidth + 1) && !scrolls(element);
    });
    const { scrollWidth, clientWidth } = document.documentElement;
    const wide = Math.max(scrollWidth, document.body.scrollWidth) - clientWidth;
    return [...(wide > 0 ? [`wider by ${wide} px`] : []), ...out.map((element) => element.outerHTML.slice(0, 200))];
  });
}

test("moves nothing for those who ask for no motion", async () => {
  const page = await on.owner();
  await page.emulateMedia({ reducedMotion: "reduce" });
  await visit(page, { name: "run", at: ({ waiting }) => `/runs/${waiting}` }, seeded, on.server);
  await page.keyboard.press("?");
  const moving = await page.evaluate(() =>
    document.getAnimations().map((animation) => (animation.effect as KeyframeEffect | null)?.target?.className),
  );
  expect(moving).toEqual([]);
});

test.runIf(process.env.SYNAPSCALE_PICTURES === "1")("the README's picture is made", async () => {
  const page = await on.owner();
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  // Nobody decides at once: the run is shown as some minutes later.
  await page.clock.setFixedTime(Date.now() + 4 * 60_000);
  await page.goto(`/runs/${seeded.waiting}`);
  await settled(page);
  mkdirSync(dirname(PICTURE), { recursive: true });
  await page.screenshot({ path: PICTURE });
});

test("the README's picture is there, and small", () => {
  expect(statSync(PICTURE).size).toBeLessThanOrEqual(250_000);
});
