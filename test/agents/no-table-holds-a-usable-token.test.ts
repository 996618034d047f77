// Promise 2: of a proxy token only the SHA-256 is stored.
import assert from "node:assert/strict";
import { test } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { hashBearer } from "../../src/ids.ts";
import { createHouse } from "../grants/house.ts";
import { actorIn } from "../support/actor.ts";

test("the whole database as text has the tokens' hashes and in no form the tokens", async (t) => {
  const { agents, database, workspaceId } = await createHouse(t);
  const tokens: string[] = [];
  for (const name of ["a", "b", "a"]) {
    tokens.push((await agents.deploy(actorIn(workspaceId), { name, ttlMs: 3_600_000 })).token);
  }
  const dump = await withOwner(database.ownerUrl, async (sql) => {
    const tables = await sql<{ name: string }[]>`
      select format('%I.%I', table_schema, table_name) as name from information_schema.tables
      where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'`;
    assert.ok(tables.length >= 9);
    const rows = await Promise.all(
      tables.map(({ name }) =>
        sql.unsafe<{ row: string }[]>(`select t::text as row from ${name} t`),
      ),
    );
    return rows
      .flat()
      .map(({ row }) => row)
      .join("\n")
      .toLowerCase();
  });
  const [ended, ...live] = tokens;
  for (const token of live) assert.ok(dump.includes(hashBearer(token)), "the dump is a real one");
  assert.ok(ended !== undefined && !dump.includes(hashBearer(ended)), "an ended one is gone");
  for (const token of tokens) {
    for (const secret of [token, token.slice("x3sproxy_".length)]) {
      for (const form of ["utf8", "hex", "base64", "base64url"] as const) {
        const text = Buffer.from(secret).toString(form).toLowerCase().replace(/=+$/, "");
        assert.ok(!dump.includes(text), form);
      }
    }
  }
  assert.doesNotMatch(dump, /x3sproxy_[a-z0-9]{32}/);
});
