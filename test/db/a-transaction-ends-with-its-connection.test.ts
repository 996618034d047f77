import assert from "node:assert/strict";
import { once } from "node:events";
import { test, type TestContext } from "node:test";
import postgres from "postgres";
import { createPool, withOwner } from "../../src/db/index.ts";
import { StoreUnavailableError } from "../../src/platform/errors.ts";
import { createTestDatabase } from "../support/database.ts";

const NOWHERE = "00000000-0000-4000-8000-000000000000";

/** A database with a table `said`, what ends the service's connections to it, and a wait that a test ends. */
async function openFixture(t: TestContext, deadlineMs?: number) {
  const database = await createTestDatabase();
  const other = postgres(database.ownerUrl, { max: 1, onnotice: () => undefined });
  await other`create table said (what text)`;
  const pool = createPool(database.ownerUrl, { max: 1, ...(deadlineMs && { deadlineMs }) });
  t.after(async () => {
    await pool.close();
    await other.end();
    await database.drop();
  });
  const { promise: waited, resolve: goOn } = Promise.withResolvers<undefined>();
  return {
    ...{ database, pool, waited, goOn: () => goOn(undefined) },
    cut: () => other`
      select pg_terminate_backend(pid, 5000) from pg_stat_activity
      where datname = current_database() and application_name = 'x3sproxy'`,
    said: async () => (await other<{ what: string }[]>`select what from said`).map((it) => it.what),
  };
}

test("code that waits for something else when its connection is lost is told so, and nothing else happens", async (t) => {
  const { pool, cut, waited, goOn, said } = await openFixture(t);
  const begun = Promise.withResolvers<undefined>();
  const ended = Promise.withResolvers<unknown>();
  const call = pool.inWorkspace(NOWHERE, async (sql) => {
    await sql`insert into said values ('before')`;
    begun.resolve(undefined);
    await waited;
    try {
      await sql`insert into said values ('after')`;
    } catch (error) {
      ended.resolve(error);
      throw error;
    }
  });
  const refused = assert.rejects(call, StoreUnavailableError);
  await begun.promise;
  await cut();
  await refused;
  goOn();
  assert.match(String(await ended.promise), /the transaction is over/);
  assert.deepEqual(await said(), []);
  assert.equal((await pool.query((sql) => sql`select 1`)).length, 1);
});

test("nor is it said on the connection that comes next, outside of any transaction", async (t) => {
  const { pool, cut, waited, goOn, said } = await openFixture(t);
  const begun = Promise.withResolvers<undefined>();
  const ended = Promise.withResolvers<undefined>();
  const call = pool.inWorkspace(NOWHERE, async (sql) => {
    begun.resolve(undefined);
    await waited;
    await sql`insert into said values ('after')`.finally(() => ended.resolve(undefined));
  });
  call.catch(() => ended.resolve(undefined));
  await begun.promise;
  await cut();
  await assert.rejects(call, StoreUnavailableError);
  await pool.query((sql) => sql`select 1`);
  goOn();
  await ended.promise;
  await pool.query((sql) => sql`select 1`);
  assert.deepEqual(await said(), []);
});

test("nor after its deadline, when it was said to have failed", async (t) => {
  const { pool, said } = await openFixture(t, 400);
  const ended = Promise.withResolvers<undefined>();
  const call = pool.inWorkspace(NOWHERE, async (sql) => {
    try {
      await sql`select pg_sleep(0.25)`;
      await sql`select pg_sleep(0.25)`;
      await sql`insert into said values ('late')`;
    } finally {
      ended.resolve(undefined);
    }
  });
  await assert.rejects(call, StoreUnavailableError);
  await ended.promise;
  await pool.query((sql) => sql`select 1`);
  assert.deepEqual(await said(), []);
});

test("a failure of a stream of rows in it is an error, too", async (t) => {
  const { database, cut } = await openFixture(t);
  const reading = withOwner(database.ownerUrl, (sql) =>
    sql.begin(async (transaction) => {
      const rows = await transaction
        .unsafe("copy (select repeat('x', 1000) from generate_series(1, 100000)) to stdout")
        .readable();
      await once(rows, "readable");
      // It may fail before the loop listens, which then learns of it all the same.
      rows.on("error", () => undefined);
      await cut();
      for await (const row of rows) assert.ok(row);
    }),
  );
  await assert.rejects(reading, StoreUnavailableError);
});
