// Dead letters, answered for the server: nothing that the product itself consumes fails.
import type { Page, Route } from "playwright-core";
import type { Server } from "./server";

interface Letter {
  id: string;
  consumer: string;
  event_id: string;
  kind: string;
  error: string;
  attempts: number;
  at: string;
  queued: boolean;
}

interface Logged {
  items: { id: string; kind: string; at: string }[];
}

/** Two consumers, the first of which gave up as many events as asked for; what is replayed is gone a moment later. */
export async function standInLetters(server: Server, page: Page, count: number): Promise<Letter[]> {
  const { items } = await server.api<Logged>("GET", "/audit?limit=1");
  const [event] = items;
  const letters: Letter[] = Array.from({ length: count }, (_, index) => ({
    id: `01a1ffcf-2d12-711c-9046-${String(index).padStart(12, "0")}`,
    consumer: index % 5 === 4 ? "billing" : "search-index",
    event_id: event?.id ?? "",
    kind: event?.kind ?? "",
    error: index % 3 === 0 ? "The index answered 503: it is being rebuilt." : `Document ${index} is larger than 1 MiB.`,
    attempts: 3,
    at: new Date(Date.now() - index * 60_000).toISOString(),
    queued: false,
  }));
  const json = (route: Route, body: unknown) => route.fulfill({ json: body });
  await page.route("**/api/v1/consumers", (route) => {
    const group = (name: string, held: boolean, waiting: number) => ({
      name,
      cursor: "c",
      held,
      waiting,
      oldest_waiting: waiting ? new Date(Date.now() - 240_000).toISOString() : null,
      dead_letters: letters.filter((letter) => letter.consumer === name).length,
    });
    return json(route, { items: [group("billing", true, 0), group("search-index", false, 1_204)] });
  });
  await page.route(/\/api\/v1\/dead-letters(\?|$)/, (route) => {
    const query = new URL(route.request().url()).searchParams;
    const [from, limit] = [Number(query.get("cursor") ?? 0), Number(query.get("limit") ?? 50)];
    const found = letters.filter((letter) => !query.get("consumer") || letter.consumer === query.get("consumer"));
    const next = from + limit < found.length ? String(from + limit) : null;
    return json(route, { items: found.slice(from, from + limit), next_cursor: next });
  });
  const drop = (ids: string[]) => {
    for (const id of ids) {
      const at = letters.findIndex((letter) => letter.id === id);
      if (at >= 0) letters.splice(at, 1);
    }
  };
  await page.route(/\/api\/v1\/dead-letters\/(drop|replay)$/, (route) => {
    const { ids } = route.request().postDataJSON() as { ids: string[] };
    if (route.request().url().endsWith("drop")) drop(ids);
    else {
      for (const letter of letters) if (ids.includes(letter.id)) letter.queued = true;
      setTimeout(() => drop(ids), 500);
    }
    return json(route, { count: ids.length });
  });
  return letters;
}
