import { useQuery } from "@tanstack/react-query";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { useMay } from "@/api/session";

/** Every operation one may call, with the schema of its input. */
export function useOperations() {
  const may = useMay();
  return useQuery({
    queryKey: keys.ops,
    queryFn: async ({ signal }) =>
      (await take(api.GET("/ops", { params: { query: { schemas: true } }, signal }))).operations,
    // Operations change with the server's version, and the page is loaded anew then.
    staleTime: Number.POSITIVE_INFINITY,
    enabled: may("ops:read"),
  });
}
