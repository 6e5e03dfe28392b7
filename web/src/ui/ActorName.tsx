// Who did it, by name where the name is known.
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { useMay } from "@/api/session";
import type { Actor } from "@/api/types";
import { shortId } from "./parts";

const KINDS: Record<string, string> = { user: "Member", key: "Key", agent: "Agent", bot: "Bot" };
const MOST_NAMES = 200;

/** Members by their id. */
export function useNames() {
  const may = useMay();
  return useQuery({
    queryKey: [...keys.members, "names"],
    queryFn: ({ signal }) => take(api.GET("/members", { params: { query: { limit: MOST_NAMES } }, signal })),
    select: (page) => new Map(page.items.map(({ user }) => [user.id, user.full_name ?? user.email])),
    enabled: may("members:read"),
  });
}

/** The names of the members, to choose from where a person is written as text. */
export function usePeople(): readonly string[] {
  const names = useNames();
  return useMemo(() => [...(names.data?.values() ?? [])], [names.data]);
}

/** `user:ID` as an actor. */
export function actorOf(text: string): Actor {
  const [kind = "", id = ""] = text.split(":");
  return { kind, id };
}

export function ActorName({ actor }: { actor: Actor | null | undefined }) {
  const names = useNames();
  if (!actor) return <span className="faint">–</span>;
  if (actor.kind === "system") return <span>System</span>;
  const name = names.data?.get(actor.id) ?? `${KINDS[actor.kind] ?? actor.kind} ${shortId(actor.id)}`;
  return (
    <span className="clip" title={`${actor.kind} ${actor.id}`}>
      {name}
    </span>
  );
}
