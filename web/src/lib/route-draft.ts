// A route to models as it is edited: texts of fields, and what they mean.
import type { Deployment, ModelRoute, Strategy } from "@/api/models-types";

export interface DeploymentDraft {
  /** Known only here, so that a row keeps its fields when it moves. */
  key: number;
  provider_id: string;
  model: string;
  weight: string;
  first_token: string;
  idle: string;
  attempt: string;
  retries: string;
  max_tokens: string;
  pricing: Deployment["pricing"];
}

export interface RouteDraft {
  alias: string;
  strategy: Strategy;
  total: string;
  deployments: DeploymentDraft[];
}

let last = 0;

export function newDeployment(provider = "", model = ""): DeploymentDraft {
  return {
    key: ++last,
    provider_id: provider,
    model,
    weight: "",
    first_token: "",
    idle: "",
    attempt: "",
    retries: "",
    max_tokens: "",
    pricing: undefined,
  };
}

const seconds = (ms: number | null | undefined) => (ms === null || ms === undefined ? "" : String(ms / 1000));
const count = (value: number | null | undefined) => (value === null || value === undefined ? "" : String(value));

export function routeDraft(route: ModelRoute | undefined): RouteDraft {
  if (!route) return { alias: "", strategy: "ordered", total: "", deployments: [newDeployment()] };
  return {
    alias: route.alias,
    strategy: route.strategy,
    total: seconds(route.total_timeout_ms),
    deployments: route.deployments.map((each) => ({
      key: ++last,
      provider_id: each.provider_id,
      model: each.model,
      weight: count(each.weight),
      first_token: seconds(each.first_token_ms),
      idle: seconds(each.idle_ms),
      attempt: seconds(each.attempt_ms),
      retries: count(each.retries),
      max_tokens: count(each.max_tokens),
      pricing: each.pricing,
    })),
  };
}

/** Moves one entry to another place. */
export function moved<T>(items: readonly T[], from: number, to: number): T[] {
  const next = [...items];
  const [item] = next.splice(from, 1);
  if (item !== undefined) next.splice(Math.max(0, Math.min(next.length, to)), 0, item);
  return next;
}

function numberOf(typed: string, factor = 1): number | null {
  const value = Number(typed);
  return typed.trim() === "" || !Number.isFinite(value) ? null : Math.round(value * factor);
}

/** What is sent; fields that were left empty are the product's to choose. */
export function routeInput(draft: RouteDraft): {
  alias: string;
  strategy: Strategy;
  deployments: Deployment[];
  total_timeout_ms: number | null;
} {
  return {
    alias: draft.alias.trim(),
    strategy: draft.strategy,
    total_timeout_ms: numberOf(draft.total, 1000),
    deployments: draft.deployments.map((each) => {
      const made: Deployment = { provider_id: each.provider_id, model: each.model.trim() };
      const put = (field: Exclude<keyof Deployment, "provider_id" | "model" | "pricing">, value: number | null) => {
        if (value !== null) made[field] = value;
      };
      put("weight", numberOf(each.weight));
      put("first_token_ms", numberOf(each.first_token, 1000));
      put("idle_ms", numberOf(each.idle, 1000));
      put("attempt_ms", numberOf(each.attempt, 1000));
      put("retries", numberOf(each.retries));
      put("max_tokens", numberOf(each.max_tokens));
      if (each.pricing) made.pricing = each.pricing;
      return made;
    }),
  };
}
