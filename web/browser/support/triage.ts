// The sample workflow, and issues as GitHub delivers them: signed, to the workflow's own address.
import { createHmac, randomUUID } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT, type Server } from "./server";

const EXAMPLE = join(ROOT, "examples/issue-triage");

interface Hook {
  id: string;
  scheme: string;
  url_path: string;
  secret: string;
}

/** Applies the sample workflow by the command line, as its README says, and makes its hook's secret known. */
export async function applyTriage(server: Server): Promise<Hook> {
  // No issue: the run that the command starts ends at once and makes nothing.
  const nothing = join(tmpdir(), `synapscale-no-issue-${process.pid}.json`);
  writeFileSync(nothing, JSON.stringify({ title: "", description: "The first run." }));
  server.command("run", join(EXAMPLE, "workflow.yaml"), "--input", nothing, "--trigger", "by_hand");
  const { items } = await server.api<{ items: Hook[] }>("GET", "/hooks?workflow=issue-triage");
  const hook = items.find((each) => each.scheme === "github");
  if (!hook) throw new Error("the sample workflow has no hook for GitHub");
  const { secret } = await server.api<{ secret: string }>("POST", `/hooks/${hook.id}/rotate-secret`, {});
  return { ...hook, secret };
}

export interface Delivered {
  status: number;
  run: string;
  body: { outcome?: string; task_id?: string };
}

/** Delivers one of the example's inputs, such as `opened`, with the fields given changed. */
export async function deliver(
  server: Server,
  hook: Hook,
  what: "opened" | "duplicate" | "edited" | "closed",
  issue: { number?: number; title?: string; body?: string; labels?: { name: string }[] } = {},
): Promise<Delivered> {
  const sample = JSON.parse(readFileSync(join(EXAMPLE, `inputs/github-issue-${what}.json`), "utf8"));
  const body = JSON.stringify({ ...sample, issue: { ...sample.issue, ...issue } });
  const answer = await fetch(server.url + hook.url_path, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-github-event": "issues",
      "x-github-delivery": randomUUID(),
      "x-hub-signature-256": `sha256=${createHmac("sha256", hook.secret).update(body).digest("hex")}`,
    },
    body,
  });
  const run = answer.headers.get("x-synapscale-run");
  const told = (await answer.json()) as Delivered["body"];
  if (!run) throw new Error(`the delivery started no run: ${answer.status} ${JSON.stringify(told)}`);
  return { status: answer.status, run, body: told };
}
