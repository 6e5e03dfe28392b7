// Places among siblings, as the server keeps them: digits behind a decimal point, so that there is room between any two.

const DIGITS = /^\d*[1-9]$/;

/** Whether a text is a place; tasks from before there were places have none. */
export function isPlace(text: string): boolean {
  return DIGITS.test(text);
}

/** In the order of their places; those without one come first, in the order of their making. */
export function byPlace(a: { position: string; id: string }, b: { position: string; id: string }): number {
  if (a.position !== b.position) return a.position < b.position ? -1 : 1;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

/** A place after `low` and before `high`; either may be open. The same as the server would choose. */
export function between(low: string | undefined, high: string | undefined): string {
  const from = low && isPlace(low) ? low : undefined;
  // Two at the very same place leave no room between them: behind both, then.
  const to = high && isPlace(high) && (!from || from < high) ? high : undefined;
  let open = to === undefined;
  let out = "";
  for (let at = 0; ; at++) {
    const least = Number(from?.[at] ?? 0);
    const most = open ? 10 : Number(to?.[at] ?? 0);
    if (most - least > 1) return out + String(least + Math.floor((most - least) / 2));
    // From here on anything is before `high`.
    if (most - least === 1) open = true;
    out += String(least);
  }
}
