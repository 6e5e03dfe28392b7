// What waits for a person: the number in the top bar and the side bar.
import { useQuery } from "@tanstack/react-query";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { useMay } from "@/api/session";

const MOST = 50;

export function useWaiting() {
  const may = useMay();
  return useQuery({
    queryKey: keys.approvals({ home: "pending" }),
    queryFn: ({ signal }) =>
      take(api.GET("/approvals", { params: { query: { status: "pending", limit: MOST } }, signal })),
    enabled: may("approvals:read"),
  });
}

/** "3", or "50+" when there are more than were asked for. */
export function useWaitingCount(): string | undefined {
  const { data } = useWaiting();
  if (!data?.items.length) return undefined;
  return data.next_cursor ? `${data.items.length}+` : String(data.items.length);
}
