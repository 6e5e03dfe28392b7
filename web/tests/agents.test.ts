// Replies as they come, branches, and what an agent is edited as.
import { describe, expect, it } from "vitest";
import { FIRST_SPEC, type Message, toolAsked } from "@/api/agents-types";
import { effectsOf } from "@/api/live/effects";
import { draftOf, readDraft, schemaFault, wrongOf } from "@/lib/agent-draft";
import { byPath, type ChildStep, childWord, depthOf, isChild, spentOf, turnOf } from "@/lib/agent-steps";
import { addChunks, type Chunk, type ChunkFrame } from "@/lib/live-turns";
import { branchOf, brief, patchSetOf, replyParts, waitOf } from "@/lib/reply";
import { specChanges } from "@/lib/spec-diff";
import { type MessagePages, replacedFrom, spokenTo, stopWords, threadOf, withNewest } from "@/lib/thread";
import { bars, unfolded } from "@/lib/timeline";
import { asks, fits, isPattern, reach, ruleFor } from "@/lib/tool-patterns";
import { event, step } from "./fixtures";

function frames(path: string, ...chunks: Chunk[]): ChunkFrame[] {
  return chunks.map((chunk) => ({ run_id: "r", node: "agent", path, chunk }));
}

function message(id: string, fields: Partial<Message> = {}): Message {
  return {
    id,
    conversation_id: "c",
    parent_id: null,
    siblings: [id],
    role: "assistant",
    author: { kind: "agent", id: "a" },
    status: "done",
    text: "",
    parts: [],
    run_id: "r",
    model: null,
    usage: null,
    cost_nano_usd: null,
    stop: null,
    error: null,
    created_at: "2026-01-01T00:00:00Z",
    finished_at: null,
    ...fields,
  };
}

const child = (path: string, fields: Partial<ChildStep> = {}): ChildStep =>
  ({ ...step("agent", { path, kind: "call" as never, status: "running" }), ...fields }) as ChildStep;

describe("chunks", () => {
  const told = frames(
    "t1",
    { type: "thinking", text: "I " },
    { type: "thinking", text: "look." },
    { type: "text", text: "Let " },
    { type: "text", text: "me." },
    { type: "tool_call_start", index: 0, id: "x", name: "tasks_list" },
    { type: "tool_call_start", index: 1, id: "y", name: "tasks_get" },
    { type: "tool_call_arguments", index: 0, text: '{"a"' },
    { type: "tool_call_arguments", index: 1, text: "{}" },
    { type: "tool_call_arguments", index: 0, text: ":1}" },
    { type: "usage", input: 3, output: 4 },
  );

  it("come together to the same, however they were cut", () => {
    const whole = addChunks([], told);
    let bit = addChunks([], []);
    for (const frame of told) bit = addChunks(bit, [frame]);
    expect(bit).toEqual(whole);
    expect(whole).toEqual([
      {
        node: "agent",
        path: "t1",
        usage: { input: 3, output: 4 },
        parts: [
          { type: "thinking", text: "I look." },
          { type: "text", text: "Let me." },
          { type: "tool_call", index: 0, id: "x", name: "tasks_list", arguments: '{"a":1}' },
          { type: "tool_call", index: 1, id: "y", name: "tasks_get", arguments: "{}" },
        ],
      },
    ]);
  });

  it("are heard once, when the step begins anew", () => {
    const first = frames("t1", { type: "begin" }, { type: "text", text: "Half a" });
    const again = [...frames("t1", { type: "begin" }), ...told];
    expect(addChunks(addChunks([], first), again)).toEqual(addChunks([], told));
    expect(addChunks([], frames("t1.c0", { type: "begin" }))).toEqual([]);
  });

  it("leave what was shown before as it was", () => {
    const before = addChunks([], told.slice(0, 3));
    const copy = structuredClone(before);
    const after = addChunks(before, [...told.slice(3), ...frames("t2", { type: "text", text: "Next" })]);
    expect(before).toEqual(copy);
    expect(after.map((turn) => turn.path)).toEqual(["t1", "t2"]);
    expect(after[0]).not.toBe(before[0]);
  });
});

describe("a reply under way", () => {
  const going = message("m", { status: "running" });
  const said = addChunks(
    [],
    frames(
      "t1",
      { type: "text", text: "Let me look." },
      { type: "tool_call_start", index: 0, id: "x", name: "tasks_list" },
      { type: "tool_call_arguments", index: 0, text: '{"limit":5}' },
    ),
  );
  const nameOf = (name: string) => name.replace("_", ".");

  it("shows a call from when it is written until it is done", () => {
    const at = (...steps: ChildStep[]) => replyParts(going, said, steps, nameOf).at(-1);
    expect(at()).toMatchObject({ name: "tasks.list", arguments: { limit: 5 }, status: "writing" });
    expect(at(child("t1", { status: "succeeded" }))).toMatchObject({ status: "running" });
    const ask = child("t1.c0.ask", { status: "waiting" });
    expect(at(child("t1", { status: "succeeded" }), ask)).toMatchObject({ status: "waiting" });
    const call = { operation: "tasks.list", input: { limit: 5 } };
    expect(at(child("t1.c0", { call }))).toMatchObject({ name: "tasks.list", status: "running" });
    const done = child("t1.c0", { call, status: "succeeded", output: { items: [] } });
    expect(at(done)).toMatchObject({ status: "done", result: { items: [] } });
  });

  it("tells what is being said from what was", () => {
    expect(replyParts(going, said.slice(0, 1), [])[0]).toMatchObject({ type: "text", live: false });
    const only = addChunks([], frames("t1", { type: "text", text: "Let" }));
    expect(replyParts(going, only, [])[0]).toMatchObject({ live: true });
    expect(replyParts(going, only, [child("t1", { status: "succeeded" })])[0]).toMatchObject({ live: false });
  });

  it("is whole for who comes in the middle: turns that are over are read from their steps", () => {
    const steps = [
      child("t1", {
        status: "succeeded",
        output: {
          message: {
            content: [
              { type: "text", text: "Let me look." },
              { type: "tool_call", id: "x", name: "tasks_list", arguments: { limit: 5 } },
            ],
          },
        },
      }),
      child("t1.c0", { status: "succeeded", call: { operation: "tasks.list", input: { limit: 5 } }, output: [] }),
      child("t2"),
    ];
    const now = addChunks([], frames("t2", { type: "text", text: "Two are late" }));
    expect(replyParts(going, now, steps, nameOf)).toMatchObject([
      { type: "text", text: "Let me look." },
      { type: "tool", name: "tasks.list", status: "done" },
      { type: "text", text: "Two are late", live: true },
    ]);
  });

  it("does not say twice what the server has kept", () => {
    const kept = message("m", {
      status: "running",
      parts: [
        { type: "text", text: "Let me look." },
        { type: "tool_call", id: "x", name: "tasks.list", arguments: {}, status: "done", result: [], path: "t1.c0" },
      ],
    });
    const parts = replyParts(kept, said, [child("t1.c1", { call: { operation: "tasks.get" } })]);
    expect(parts.map((part) => (part.type === "tool" ? part.name : part.text))).toEqual([
      "Let me look.",
      "tasks.list",
      "tasks.get",
    ]);
    const over = { ...kept, status: "done" as const };
    expect(replyParts(over, said, [])).toHaveLength(2);
    expect(replyParts(message("m", { text: "Only this" }), [], [])).toEqual([
      { type: "text", text: "Only this", live: false },
    ]);
  });
});

it("knows the patch set that can be undone", () => {
  const part = {
    type: "tool" as const,
    path: "t1.c0",
    arguments: {},
    status: "done" as const,
    result: { patch_set_id: "p" },
  };
  expect(patchSetOf({ ...part, name: "patches.apply" })).toBe("p");
  expect(patchSetOf({ ...part, name: "patches.apply", status: "rejected" })).toBeUndefined();
  expect(patchSetOf({ ...part, name: "tasks.list" })).toBeUndefined();
  expect(brief({ a: "x", b: [1] })).toBe("a: x, b: [1]");
  expect(brief(null)).toBe("");
});

describe("branches", () => {
  it("know their place", () => {
    expect(branchOf({ id: "b", siblings: ["a", "b", "c"] })).toEqual({ at: 2, of: 3, before: "a", after: "c" });
    expect(branchOf({ id: "a", siblings: ["a"] })).toBeUndefined();
    expect(branchOf({ id: "x", siblings: ["a", "b"] })).toBeUndefined();
  });

  const pages = (...ids: string[][]): MessagePages => ({
    pages: ids.map((some, index) => ({ items: some.map((id) => message(id)), next_cursor: `${index}` })),
    pageParams: ids.map((_, index) => (index ? `${index}` : undefined)),
  });
  const idsOf = (data: MessagePages) => data.pages.map((page) => page.items.map((each) => each.id));

  it("are read oldest first, each message once", () => {
    const found = threadOf(pages(["d", "c"], ["c", "b", "a"]).pages.flatMap((page) => page.items));
    expect(found.map((each) => each.id)).toEqual(["a", "b", "c", "d"]);
  });

  it("grow at their end", () => {
    expect(idsOf(withNewest(pages(["b", "a"]), [message("d"), message("c")]))).toEqual([["d", "c", "b", "a"]]);
    expect(idsOf(withNewest(undefined, [message("a")]))).toEqual([["a"]]);
    expect(idsOf(withNewest(pages(["b", "a"]), [message("b")]))).toEqual([["b", "a"]]);
  });

  it("begin anew where a message was changed, also on an older page", () => {
    expect(idsOf(replacedFrom(pages(["d", "c", "b", "a"]), "c", [message("y"), message("x")]))).toEqual([
      ["y", "x", "b", "a"],
    ]);
    const older = replacedFrom(pages(["f", "e"], ["d", "c"], ["b", "a"]), "c", [message("x")]);
    expect(idsOf(older)).toEqual([["x"], [], ["b", "a"]]);
    expect(threadOf(older.pages.flatMap((page) => page.items)).map((each) => each.id)).toEqual(["a", "b", "x"]);
  });
});

it("is spoken in whole sentences", () => {
  const text = "One. Two, three! Fo";
  expect(text.slice(0, spokenTo(text, 0))).toBe("One. Two, three!");
  expect(spokenTo("version 1.5 is", 0)).toBe(0);
  expect(stopWords({ reason: "cost", detail: null })).toContain("cost");
});

it("waits for a person, or for the next try", () => {
  const again = { status: "waiting", wait_until: "2026-11-21T12:00:00Z", error: { message: "It broke." } } as const;
  expect(waitOf([child("t1", { status: "running" })])).toBeUndefined();
  expect(waitOf([child("t1.c0.ask", { status: "waiting" })])).toEqual({ for: "person" });
  expect(waitOf([child("t1", again)])).toEqual({ for: "try", at: again.wait_until, message: "It broke." });
});

describe("steps inside of a step", () => {
  it("are known by their path", () => {
    expect(["t1", "t1.c0", "t1.c0.ask", "3.t12.c1"].map((path) => isChild({ path }))).toEqual([true, true, true, true]);
    expect(["open", "close", "3.open"].map((path) => isChild({ path }))).toEqual([true, true, true]);
    expect(
      [{ path: "close" }, { path: "t2" }, { path: "t1" }, { path: "open" }].toSorted(byPath).map(({ path }) => path),
    ).toEqual(["open", "t1", "t2", "close"]);
    expect(["", "3", "1.2", "test", "t"].map((path) => isChild({ path }))).toEqual(Array(5).fill(false));
    expect([turnOf("t12.c1"), turnOf("2.t3"), turnOf("")]).toEqual([12, 3, undefined]);
    expect(["", "t1", "t1.c0", "t1.c0.ask"].map(depthOf)).toEqual([0, 1, 2, 3]);
    const paths = ["t10", "t2.c1", "t2", "t2.c10", "t1"].map((path) => ({ path }));
    expect(paths.toSorted(byPath).map(({ path }) => path)).toEqual(["t1", "t2", "t2.c1", "t2.c10", "t10"]);
    expect(childWord(child("t2"))).toBe("Turn 2");
    expect(childWord(child("t2.c0", { call: { operation: "tasks.list" } }))).toBe("tasks.list");
    expect(childWord(child("t2.c0.ask"))).toBe("Asks a person");
    expect(spentOf({ usage: { input: 1, output: 2 }, cost_nano_usd: null })).toMatchObject({ input: 1, cost: null });
    const turn = { input_tokens: 173, output_tokens: 27, cost_nano_usd: null, model: "m" };
    expect(spentOf(turn)).toEqual({ input: 173, output: 27, cost: null, model: "m" });
    expect(spentOf({ items: [] })).toBeUndefined();
  });

  it("stand behind it on the time line, and fold", () => {
    const started_at = "2026-01-01T00:00:00Z";
    const steps = [
      step("a", { started_at }),
      child("t2", { started_at }),
      child("t1", { started_at, node: "agent" }),
      step("agent", { started_at }),
      step("z", { started_at }),
    ];
    const rows = bars(steps, started_at, "2026-01-01T00:01:00Z");
    const order = (folded: string[]) =>
      unfolded(rows, new Set(folded)).map(({ bar, inside }) => `${bar.step.node}${bar.step.path}${inside ? "+" : ""}`);
    expect(order([])).toEqual(["a", "agent+", "agentt1", "agentt2", "z"]);
    expect(order(["agent"])).toEqual(["a", "agent+", "z"]);

    // A long list stands folded until it is opened, and never whole.
    const items = Array.from({ length: 150 }, (_, index) => step("each", { path: `i${index}`, started_at }));
    const long = bars([step("each", { started_at }), ...items], started_at, "2026-01-01T00:01:00Z");
    expect(unfolded(long, new Set())).toHaveLength(1);
    const opened = unfolded(long, new Set(["each"]));
    expect([opened.length, opened.at(-1)?.bar.step.path, opened.at(-1)?.more]).toEqual([101, "i99", 50]);
  });
});

describe("what an agent may call", () => {
  const all = [
    { name: "tasks.list", title: "", effect: "read", destructive: false },
    { name: "tasks.delete", title: "", effect: "write", destructive: true },
    { name: "runs.list", title: "", effect: "read", destructive: false },
  ];

  it("is told by patterns", () => {
    expect([
      fits("tasks.*", "tasks.list"),
      fits("tasks.*", "tasksx.list"),
      fits("*", "a.b"),
      fits("a.b", "a.bc"),
    ]).toEqual([true, false, true, false]);
    expect(["tasks.*", "*", "mcp.git-hub.*", "a.b"].every(isPattern)).toBe(true);
    expect(["tasks.*.x", "", "a b", "*.x", "."].some(isPattern)).toBe(false);
    expect(Object.fromEntries(reach([{ name: "tasks.*" }, { name: "x.*" }], all))).toEqual({ "tasks.*": 2, "x.*": 0 });
  });

  it("asks as the most exact rule says", () => {
    const rules = [{ name: "tasks.*" }, { name: "tasks.delete", approval: "never" as const }];
    expect(ruleFor(rules, "tasks.delete")?.approval).toBe("never");
    expect(asks(undefined, { effect: "write" })).toBe(true);
    expect(asks("changes", { effect: "read" })).toBe(false);
    expect(asks("always", { effect: "read" })).toBe(true);
    expect(asks("never", { effect: "write" })).toBe(false);
  });
});

describe("an agent's form", () => {
  it("means what it was made from", () => {
    const spec = { ...FIRST_SPEC, instructions: "Do.", temperature: 0.5, answer_schema: { type: "object" } };
    const fields = { title: "A", description: "", metadata: { a: 1 }, capabilities: {}, settings: {} };
    const agent = { name: "a", ...fields, spec };
    const { input, wrong } = readDraft(draftOf(agent));
    expect(wrong).toEqual({});
    expect(input).toEqual(agent);
  });

  it("says what is wrong, by field", () => {
    const { wrong } = readDraft({
      ...draftOf(),
      name: "No Name",
      turns: "0",
      cost: "lots",
      temperature: "3",
      answer: '{"type":"thing"}',
      settings: "[]",
      tools: [{ name: "a b" }],
    });
    expect(Object.keys(wrong).sort()).toEqual(["answer", "cost", "name", "settings", "temperature", "tools", "turns"]);
    expect(readDraft({ ...draftOf(), name: "a", cost: "0.50" }).input.spec.limits.cost_nano_usd).toBe(500_000_000);
    expect(schemaFault({ type: "object", properties: { a: {} }, required: ["b"] })).toContain("b");
    expect(schemaFault({ type: "object", properties: { a: { type: "nope" } } })).toContain("a:");
    const told = wrongOf([
      { pointer: "/spec/limits/turns", detail: "x" },
      { pointer: "/name", detail: "y" },
    ]);
    expect(told).toEqual({ turns: "x", name: "y" });
  });

  it("tells two versions apart", () => {
    const after = { ...FIRST_SPEC, instructions: "New", tools: [{ name: "tasks.*" }] };
    expect(specChanges(FIRST_SPEC, after)).toEqual({
      instructions: { before: "", after: "New" },
      tools: { before: "", after: "tasks.* (asks changes)" },
    });
    expect(specChanges(after, after)).toEqual({});
  });
});

it("knows an approval of a tool by its shape", () => {
  expect(toolAsked({ kind: "tool_call", tool: "patches.apply", input: {} })?.tool).toBe("patches.apply");
  expect(toolAsked({ changes: [] })).toBeUndefined();
  expect(toolAsked(null)).toBeUndefined();
});

it("asks again for what an event of a conversation is about", () => {
  const told = effectsOf(event("message.added", "message:m", { data: { conversation_id: "c" } }));
  expect(told.map((effect) => ("key" in effect ? effect.key[0] : ""))).toEqual([
    "conversations",
    "conversation",
    "messages",
  ]);
  expect(effectsOf(event("agent.updated", "agent:a")).length).toBeGreaterThan(2);
});
