// Waiting for a condition instead of for a time.

const STEP_MS = 25;

/** Asks again and again until it is so. */
export async function until(what: string, so: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!(await so())) {
    if (Date.now() > end) throw new Error(`never within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
  }
}
