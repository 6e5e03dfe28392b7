import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { usePages } from "@/api/lists";
import type { LogEvent } from "@/api/types";
import type { EventsSearch } from "./route";

/** The audit trail: the newest first. */
export function useTrailEvents(filter: EventsSearch) {
  return usePages<LogEvent>({
    queryKey: keys.audit(filter),
    fetch: (since, signal) => take(api.GET("/audit", { params: { query: { ...filter, since, limit: 100 } }, signal })),
  });
}
