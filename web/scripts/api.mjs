// Fetches the OpenAPI file from a running server and writes the types of the client.
// SYNAPSCALE_SERVER names the server; without it only the types are made again from the checked-in file.
import { readFile, writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";

const FILE = new URL("../openapi.json", import.meta.url);
const TYPES = new URL("../src/api/schema.d.ts", import.meta.url);
const server = process.env.SYNAPSCALE_SERVER;

if (server) {
  const answer = await fetch(new URL("/api/v1/openapi.json", server));
  if (!answer.ok) throw new Error(`${server} answered ${answer.status}`);
  await writeFile(FILE, `${JSON.stringify(await answer.json(), null, 1)}\n`);
}

// In an OpenAPI file `#` is the whole document, not the schema around it: such a reference says nothing useful.
const document = JSON.parse(await readFile(FILE, "utf8"), (_, value) => (value?.$ref === "#" ? {} : value));
const types = await openapiTS(document, { defaultNonNullable: false });
await writeFile(TYPES, `// Made by \`npm run api\`; do not edit.\n${astToString(types)}`);
