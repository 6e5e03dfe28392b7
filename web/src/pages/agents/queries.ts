// What the pages of agents ask for.
import { useMemo } from "react";
import type { Agent, AgentStatus, AgentTools, AgentVersion } from "@/api/agents-types";
import { keys } from "@/api/cache";
import { callOperation, useCall } from "@/api/call";
import { usePages } from "@/api/lists";
import { useMay } from "@/api/session";
import type { Page } from "@/api/types";
import { useOperations } from "@/pages/operations/queries";

const PAGE = 100;

export function useAgents(status?: AgentStatus) {
  const may = useMay();
  return usePages<Agent>({
    queryKey: keys.agents({ status: status ?? "all" }),
    fetch: (cursor, signal) =>
      callOperation<Page<Agent>>(
        "agents.list",
        { limit: PAGE, ...(status && { status }), ...(cursor && { cursor }) },
        { signal },
      ),
    enabled: may("agents:read"),
  });
}

export function useAgent(id: string) {
  const may = useMay();
  return useCall<Agent>("agents.get", { agent_id: id }, { queryKey: keys.agent(id), enabled: may("agents:read") });
}

export function useVersions(id: string) {
  return usePages<AgentVersion>({
    queryKey: keys.agentVersions(id),
    fetch: (cursor, signal) =>
      callOperation<Page<AgentVersion>>(
        "agents.versions",
        { agent_id: id, limit: PAGE, ...(cursor && { cursor }) },
        { signal },
      ),
  });
}

/** What the saved patterns come to. */
export function useTools(id: string | undefined) {
  return useCall<AgentTools>(
    "agents.tools",
    { agent_id: id },
    { queryKey: keys.agentTools(id ?? ""), enabled: id !== undefined },
  );
}

/** The names of operations by those that models use. */
export function useNameOf(): (wireName: string) => string {
  const operations = useOperations();
  return useMemo(() => {
    const names = new Map(operations.data?.map((each) => [each.wire_name, each.name]));
    return (wireName) => names.get(wireName) ?? wireName;
  }, [operations.data]);
}
