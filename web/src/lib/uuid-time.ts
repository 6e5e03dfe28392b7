// When an id was made: those of version 7 begin with their time.

export function timeOfId(id: string): number | undefined {
  const hex = id.replaceAll("-", "");
  if (!/^[0-9a-f]{12}7[0-9a-f]{19}$/i.test(hex)) return undefined;
  return Number.parseInt(hex.slice(0, 12), 16);
}

/** The span of time in which an event with this id was written, to look for it in a log that gives none by its id. */
export function spanOfId(id: string, around = 10_000): { from: string; until: string } | undefined {
  const at = timeOfId(id);
  if (at === undefined) return undefined;
  return { from: new Date(at - around).toISOString(), until: new Date(at + around).toISOString() };
}
