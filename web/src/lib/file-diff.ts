// What differs between two versions of a workflow's file: its own fields, and its nodes one by one.

type Changes = Record<string, { before?: unknown; after?: unknown }>;

/** As lines, so that one changed setting is one changed line. */
function pretty(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value, null, 2);
}

function fieldsOf(file: unknown): Record<string, unknown> {
  return typeof file === "object" && file !== null ? (file as Record<string, unknown>) : {};
}

export function fileChanges(before: unknown, after: unknown): Changes {
  const changes: Changes = {};
  const put = (name: string, a: unknown, b: unknown) => {
    if (JSON.stringify(a) === JSON.stringify(b)) return;
    const plain = [a, b].every((value) => typeof value !== "object" || value === null);
    changes[name] = plain ? { before: a ?? null, after: b ?? null } : { before: pretty(a), after: pretty(b) };
  };
  const [{ nodes: nodesBefore, ...restBefore }, { nodes: nodesAfter, ...restAfter }] = [
    fieldsOf(before),
    fieldsOf(after),
  ];
  for (const name of new Set([...Object.keys(restBefore), ...Object.keys(restAfter)]))
    put(name, restBefore[name], restAfter[name]);
  const [was, is] = [fieldsOf(nodesBefore), fieldsOf(nodesAfter)];
  for (const id of new Set([...Object.keys(was), ...Object.keys(is)])) put(`node ${id}`, was[id], is[id]);
  return changes;
}
