// The one way to the API: cookies, the CSRF header, and problems turned into errors.
import createClient from "openapi-fetch";
import { ApiError, problemOf, unreachable } from "./problem";
import type { paths } from "./schema";

export const BASE = "/api/v1";
const SAFE_METHODS = new Set(["GET", "HEAD"]);

let csrf: string | undefined;
let onSignedOut: () => void = () => {};

/** The token that the session handed out; every request by cookie that changes something has to carry it. */
export function setCsrf(token: string | undefined) {
  csrf = token;
}

/** Called when the server no longer knows the session. */
export function whenSignedOut(callback: () => void) {
  onSignedOut = callback;
}

async function send(request: Request): Promise<Response> {
  if (csrf && !SAFE_METHODS.has(request.method)) request.headers.set("X-CSRF-Token", csrf);
  try {
    const response = await fetch(request);
    if (response.status === 401 && !new URL(request.url).pathname.startsWith(`${BASE}/auth/`)) onSignedOut();
    return response;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw unreachable();
  }
}

export const api = createClient<paths>({
  baseUrl: `${globalThis.location?.origin ?? ""}${BASE}`,
  credentials: "same-origin",
  fetch: send,
});

interface Answered<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The body of a good answer; a problem is thrown. */
export async function take<T>(answer: Promise<Answered<T>>): Promise<T> {
  const { data, error, response } = await answer;
  if (!response.ok) throw await problemOf(response, error);
  return data as T;
}

/** A call whose path is known only at run time: session routes, and operations called by their form. */
export async function raw(
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
  headers?: Record<string, string>,
): Promise<unknown> {
  const request = new Request(`${globalThis.location.origin}${BASE}${path}`, {
    method,
    credentials: "same-origin",
    headers: {
      ...(body === undefined ? { Accept: "application/json" } : { "Content-Type": "application/json" }),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal,
  });
  const response = await send(request);
  if (!response.ok) throw await problemOf(response);
  const text = await response.text();
  if (!text) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError({
      status: response.status,
      code: "bad_answer",
      title: "No JSON",
      detail: "The answer is not JSON.",
    });
  }
}
