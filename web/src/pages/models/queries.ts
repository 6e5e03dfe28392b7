// What the pages of models ask for.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { keys } from "@/api/cache";
import { callOperation, useCall } from "@/api/call";
import type {
  ModelList,
  ModelRoute,
  Provider,
  ProviderTest,
  UsageBy,
  UsageSum,
  UsageSummary,
} from "@/api/models-types";
import { useMay } from "@/api/session";
import type { Page } from "@/api/types";

export function useProviders() {
  const may = useMay();
  return useCall<Page<Provider>>("providers.list", {}, { queryKey: keys.providers, enabled: may("models:read") });
}

export function useModelRoutes() {
  const may = useMay();
  return useCall<Page<ModelRoute>>("routes.list", {}, { queryKey: keys.modelRoutes, enabled: may("models:read") });
}

export function useModels() {
  const may = useMay();
  return useCall<ModelList>("models.list", {}, { queryKey: keys.models, enabled: may("models:read") });
}

const DAY_MS = 86_400_000;

/** The first moment of the day, in UTC, that lies so many days back; today counts. */
export function daysBack(days: number, now = Date.now()): string {
  return `${new Date(now - (days - 1) * DAY_MS).toISOString().slice(0, 10)}T00:00:00Z`;
}

export function useUsage(by: UsageBy, days: number) {
  const may = useMay();
  const from = daysBack(days);
  return useCall<UsageSummary>(
    "usage.summary",
    { by, from },
    { queryKey: keys.usage({ by, from }), enabled: may("usage:read"), staleTime: 15_000 },
  );
}

/** Today's attempts by provider: how each does. */
export function useHealth(): ReadonlyMap<string, UsageSum> {
  const usage = useUsage("provider", 2);
  return useMemo(() => new Map((usage.data?.items ?? []).map((sum) => [sum.key ?? "", sum])), [usage.data]);
}

const testKey = (id: string) => ["provider-test", id] as const;

/** The last test of this tab. */
export function useLastTest(id: string): ProviderTest | undefined {
  const query = useQuery<ProviderTest>({
    queryKey: testKey(id),
    queryFn: () => Promise.reject(new Error("It is only put here.")),
    enabled: false,
    staleTime: Number.POSITIVE_INFINITY,
  });
  return query.data;
}

export function useTest() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => callOperation<ProviderTest>("providers.test", { provider_id: id }),
    onSuccess: (test, id) => {
      client.setQueryData(testKey(id), test);
      void client.invalidateQueries({ queryKey: keys.providers });
      void client.invalidateQueries({ queryKey: keys.models });
    },
  });
}
