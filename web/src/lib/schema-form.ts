// A form from a JSON Schema (2020-12): which fields to show, what their texts mean, and what is wrong with them.
// It covers what people fill in by hand; anything else becomes a field for JSON, so that no schema is beyond the form.

export type Schema = Record<string, unknown>;

export type Kind = "text" | "long" | "secret" | "number" | "integer" | "boolean" | "choice" | "time" | "list" | "json";

export interface Choice {
  value: string | number | boolean;
  label: string;
  about?: string;
}

export interface Field {
  name: string;
  kind: Kind;
  required: boolean;
  about?: string;
  choices?: Choice[];
  /** What the server takes when the field is left empty. */
  fallback?: unknown;
  schema: Schema;
}

/** What a person typed or chose, as text or tick; absent means left alone. */
export type Draft = Record<string, string | boolean | undefined>;

const LONG_FROM = 400;

function isObject(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Follows `$ref` inside of the schema, and takes the one real branch of "this or null". */
export function resolve(schema: unknown, root: Schema, depth = 0): Schema {
  if (!isObject(schema) || depth > 8) return {};
  if (typeof schema.$ref === "string") {
    const target = pointer(root, schema.$ref);
    const { $ref: _, ...beside } = schema;
    return { ...resolve(target, root, depth + 1), ...beside };
  }
  const branches = (schema.anyOf ?? schema.oneOf) as unknown;
  if (Array.isArray(branches)) {
    const real = branches.filter((branch) => !(isObject(branch) && branch.type === "null"));
    if (real.length === 1 && real.length < branches.length) {
      const { anyOf: _a, oneOf: _o, ...beside } = schema;
      return { ...resolve(real[0], root, depth + 1), ...beside };
    }
  }
  return schema;
}

function pointer(root: Schema, ref: string): unknown {
  if (!ref.startsWith("#/")) return undefined;
  let found: unknown = root;
  for (const part of ref.slice(2).split("/")) {
    found = isObject(found) ? found[part.replaceAll("~1", "/").replaceAll("~0", "~")] : undefined;
  }
  return found;
}

/** The types that a schema allows, null left out. */
function typesOf(schema: Schema): string[] {
  const { type } = schema;
  const list = Array.isArray(type) ? type : type === undefined ? [] : [type];
  return list.filter((each): each is string => typeof each === "string" && each !== "null");
}

function choicesOf(schema: Schema): Choice[] | undefined {
  if (Array.isArray(schema.enum)) return schema.enum.filter(isChoice).map((value) => ({ value, label: String(value) }));
  const branches = schema.oneOf ?? schema.anyOf;
  if (!Array.isArray(branches) || branches.length === 0) return undefined;
  const choices: Choice[] = [];
  for (const branch of branches) {
    if (!isObject(branch)) return undefined;
    if (branch.type === "null") continue;
    if (isChoice(branch.const)) {
      const about = typeof branch.description === "string" ? branch.description : undefined;
      choices.push({ value: branch.const, label: String(branch.const), about });
    } else if (Array.isArray(branch.enum)) {
      choices.push(...branch.enum.filter(isChoice).map((value) => ({ value, label: String(value) })));
    } else return undefined;
  }
  return choices;
}

function isChoice(value: unknown): value is Choice["value"] {
  return ["string", "number", "boolean"].includes(typeof value);
}

function kindOf(schema: Schema): Kind {
  const [type, ...others] = typesOf(schema);
  if (others.length > 0) return "json";
  switch (type) {
    case "string":
      if (schema.format === "date-time") return "time";
      if (schema.format === "password" || schema.writeOnly === true) return "secret";
      return Number(schema.maxLength ?? 0) > LONG_FROM ? "long" : "text";
    case "integer":
    case "number":
    case "boolean":
      return type;
    case "array":
      return isObject(schema.items) && typesOf(schema.items).join() === "string" ? "list" : "json";
    default:
      return "json";
  }
}

/** The fields of an object schema; none when it is not one, so that the whole is given as JSON. */
export function fieldsOf(root: unknown): Field[] | undefined {
  if (!isObject(root)) return undefined;
  const schema = resolve(root, root);
  const { properties } = schema;
  if (!isObject(properties)) return undefined;
  const required = Array.isArray(schema.required) ? schema.required : [];
  const fields = Object.entries(properties).map(([name, part]) => fieldOf(name, part, root, required.includes(name)));
  return fields.toSorted((a, b) => Number(b.required) - Number(a.required));
}

function fieldOf(name: string, part: unknown, root: Schema, required: boolean): Field {
  const schema = resolve(part, root);
  const choices = choicesOf(schema);
  const kind = choices?.length ? "choice" : kindOf({ ...schema, items: resolve(schema.items, root) });
  const about = typeof schema.description === "string" ? schema.description : undefined;
  const fallback = schema.default === null ? undefined : schema.default;
  return { name, kind, required, about, choices, fallback, schema };
}

/** A value as it stands in its field, to begin from what is there. */
export function draftOf(field: Field, value: unknown): string | boolean | undefined {
  if (value === undefined || value === null) return undefined;
  if (field.kind === "boolean") return typeof value === "boolean" ? value : undefined;
  if (field.kind === "list" && Array.isArray(value)) return value.join("\n");
  if (field.kind === "time" && typeof value === "string") return localTime(value);
  if (field.kind === "json") return JSON.stringify(value, null, 2);
  return String(value);
}

/** A moment as `datetime-local` wants it. */
export function localTime(at: string): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return "";
  const shifted = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 16);
}

type Read = { value: unknown } | { wrong: string };

/** What a field's text means. */
export function readField(field: Field, typed: string | boolean | undefined): Read {
  if (typed === undefined || typed === "") {
    return field.required ? { wrong: "This is needed." } : { value: undefined };
  }
  if (typeof typed === "boolean") return { value: typed };
  const { kind, schema } = field;
  if (kind === "number" || kind === "integer") return readNumber(typed, kind, schema);
  if (kind === "choice")
    return { value: field.choices?.find((choice) => String(choice.value) === typed)?.value ?? typed };
  if (kind === "time") {
    const date = new Date(typed);
    return Number.isNaN(date.getTime()) ? { wrong: "This is no date." } : { value: date.toISOString() };
  }
  if (kind === "list")
    return {
      value: typed
        .split("\n")
        .map((line) => line.trim())
        .filter(Boolean),
    };
  if (kind === "json") return readJson(typed);
  return readText(typed, schema);
}

function readJson(typed: string): Read {
  try {
    return { value: JSON.parse(typed) };
  } catch (error) {
    return { wrong: `This is no JSON: ${error instanceof Error ? error.message : error}` };
  }
}

function readNumber(typed: string, kind: Kind, schema: Schema): Read {
  const value = Number(typed);
  if (!Number.isFinite(value)) return { wrong: "This is no number." };
  if (kind === "integer" && !Number.isInteger(value)) return { wrong: "A whole number is needed." };
  const { minimum, maximum } = schema;
  if (typeof minimum === "number" && value < minimum) return { wrong: `At least ${minimum}.` };
  if (typeof maximum === "number" && value > maximum) return { wrong: `At most ${maximum}.` };
  return { value };
}

function readText(typed: string, schema: Schema): Read {
  const { minLength, maxLength, pattern } = schema;
  const length = [...typed].length;
  if (typeof minLength === "number" && length < minLength) return { wrong: `At least ${minLength} characters.` };
  if (typeof maxLength === "number" && length > maxLength) return { wrong: `At most ${maxLength} characters.` };
  if (typeof pattern === "string" && !matches(typed, pattern)) return { wrong: `It has to look like ${pattern}.` };
  return { value: typed };
}

/** A pattern that this browser cannot read is left to the server. */
function matches(text: string, pattern: string): boolean {
  try {
    return new RegExp(pattern, "u").test(text);
  } catch {
    return true;
  }
}

export interface Result {
  value: Record<string, unknown>;
  wrong: Record<string, string>;
}

/** The whole form; fields left alone are absent. */
export function readForm(fields: readonly Field[], draft: Draft): Result {
  const result: Result = { value: {}, wrong: {} };
  for (const field of fields) {
    const read = readField(field, draft[field.name]);
    if ("wrong" in read) result.wrong[field.name] = read.wrong;
    else if (read.value !== undefined) result.value[field.name] = read.value;
  }
  return result;
}

/** The server's own findings, by the field that they are about; `base` is where the form's object stands in the input. */
export function byField(errors: readonly { pointer: string; detail: string }[], base = ""): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { pointer: at, detail } of errors) {
    if (!at.startsWith(`${base}/`)) continue;
    const name = at.slice(base.length + 1).split("/")[0];
    if (name && !found[name]) found[name] = detail;
  }
  return found;
}
