// The real server as a child process: started as `make run` starts it, in a directory of its own, stopped, started again.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "./until";

export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
/** What is kept of a run of the tests: the servers' logs, and pictures of what failed. */
export const KEPT = fileURLToPath(new URL("../logs/", import.meta.url));
const START_MS = 30_000;

let binary: string | undefined;

/** The program under test: SYNAPSCALE_BINARY, or what `cargo build -p synapscale-server` left. */
function program(): string {
  binary ??=
    process.env.SYNAPSCALE_BINARY ||
    join(execFileSync(join(ROOT, "scripts/target-dir.sh"), { encoding: "utf8" }).trim(), "debug/synapscale");
  return binary;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (!address || typeof address === "string") throw new Error("no free port");
  return address.port;
}

export class Server {
  readonly url: string;
  /** The first owner's API key. */
  key = "";
  /** The one-time link of the first start. */
  link = "";
  readonly log: string;
  readonly #data: string;
  readonly #variables: Record<string, string>;
  #child: ChildProcess | undefined;

  private constructor(name: string, port: number, variables: Record<string, string>) {
    this.url = `http://127.0.0.1:${port}`;
    this.#data = mkdtempSync(join(tmpdir(), "synapscale-browser-"));
    this.#variables = variables;
    mkdirSync(KEPT, { recursive: true });
    this.log = join(KEPT, `${name}.log`);
    rmSync(this.log, { force: true });
  }

  static async start(name: string, variables: Record<string, string> = {}): Promise<Server> {
    const server = new Server(name, await freePort(), variables);
    try {
      await server.start();
      const told = readFileSync(server.log, "utf8");
      server.link = /http:\/\/\S+\/#owner=\S+/.exec(told)?.[0] ?? "";
      server.key = /\bsyn_[\w-]+/.exec(told)?.[0] ?? "";
      if (!server.link || !server.key) throw new Error(`the first start printed no link or no key:\n${told}`);
      return server;
    } catch (error) {
      await server.remove();
      throw error;
    }
  }

  /** Starts it, for the first time or again: same data, same port. */
  async start() {
    const log = openSync(this.log, "a");
    const listen = this.url.slice("http://".length);
    const child = spawn(program(), ["serve", "--data", this.#data, "--listen", listen, "--profile", "dev"], {
      stdio: ["ignore", log, log],
      cwd: this.#data,
      env: { ...process.env, ...this.#variables },
    });
    closeSync(log);
    this.#child = child;
    let failed: Error | undefined;
    child.once("error", (error) => {
      failed = error;
    });
    const ready = async () => {
      if (failed) throw failed;
      if (child.exitCode !== null) throw new Error(`the server ended at its start:\n${this.tail()}`);
      return fetch(`${this.url}/readyz`).then(
        (answer) => answer.ok,
        () => false,
      );
    };
    await until("the server is ready", ready, START_MS);
  }

  /** `kill -9`: what a power cut does. */
  async kill() {
    await this.#end("SIGKILL");
  }

  /** Stops it, and deletes its data. */
  async remove() {
    await this.#end("SIGKILL");
    rmSync(this.#data, { recursive: true, force: true, maxRetries: 5 });
  }

  async #end(signal: NodeJS.Signals) {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await gone;
  }

  /** Calls the API with the owner's key. */
  async api<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${this.key}`, "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return (text ? JSON.parse(text) : undefined) as T;
  }

  /** Calls a command of the same program, as its user would: server and key come from the data directory. */
  command(...args: string[]): string {
    return execFileSync(program(), [...args, "--data", this.#data], { encoding: "utf8", cwd: ROOT, stdio: "pipe" });
  }

  /** What its log says of faults, and its last lines. */
  tail(lines = 6): string {
    const all = readFileSync(this.log, "utf8").trimEnd().split("\n");
    const faults = all.slice(0, -lines).filter((line) => /\b(WARN|ERROR|panicked)\b/.test(line));
    return [...faults.slice(-20), ...all.slice(-lines)].join("\n");
  }
}
