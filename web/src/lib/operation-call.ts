// An operation as an HTTP call: what of its input goes into the path, the query and the body.
import type { OperationInfo } from "@/api/types";

export interface HttpCall {
  method: string;
  path: string;
  body?: unknown;
}

const IN_QUERY = new Set(["GET", "HEAD", "DELETE"]);

export function httpCall(operation: Pick<OperationInfo, "rest">, input: Record<string, unknown>): HttpCall | undefined {
  const { rest } = operation;
  if (!rest) return undefined;
  const left = { ...input };
  const path = rest.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = left[name];
    delete left[name];
    return encodeURIComponent(String(value ?? ""));
  });
  if (!IN_QUERY.has(rest.method)) return { method: rest.method, path, body: left };
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(left)) {
    // Lists are repeated keys, as the server reads them.
    for (const each of Array.isArray(value) ? value : [value]) query.append(name, String(each));
  }
  const text = query.toString();
  return { method: rest.method, path: text ? `${path}?${text}` : path };
}

/** The same call for a shell. */
export function curl(call: HttpCall, base: string): string {
  const parts = [`curl -X ${call.method} '${base}${call.path}'`, `-H "Authorization: Bearer $SYNAPSCALE_KEY"`];
  if (call.body !== undefined) {
    parts.push("-H 'Content-Type: application/json'", `-d '${JSON.stringify(call.body).replaceAll("'", "'\\''")}'`);
  }
  return parts.join(" \\\n  ");
}
