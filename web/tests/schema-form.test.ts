import { describe, expect, it } from "vitest";
import { byField, draftOf, type Field, fieldsOf, readField, readForm } from "@/lib/schema-form";

const SCHEMA = {
  type: "object",
  required: ["name"],
  properties: {
    age: { type: ["integer", "null"], minimum: 0, maximum: 150 },
    name: { type: "string", minLength: 2, maxLength: 10, pattern: "^[a-z]+$" },
    kind: { oneOf: [{ const: "cat", description: "Purrs." }, { const: "dog" }] },
    maybe: { anyOf: [{ $ref: "#/$defs/colour" }, { type: "null" }] },
    tags: { type: "array", items: { type: "string" } },
    text: { type: "string", maxLength: 20_000 },
    due: { type: ["string", "null"], format: "date-time" },
    bag: { type: "object" },
    any: {},
    secret: { type: "string", writeOnly: true },
    on: { type: "boolean", default: true },
  },
  $defs: { colour: { enum: ["red", "green"] } },
};

function field(name: string): Field {
  const found = fieldsOf(SCHEMA)?.find((each) => each.name === name);
  if (!found) throw new Error(name);
  return found;
}

describe("fields", () => {
  it("are of the kind that one fills in", () => {
    const kinds = Object.fromEntries((fieldsOf(SCHEMA) ?? []).map((each) => [each.name, each.kind]));
    expect(kinds).toEqual({
      name: "text",
      age: "integer",
      kind: "choice",
      maybe: "choice",
      tags: "list",
      text: "long",
      due: "time",
      bag: "json",
      any: "json",
      secret: "secret",
      on: "boolean",
    });
  });

  it("begin with what is needed", () => {
    expect(fieldsOf(SCHEMA)?.[0]?.name).toBe("name");
  });

  it("carry the words of their choices through a reference", () => {
    expect(field("kind").choices?.[0]).toEqual({ value: "cat", label: "cat", about: "Purrs." });
    expect(field("maybe").choices?.map((choice) => choice.value)).toEqual(["red", "green"]);
  });

  it("are none when the schema is no object's", () => {
    expect(fieldsOf({ type: "array" })).toBeUndefined();
    expect(fieldsOf(undefined)).toBeUndefined();
    expect(fieldsOf({ $ref: "#" })).toBeUndefined();
  });
});

describe("reading", () => {
  it("leaves out what was left alone", () => {
    expect(readForm(fieldsOf(SCHEMA) ?? [], { name: "mira" })).toEqual({ value: { name: "mira" }, wrong: {} });
  });

  it.each([
    ["name", "", "This is needed."],
    ["name", "a", "At least 2 characters."],
    ["name", "A1", "It has to look like ^[a-z]+$."],
    ["age", "x", "This is no number."],
    ["age", "1.5", "A whole number is needed."],
    ["age", "151", "At most 150."],
    ["due", "soon", "This is no date."],
  ])("%s of %j is refused", (name, typed, words) => {
    expect(readField(field(name), typed)).toEqual({ wrong: words });
  });

  it("turns text into values", () => {
    const draft = { name: "mira", age: "7", kind: "dog", tags: " a \n\nb", bag: '{"x":1}', on: false };
    expect(readForm(fieldsOf(SCHEMA) ?? [], draft).value).toEqual({
      name: "mira",
      age: 7,
      kind: "dog",
      tags: ["a", "b"],
      bag: { x: 1 },
      on: false,
    });
  });

  it("begins from values, and reads the same back", () => {
    for (const [name, value] of Object.entries({ tags: ["a", "b"], bag: { x: [1] }, age: 3, on: false, kind: "cat" })) {
      expect(readField(field(name), draftOf(field(name), value))).toEqual({ value });
    }
    const due = "2026-05-04T10:30:00.000Z";
    expect(readField(field("due"), draftOf(field("due"), due))).toEqual({ value: due });
  });
});

it("finds the field of a server's error", () => {
  const errors = [
    { pointer: "/input/tags/0", detail: "Too long." },
    { pointer: "/input/tags/1", detail: "Too short." },
    { pointer: "/version", detail: "No such version." },
  ];
  expect(byField(errors, "/input")).toEqual({ tags: "Too long." });
  expect(byField(errors)).toEqual({ input: "Too long.", version: "No such version." });
});
