import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import postgres from "postgres";
import { createPool } from "../../src/db/index.ts";
import { StoreUnavailableError } from "../../src/platform/errors.ts";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { inputs } from "../support/generated.ts";

const DEADLINE_MS = 500;
// So that none ends about when it is given up.
const STEP_S = 0.2;
const SEED = 27;

test("transactions of all lengths, on more or fewer connections than they need", async (t) => {
  const database = await createTestDatabase();
  const owner = postgres(database.ownerUrl, { max: 1, onnotice: () => undefined });
  t.after(async () => {
    await owner.end();
    await database.drop();
  });
  await owner`create table said (call int)`;
  let outcomes = { done: 0, givenUp: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 3 }),
      async (lengths, max) => {
        const pool = createPool(database.ownerUrl, { max, deadlineMs: DEADLINE_MS });
        await pool.query((sql) => sql`select 1`);
        await owner`truncate said`;
        let begun = 0;
        const settled = await Promise.allSettled(
          lengths.map((steps, call) =>
            pool.transaction(async (sql) => {
              begun += 1;
              await sql`insert into said values (${call})`;
              for (let i = 0; i < steps; i++) await sql`select pg_sleep(${STEP_S})`;
            }),
          ),
        );
        const begunInTime = begun;
        await eventually(async () => {
          const busy = await owner`
            select from pg_stat_activity
            where datname = current_database() and application_name = 'x3sproxy' and state <> 'idle'`;
          return busy.length === 0;
        });
        const said = await owner<{ call: number }[]>`select call from said order by call`;
        const done = settled.flatMap(({ status }, call) => (status === "fulfilled" ? [call] : []));
        assert.deepEqual(
          said.map(({ call }) => call),
          done,
        );
        assert.equal(begun, begunInTime, "what was given up began all the same");
        for (const it of settled) {
          if (it.status === "rejected") assert.ok(it.reason instanceof StoreUnavailableError);
        }
        outcomes = {
          done: outcomes.done + done.length,
          givenUp: outcomes.givenUp + lengths.length - done.length,
        };
        await pool.close();
      },
    ),
    inputs(SEED, 12),
  );
  assert.ok(outcomes.done > 5 && outcomes.givenUp > 5, JSON.stringify(outcomes));
});

test("a call that waits for a lock is given up, and changes nothing when it gets that", async (t) => {
  const database = await createTestDatabase();
  const owner = postgres(database.ownerUrl, { max: 1, onnotice: () => undefined });
  const pool = createPool(database.ownerUrl, { max: 2, deadlineMs: DEADLINE_MS });
  t.after(async () => {
    await pool.close();
    await owner.end();
    await database.drop();
  });
  await owner`create table said (call int)`;
  await pool.query((sql) => sql`select 1`);
  const unlock = Promise.withResolvers<undefined>();
  const locked = Promise.withResolvers<undefined>();
  const holding = owner.begin(async (sql) => {
    await sql`lock table said in access exclusive mode`;
    locked.resolve(undefined);
    await unlock.promise;
  });
  await locked.promise;
  const call = pool.transaction(async (sql) => {
    // The server's own timeout is of a statement, and not of all of them.
    for (let i = 0; i < 2; i++) await sql`select pg_sleep(${STEP_S})`;
    await sql`insert into said values (1)`;
  });
  await assert.rejects(call, StoreUnavailableError);
  unlock.resolve(undefined);
  await holding;
  await eventually(async () => {
    const busy = await owner`
      select from pg_stat_activity
      where datname = current_database() and application_name = 'x3sproxy' and state <> 'idle'`;
    return busy.length === 0;
  });
  assert.equal((await owner`select from said`).length, 0);
});
