// The browser tests: the real server, a real Chromium. `npm run browser`; the timed ones by `npm run browser:scale`.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

const timed = process.env.SYNAPSCALE_SCALE === "1";

/** The longest file first, so that nobody waits for it at the end. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]) {
    const last = (file: TestSpecification) => Number(!file.moduleId.endsWith("looks.test.ts"));
    return files.toSorted((a, b) => last(a) - last(b) || a.moduleId.localeCompare(b.moduleId));
  }
}

export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  test: {
    include: [timed ? "scale.test.ts" : "*.test.ts"],
    exclude: timed ? [] : ["scale.test.ts"],
    environment: "node",
    testTimeout: 60_000,
    hookTimeout: timed ? 900_000 : 60_000,
    // A server and a browser each; more at once than this only make one another slow.
    maxWorkers: timed ? 1 : 2,
    // A test that fails now and then is a bug.
    retry: 0,
    sequence: { hooks: "stack", sequencer: LongestFirst },
    reporters: ["verbose"],
  },
});
