// The hand-made types of agents and models, held to what the server serves.
import { expect, it } from "vitest";
import type { Agent, AgentTools, AgentVersion, Conversation, Message, Sent } from "@/api/agents-types";
import type {
  ChatAnswer,
  ModelList,
  ModelRoute,
  Provider,
  ProviderTest,
  UsageRow,
  UsageSummary,
} from "@/api/models-types";
import type { operations } from "@/api/schema";

type Body<K extends keyof operations> = operations[K]["responses"] extends {
  200: { content: { "application/json": infer T } };
}
  ? T
  : never;
/** Fails to compile when what is served is not what is taken for it. */
type Served<Hand, Real extends Hand> = Real;

export type Checked = [
  Served<Agent, Body<"agents_get">>,
  Served<AgentVersion, Body<"agents_versions">["items"][number]>,
  Served<AgentTools, Body<"agents_tools">>,
  Served<Conversation, Body<"conversations_get">>,
  Served<Message, Body<"conversations_messages">["items"][number]>,
  Served<Sent, Body<"conversations_send">>,
  Served<Provider, Body<"providers_get">>,
  Served<ProviderTest, Body<"providers_test">>,
  Served<ModelRoute, Body<"routes_get">>,
  Served<ModelList, Body<"models_list">>,
  Served<UsageRow, Body<"usage_list">["items"][number]>,
  Served<UsageSummary, Body<"usage_summary">>,
  Served<ChatAnswer, Body<"llm_chat">>,
];

it("is checked when types are", () => expect(true).toBe(true));
