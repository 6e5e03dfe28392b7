"use strict";
// Renders openapi.json. All text goes in as text nodes; the key lives in the input field only.

const MAIN = document.getElementById("operations");
const FILTER = document.getElementById("filter");
const COUNT = document.getElementById("count");
const KEY = document.getElementById("key");
const METHODS = ["get", "post", "put", "patch", "delete"];

/** An element with properties and children; strings become text. */
function el(name, props = {}, ...children) {
  const node = Object.assign(document.createElement(name), props);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

let base = "/api/v1";
let spec = {};
let serial = 0;

function resolve(value) {
  if (!value || !value.$ref) return value;
  const path = value.$ref.replace(/^#\//, "").split("/");
  return path.reduce((at, part) => (at ? at[part] : undefined), spec);
}

function typeOf(schema) {
  if (!schema || typeof schema !== "object") return "any";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  const parts = schema.anyOf || schema.oneOf;
  if (parts) return parts.map(typeOf).join(" | ");
  const types = [].concat(schema.type || "any");
  const named = types.map((type) => (type === "array" ? "array of " + typeOf(schema.items) : type));
  return named.join(" | ") + (schema.format ? " (" + schema.format + ")" : "");
}

function limitsOf(schema) {
  const words = [
    ["minLength", "at least", "characters"], ["maxLength", "at most", "characters"],
    ["minimum", "from", ""], ["maximum", "to", ""],
    ["minItems", "at least", "items"], ["maxItems", "at most", "items"],
  ];
  const told = words
    .filter(([name]) => schema && schema[name] !== undefined)
    .map(([name, before, after]) => [before, schema[name], after].join(" ").trim());
  if (schema && schema.pattern) told.push("pattern " + schema.pattern);
  if (schema && schema.default !== undefined && schema.default !== null) {
    told.push("default " + JSON.stringify(schema.default));
  }
  return told.join(", ");
}

function table(caption, rows) {
  const head = ["Field", "Type", "About"].map((word) => el("th", { scope: "col" }, word));
  const body = rows.map((row) => {
    const about = [row.about, limitsOf(row.schema)].filter(Boolean).join(" · ");
    const name = el("th", { scope: "row" }, el("code", {}, row.name), row.required ? " (required)" : "");
    return el("tr", {}, name, el("td", {}, el("code", {}, typeOf(row.schema))), el("td", {}, about));
  });
  return el("section", {}, el("h3", {}, caption),
    el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...body)));
}

function fieldsOf(schema) {
  const required = new Set(schema.required || []);
  return Object.entries(schema.properties || {}).map(([name, part]) => ({
    name, schema: part, required: required.has(name), about: part.description || "",
  }));
}

function schemaBlock(title, schema) {
  return el("details", {}, el("summary", {}, title), el("pre", {}, JSON.stringify(schema, null, 2)));
}

function example(schema, depth = 0) {
  if (!schema || depth > 4) return null;
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  if ("const" in schema) return schema.const;
  const parts = schema.anyOf || schema.oneOf;
  if (parts) return example(parts[0], depth + 1);
  const type = [].concat(schema.type || "null")[0];
  if (type === "object") {
    const needed = fieldsOf(schema).filter((field) => field.required);
    return Object.fromEntries(needed.map((field) => [field.name, example(field.schema, depth + 1)]));
  }
  return { string: "", integer: 0, number: 0, boolean: false, array: [] }[type] ?? null;
}

function input(label, props) {
  const field = el("input", { type: "text", autocomplete: "off", spellcheck: false, ...props });
  return [field, el("label", {}, label, field)];
}

function tryForm(operation, parameters, body) {
  const fields = parameters.map((parameter) => {
    const label = parameter.name + " (" + parameter.in + (parameter.required ? ", required)" : ")");
    const [field, node] = input(label, { required: parameter.required });
    return { parameter, field, node };
  });
  const area = body && el("textarea", { rows: 8, spellcheck: false, value: JSON.stringify(example(body), null, 2) });
  const send = el("button", { type: "submit" }, "Send");
  const status = el("p", {});
  status.setAttribute("role", "status");
  const result = el("pre", { hidden: true, tabIndex: 0 });
  const form = el("form", { className: "try" }, el("h3", {}, "Try it"), ...fields.map((field) => field.node),
    area && el("label", {}, "Body (JSON)", area), el("div", {}, send), status, result);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (operation.details["x-destructive"] && !window.confirm("This cannot be undone. Send it?")) return;
    send.disabled = true;
    try {
      await request(operation, fields, area, status, result);
    } catch (error) {
      status.textContent = String(error);
    } finally {
      send.disabled = false;
    }
  });
  return form;
}

async function request(operation, fields, area, status, result) {
  let path = operation.path;
  const query = new URLSearchParams();
  const headers = new Headers({ Accept: "application/json" });
  for (const { parameter, field } of fields) {
    const text = field.value;
    if (parameter.in === "path") path = path.replace("{" + parameter.name + "}", encodeURIComponent(text));
    else if (text === "") continue;
    else if (parameter.in === "header") headers.set(parameter.name, text);
    else if (typeOf(parameter.schema).includes("array")) text.split(",").forEach((one) => query.append(parameter.name, one.trim()));
    else query.set(parameter.name, text);
  }
  if (KEY.value) headers.set("Authorization", "Bearer " + KEY.value);
  if (area) headers.set("Content-Type", "application/json");
  const address = base + path + (query.size ? "?" + query : "");
  const started = performance.now();
  const response = await fetch(address, {
    method: operation.method.toUpperCase(), headers, body: area ? area.value || "{}" : undefined,
    credentials: "omit", redirect: "error", cache: "no-store",
  });
  const text = await response.text();
  const took = Math.round(performance.now() - started);
  const tag = response.headers.get("ETag");
  status.textContent = response.status + " in " + took + " ms" + (tag ? ", revision " + tag : "") +
    ", request " + response.headers.get("X-Request-Id");
  status.className = response.ok ? "" : "failed";
  result.hidden = false;
  try {
    result.textContent = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    result.textContent = text;
  }
}

function detail(operation) {
  const it = operation.details;
  const parameters = (it.parameters || []).map(resolve);
  const body = it.requestBody ? it.requestBody.content["application/json"].schema : null;
  const done = it.responses["200"] || it.responses["201"];
  const output = done && done.content ? done.content["application/json"].schema : null;
  const facts = [
    "operation " + it["x-operation"],
    it["x-permission"] ? "permission " + it["x-permission"] : "public",
    "rate class " + it["x-rate-class"],
  ];
  const effect = el("li", { className: "effect-" + it["x-effect"] }, "effect " + it["x-effect"]);
  const danger = it["x-destructive"] ? el("li", { className: "destructive" }, "destructive") : null;
  const rows = parameters.map((one) => ({
    name: one.name, schema: one.schema, required: one.required, about: one.in + ". " + (one.description || ""),
  }));
  return el("div", {},
    el("p", {}, it.description || ""),
    el("ul", { className: "facts" }, ...facts.map((fact) => el("li", {}, fact)), effect, danger),
    rows.length ? table("Parameters", rows) : null,
    body ? table("Body", fieldsOf(body)) : null,
    body ? schemaBlock("Schema of the body", body) : null,
    output ? table("Answer", fieldsOf(output)) : null,
    output ? schemaBlock("Schema of the answer", output) : null,
    tryForm(operation, parameters, body));
}

function card(operation) {
  const it = operation.details;
  const summary = el("summary", {},
    el("span", { className: "method effect-" + it["x-effect"] }, operation.method.toUpperCase()),
    el("span", { className: "path" }, operation.path),
    el("span", { className: "title" }, it.summary || ""));
  const node = el("details", { className: "operation", id: it.operationId }, summary);
  // Filled when first opened: hundreds of schemas are not drawn for nobody.
  node.addEventListener("toggle", () => {
    if (node.open && node.children.length === 1) node.append(detail(operation));
  });
  const words = [it["x-operation"], it.operationId, operation.path, operation.method, it.summary, it["x-permission"],
    it["x-effect"]];
  operation.words = words.join(" ").toLowerCase();
  operation.node = node;
  return node;
}

function render() {
  const all = [];
  for (const [path, item] of Object.entries(spec.paths)) {
    for (const method of METHODS.filter((name) => item[name])) all.push({ path, method, details: item[method] });
  }
  const groups = grouped(all);
  const sections = [...groups.keys()].sort().map((noun) => {
    const id = "noun-" + (serial += 1);
    const section = el("section", {}, el("h2", { id }, noun), ...groups.get(noun).map(card));
    section.setAttribute("aria-labelledby", id);
    return { section, operations: groups.get(noun) };
  });
  MAIN.replaceChildren(...sections.map((one) => one.section));
  const filter = () => {
    const words = FILTER.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { section, operations } of sections) {
      for (const one of operations) one.node.hidden = !words.every((word) => one.words.includes(word));
      const here = operations.filter((one) => !one.node.hidden).length;
      section.hidden = here === 0;
      shown += here;
    }
    COUNT.textContent = shown + " of " + all.length + " operations";
  };
  FILTER.addEventListener("input", filter);
  filter();
  const linked = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (linked && linked.tagName === "DETAILS") {
    linked.open = true;
    linked.scrollIntoView();
  }
}

function grouped(all) {
  const groups = new Map();
  for (const one of all) {
    const noun = one.details.tags[0];
    groups.set(noun, [...(groups.get(noun) || []), one]);
  }
  return groups;
}

async function start() {
  const response = await fetch("/api/v1/openapi.json");
  if (!response.ok) throw new Error("openapi.json: " + response.status);
  spec = await response.json();
  document.getElementById("version").textContent = spec.info.version;
  render();
}

start().catch((error) => MAIN.replaceChildren(el("p", { className: "failed" }, String(error))));
