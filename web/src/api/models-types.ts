// Providers, routes, models and usage, as their operations answer.

export interface Price {
  input: number;
  output: number;
  cached_input?: number | null;
  cache_write?: number | null;
}

export type Pricing = "book" | "free" | "unknown" | { fixed: Price };

export interface ProviderSettings {
  default_model?: string | null;
  pricing?: Pricing | null;
  structured?: string | null;
  effort?: string | null;
  unsupported?: string[];
}

export interface Provider {
  id: string;
  name: string;
  preset: string;
  base_url: string | null;
  has_key: boolean;
  key_hint: string | null;
  settings: ProviderSettings;
  status: "active" | "disabled";
  models: number;
  models_at: string | null;
  revision: number;
  created_at: string;
  updated_at: string;
}

export interface ProviderTest {
  provider: string;
  ok: boolean;
  by: "models" | "completion" | null;
  models: string[];
  took_ms: number;
  error: string | null;
  message: string | null;
}

export type Strategy = "ordered" | "weighted" | "least_latency" | "cheapest";

export interface Deployment {
  provider_id: string;
  model: string;
  weight?: number | null;
  first_token_ms?: number | null;
  idle_ms?: number | null;
  attempt_ms?: number | null;
  retries?: number | null;
  max_tokens?: number | null;
  pricing?: Pricing | null;
}

export interface ModelRoute {
  id: string;
  alias: string;
  strategy: Strategy;
  deployments: Deployment[];
  total_timeout_ms: number;
  revision: number;
  created_at: string;
  updated_at: string;
}

export interface KnownModel {
  id: string;
  provider: string;
  model: string;
  source: "provider" | "price_file" | "ollama";
  price: Price | null;
}

export interface ModelList {
  routes: string[];
  items: KnownModel[];
  prices_as_of: string;
}

export interface UsageRow {
  id: string;
  at: string;
  route: string | null;
  provider: string;
  model: string;
  run_id: string | null;
  actor_kind: string;
  actor_id: string;
  attempt: number;
  outcome: string;
  status_code: number | null;
  input_tokens: number | null;
  output_tokens: number | null;
  cached_tokens: number | null;
  reasoning_tokens: number | null;
  cost_nano_usd: number | null;
  first_token_ms: number | null;
  total_ms: number;
}

export type UsageBy = "day" | "route" | "model" | "provider";

export interface UsageSum {
  key: string | null;
  attempts: number;
  failed: number;
  input_tokens: number | null;
  output_tokens: number | null;
  cached_tokens: number | null;
  reasoning_tokens: number | null;
  cost_nano_usd: number | null;
  /** Attempts that succeeded and whose cost is not known. */
  unknown_costs: number;
}

export interface UsageSummary {
  items: UsageSum[];
  truncated: boolean;
}

export interface ChatAttempt {
  provider: string;
  model: string;
  outcome: string;
  error: string | null;
  status_code: number | null;
  first_token_ms: number | null;
  total_ms: number;
}

export interface ChatAnswer {
  message: { role: string; content?: unknown };
  finish: string;
  usage: { input?: number | null; output?: number | null; reasoning?: number | null };
  cost_nano_usd: number | null;
  model: string;
  provider: string;
  attempts: ChatAttempt[];
}
