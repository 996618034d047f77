import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { PROBLEMS } from "../../src/contract/index.ts";

const root = new URL("../../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), "utf8");

test("docs/admin-api.md has each problem code with its statuses and its meaning, and no other", () => {
  const rows = [
    ...read("docs/admin-api.md").matchAll(/^\| `([a-z_]+)` \| ([\d, ]+) \| ([^|]{5,}) \|$/gm),
  ];
  assert.deepEqual(
    rows.map(([, code, statuses, meaning]) => [code, statuses, meaning]),
    Object.entries(PROBLEMS).map(([code, { statuses, meaning }]) => [
      code,
      statuses.join(", "),
      meaning,
    ]),
  );
});

test("each problem that the code makes has a status that is documented for its code", () => {
  const files = readdirSync(new URL("src/", root), { recursive: true, encoding: "utf8" });
  const found = files
    .filter((file) => file.endsWith(".ts"))
    .flatMap((file) => [
      ...read(`src/${file}`).matchAll(/\b(?:RequestError|problem)\(\s*(\d{3}),\s*"([a-z_]+)"/g),
    ]);
  assert.ok(found.length > 30, "the search found them");
  for (const [, status, code = ""] of found) {
    const statuses = Object.entries(PROBLEMS).find(([name]) => name === code)?.[1].statuses ?? [];
    assert.ok(statuses.map(String).includes(status ?? ""), `${code} with ${status ?? ""}`);
  }
});

test("each problem code is one that the service gives", () => {
  const source = readdirSync(new URL("src/", root), { recursive: true, encoding: "utf8" })
    // The command line and the dashboard read codes; what they know of has to come from the rest.
    .filter((file) => file.endsWith(".ts") && !/^(contract\b|cli\b|dashboard\b)/.test(file))
    .map((file) => read(`src/${file}`))
    .join("");
  for (const code of Object.keys(PROBLEMS)) assert.ok(source.includes(`"${code}"`), code);
});
