// What a file of tests stands on: a server, a browser, a signed-in owner; and what no page may do.
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { KEPT, ROOT, Server } from "./server";

export const EMAIL = "owner@example.com";
export const PASSWORD = "correct horse battery staple";
export const DESKTOP = { width: 1440, height: 900 };
export const PHONE = { width: 390, height: 844 };
/** How long a page may take to come to what is waited for; the machine may have much else to do. */
const WAIT_MS = 10_000;

type Cookies = Awaited<ReturnType<BrowserContext["cookies"]>>;

/** The Chromium that the script finds. */
function program(): string {
  return (
    process.env.SYNAPSCALE_CHROMIUM ||
    execFileSync(join(ROOT, "scripts/chromium.sh"), ["find"], { encoding: "utf8" }).trim()
  );
}

export class Stage {
  server!: Server;
  browser!: Browser;
  #cookies: Cookies = [];
  #contexts: BrowserContext[] = [];
  #own: BrowserContext | undefined;
  #faults: string[] = [];
  #allowed: RegExp[] = [];

  /** A browser of its own, with nobody signed in. */
  async stranger(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.#context(options);
    this.#contexts.push(context);
    return context.newPage();
  }

  /** A page of the owner's. All without options of their own are in one browser: what one has loaded, the others know. */
  async owner(options?: BrowserContextOptions): Promise<Page> {
    if (this.#cookies.length === 0) await this.signIn();
    if (options) {
      const page = await this.stranger(options);
      await page.context().addCookies(this.#cookies);
      return page;
    }
    this.#own ??= await this.#context({});
    await this.#own.addCookies(this.#cookies);
    return this.#own.newPage();
  }

  async #context(options: BrowserContextOptions): Promise<BrowserContext> {
    const context = await this.browser.newContext({
      baseURL: this.server.url,
      viewport: DESKTOP,
      locale: "en-GB",
      timezoneId: "UTC",
      ...options,
    });
    context.setDefaultTimeout(WAIT_MS);
    // A violation is an error in the console, too; this names the directive and what was refused.
    await context.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) =>
        console.error(`CSP: ${event.violatedDirective} refused ${event.blockedURI} ${event.sample}`),
      );
    });
    context.on("console", (message) => {
      if (message.type() === "error") this.#fault(`console: ${message.text()} (${message.location().url})`);
    });
    context.on("weberror", (error) => this.#fault(`uncaught: ${error.error().stack ?? error.error()}`));
    return context;
  }

  /** Opens a session of the owner's by the one-time link; later calls of `owner` share it. */
  async signIn() {
    const token = this.server.link.split("#owner=")[1];
    const answer = await fetch(`${this.server.url}/api/v1/auth/owner-link/accept`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ token, password: PASSWORD }),
    });
    const cookie = /synapscale_session=([^;]+)/.exec(answer.headers.get("set-cookie") ?? "")?.[1];
    if (!cookie) throw new Error(`nobody was signed in: ${answer.status} ${await answer.text()}`);
    const fields = { name: "synapscale_session", value: cookie, expires: -1, secure: false };
    this.#cookies = [{ ...fields, domain: "127.0.0.1", path: "/", httpOnly: true, sameSite: "Strict" }];
  }

  /** For this test, the console may say so: a refused sign-in and a lost server are told there by the browser itself. */
  allow(...patterns: RegExp[]) {
    this.#allowed.push(...patterns);
  }

  #fault(text: string) {
    this.#faults.push(text);
  }

  async open() {
    const executablePath = program();
    // Chromium refuses to sandbox itself for root.
    this.browser = await chromium.launch({ executablePath, chromiumSandbox: process.getuid?.() !== 0 });
  }

  /** Prints and keeps what helps to understand a failure. */
  async tell(test: string) {
    console.error(`The end of the server's log, which is ${this.server.log}:\n${this.server.tail()}`);
    if (this.#faults.length > 0) console.error(`What the pages said:\n${this.#faults.join("\n")}`);
    const pages = [...this.#contexts, ...(this.#own ? [this.#own] : [])].flatMap((context) => context.pages());
    for (const [index, page] of pages.entries()) {
      const path = join(KEPT, `${test.replace(/\W+/g, "-").slice(0, 60)}-${index}.png`);
      const kept = await page.screenshot({ path, timeout: 3_000 }).catch(() => undefined);
      console.error(`${page.url()}${kept ? ` looked like ${path}` : ""}`);
    }
  }

  /** Closes what the test opened, and says what the pages did that they should not. */
  async clear(): Promise<string[]> {
    const contexts = this.#contexts;
    this.#contexts = [];
    await Promise.all(contexts.map((context) => context.close()));
    await Promise.all(this.#own?.pages().map((page) => page.close()) ?? []);
    const faults = this.#faults.filter((fault) => !this.#allowed.some((pattern) => pattern.test(fault)));
    this.#faults = [];
    this.#allowed = [];
    return faults;
  }
}

/** A server and a browser for the tests of one file. */
export function stage(name: string, variables: Record<string, string> = {}): Stage {
  const made = new Stage();
  beforeAll(async () => {
    await made.open();
    made.server = await Server.start(name, variables);
  });
  afterEach(async ({ task }) => {
    const failed = task.result?.state === "fail";
    if (failed) await made.tell(task.name);
    const faults = await made.clear();
    if (!failed) expect(faults, "what the pages did that they should not").toEqual([]);
  });
  afterAll(async () => {
    await made.browser?.close();
    await made.server?.remove();
  });
  return made;
}
