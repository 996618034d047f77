import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { migrate, prepareLogins } from "../../src/db/index.ts";
import { serverUrl, urlOfDatabase } from "../support/database.ts";

test("twenty services that start together on an empty database apply each migration once", async () => {
  const name = `empty_${randomBytes(6).toString("hex")}`;
  await withOwner(serverUrl(), async (sql) => sql`create database ${sql(name)}`);
  const url = urlOfDatabase(serverUrl(), name);
  try {
    const results = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const applied = await migrate(url);
        return { applied, logins: await prepareLogins(url, (role) => `fake-${role}-password`) };
      }),
    );
    const busy = results.filter(({ applied }) => applied.length > 0);
    assert.equal(busy.length, 1);
    assert.equal(busy[0]?.applied[0], "0001_initial.sql");
    assert.deepEqual(await migrate(url), []);

    assert.equal(new Set(results.map(({ logins }) => JSON.stringify(logins))).size, 1);
    const { controlUrl, proxyUrl } = await prepareLogins(url, (role) => `fake-${role}-password`);
    for (const login of [controlUrl, proxyUrl]) {
      assert.equal(await withOwner(login, async (sql) => (await sql`select 1`).length), 1);
    }
    await withOwner(serverUrl(), async (sql) => {
      await sql`drop database ${sql(name)} with (force)`;
      for (const login of [controlUrl, proxyUrl]) {
        await sql`drop role ${sql(new URL(login).username)}`;
      }
    });
  } finally {
    await withOwner(
      serverUrl(),
      async (sql) => sql`drop database if exists ${sql(name)} with (force)`,
    );
  }
});
