// docs/audit-events.md has each action that there is and no other, and nothing that writes an event invents one.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { ACTIONS } from "../../src/audit/index.ts";

const root = new URL("../../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), "utf8");
const files = (folder: string, ending: string): string[] =>
  readdirSync(new URL(folder, root), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folder}/${name}`);

const actions: readonly string[] = ACTIONS;

test("the table and the type have the same actions", () => {
  const rows = [...read("docs/audit-events.md").matchAll(/^\| `([a-z_]+\.[a-z_]+)` \|/gm)];
  assert.ok(actions.length > 40);
  assert.deepEqual(rows.map(([, name]) => name).toSorted(), actions.toSorted());
});

test("so have the statements that write events by themselves", () => {
  const sql = files("sql", ".sql").filter((name) => !name.endsWith("schema.sql"));
  const inserts = sql
    .flatMap((name) =>
      read(name)
        .split(/insert into x3sproxy\.audit_events\b/)
        .slice(1),
    )
    .map((text) => text.slice(0, text.indexOf(";") >>> 0));
  const named = inserts.flatMap((text) =>
    [...text.matchAll(/'([a-z_]+\.[a-z_]+)'/g)].map(([, name = ""]) => name),
  );
  assert.ok(named.length >= 7, named.join(", "));
  for (const name of named) assert.ok(actions.includes(name), name);
  assert.equal(named.length, inserts.length, "each statement names one action");
});
