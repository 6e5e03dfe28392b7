// A stand-in for a provider of models: OpenAI's wire format, answers as a test writes them, word by word.
import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as after } from "node:timers/promises";

export interface WireMessage {
  role: "system" | "developer" | "user" | "assistant" | "tool";
  content: unknown;
  tool_call_id?: string;
  tool_calls?: { id: string; function: { name: string; arguments: string } }[];
}

export interface Asked {
  model: string;
  messages: WireMessage[];
  stream: boolean;
  tools: string[];
}

/** What the model says next. */
export interface Turn {
  text?: string;
  calls?: { name: string; arguments: object }[];
  /** After so many words it goes on only once this is done; the end of the connection ends it, too. */
  pause?: { words: number; until: Promise<unknown> };
}

/** Decides by what it is asked. */
export type Script = (asked: Asked) => Turn | Promise<Turn>;

export const MODEL = "stand-in-1";
const KEY = "sk-stand-in-0123456789";

export class Model {
  /** Everything it was asked, in order. */
  readonly asked: Asked[] = [];
  /** Between two words, in milliseconds. */
  pace = 2;
  script: Script = () => ({ text: "Hello." });
  /** Calls whose connection the server closed before they were answered. */
  left = 0;
  readonly key = KEY;
  readonly #http: HttpServer;
  #calls = 0;

  private constructor() {
    this.#http = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        console.error("The stand-in failed:", error);
        // What the server does not try again.
        if (!response.headersSent) response.writeHead(400);
        response.end();
      });
    });
  }

  static async start(): Promise<Model> {
    const model = new Model();
    await new Promise<void>((resolve) => model.#http.listen(0, "127.0.0.1", resolve));
    return model;
  }

  /** The address to give for a provider. */
  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}/v1`;
  }

  async stop() {
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse) {
    const json = (status: number, body: unknown) => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    };
    if (request.headers.authorization !== `Bearer ${KEY}`)
      return json(401, { error: { message: "Incorrect API key provided", code: "invalid_api_key" } });
    if (request.method === "GET" && request.url === "/v1/models")
      return json(200, { object: "list", data: [{ id: MODEL, object: "model", created: 1, owned_by: "tests" }] });
    if (request.method !== "POST" || request.url !== "/v1/chat/completions")
      return json(404, { error: { message: `There is no ${request.url}` } });
    const asked = askedOf(await bodyOf(request));
    this.asked.push(asked);
    const turn = await this.script(asked);
    if (asked.stream) return this.#stream(asked, turn, response);
    json(200, {
      ...this.#head("chat.completion"),
      choices: [{ index: 0, message: this.#whole(turn), finish_reason: reasonOf(turn) }],
      usage: usageOf(asked, turn),
    });
  }

  async #stream(asked: Asked, turn: Turn, response: ServerResponse) {
    const head = this.#head("chat.completion.chunk");
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    const send = (delta: object | undefined, more: object = {}) => {
      const choices = delta ? [{ index: 0, delta, finish_reason: null, ...more }] : [];
      const body = delta ? { ...head, choices } : { ...head, choices, ...more };
      response.write(`data: ${JSON.stringify(body)}\n\n`);
    };
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
    send({ role: "assistant", content: "" });
    const closed = new Promise((resolve) => gone.signal.addEventListener("abort", resolve));
    for (const [index, word] of wordsOf(turn.text).entries()) {
      if (index === turn.pause?.words) await Promise.race([turn.pause.until, closed]);
      await after(this.pace, undefined, { signal: gone.signal }).catch(() => undefined);
      if (gone.signal.aborted) break;
      send({ content: word });
    }
    for (const [index, call] of (turn.calls ?? []).entries()) {
      if (gone.signal.aborted) break;
      const id = `call_${++this.#calls}`;
      send({ tool_calls: [{ index, id, type: "function", function: { name: call.name, arguments: "" } }] });
      for (const piece of JSON.stringify(call.arguments).match(/.{1,40}/gsu) ?? []) {
        await after(this.pace, undefined, { signal: gone.signal }).catch(() => undefined);
        send({ tool_calls: [{ index, function: { arguments: piece } }] });
      }
    }
    if (gone.signal.aborted) {
      this.left += 1;
      return;
    }
    send({}, { finish_reason: reasonOf(turn) });
    send(undefined, { usage: usageOf(asked, turn) });
    response.end("data: [DONE]\n\n");
  }

  #head(object: string) {
    return { id: `chatcmpl-${this.asked.length}`, object, created: 1_790_000_000, model: MODEL };
  }

  #whole({ text, calls }: Turn) {
    const tool_calls = calls?.map(({ name, arguments: given }) => ({
      id: `call_${++this.#calls}`,
      type: "function",
      function: { name, arguments: JSON.stringify(given) },
    }));
    return { role: "assistant", content: text ?? null, ...(tool_calls?.length && { tool_calls }) };
  }
}

const wordsOf = (text = "") => text.match(/\S+\s*/g) ?? [];
const reasonOf = (turn: Turn) => (turn.calls?.length ? "tool_calls" : "stop");

function usageOf(asked: Asked, turn: Turn) {
  const prompt_tokens = Math.ceil(JSON.stringify(asked.messages).length / 4);
  const completion_tokens = wordsOf(turn.text).length + 20 * (turn.calls?.length ?? 0);
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString("utf8"));
}

function askedOf(body: Record<string, unknown>): Asked {
  const tools = (body.tools ?? []) as { function: { name: string } }[];
  return {
    model: String(body.model),
    messages: body.messages as WireMessage[],
    stream: body.stream === true,
    tools: tools.map((tool) => tool.function.name),
  };
}

/** The words of a message, whose content is a text or parts. */
export function said(message: WireMessage | undefined): string {
  const content = message?.content;
  if (typeof content === "string") return content;
  return Array.isArray(content) ? content.map((part) => part?.text ?? "").join("") : "";
}

/** What tools answered since somebody spoke last, oldest first. */
export function answers(asked: Asked): string[] {
  const from = asked.messages.findLastIndex((message) => message.role === "user");
  return asked.messages
    .slice(from + 1)
    .filter((message) => message.role === "tool")
    .map(said);
}

/** What the person said last. */
export function lastWords(asked: Asked): string {
  return said(asked.messages.findLast((message) => message.role === "user"));
}

/** A promise and its end. */
export function gate(): { open: () => void; opened: Promise<void> } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}
