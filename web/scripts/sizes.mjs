// Prints the gzipped size of each chunk, and fails when the entry is above its budget.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const ENTRY_BUDGET_KB = 250;
const DIST = new URL("../dist/", import.meta.url);
const kb = (name) => gzipSync(readFileSync(new URL(name, DIST))).length / 1000;

const html = readFileSync(new URL("index.html", DIST), "utf8");
const files = readdirSync(new URL("assets/", DIST)).filter((name) => /\.(js|css)$/.test(name));
let entry = 0;
for (const name of files.sort((a, b) => kb(`assets/${b}`) - kb(`assets/${a}`))) {
  const first = html.includes(name);
  if (first) entry += kb(`assets/${name}`);
  console.log(`${kb(`assets/${name}`).toFixed(1).padStart(7)} kB  ${name}${first ? "  (entry)" : ""}`);
}
console.log(`${entry.toFixed(1).padStart(7)} kB  entry in all; at most ${ENTRY_BUDGET_KB}`);
if (entry > ENTRY_BUDGET_KB) process.exit(1);
