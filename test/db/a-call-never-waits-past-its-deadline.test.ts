import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { inspect } from "node:util";
import { setTimeout as delay } from "node:timers/promises";
import { withOwner } from "../../src/db/connection.ts";
import { createPool, type Pool } from "../../src/db/index.ts";
import { StoreUnavailableError } from "../../src/platform/errors.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { createTcpGate, type TcpGate } from "../support/tcp-gate.ts";
import { seedWorkspace } from "./fixture.ts";

const DEADLINE_MS = 400;
// What a busy machine may add before a timer fires.
const SLACK_MS = 400;
const WORKSPACE = "2f0d6f8e-0000-4000-8000-000000000000";

let database: TestDatabase;
let gate: TcpGate;
let pool: Pool;
before(async () => {
  database = await createTestDatabase();
  gate = await createTcpGate(database.controlUrl);
  pool = createPool(gate.url, { deadlineMs: DEADLINE_MS });
});
after(async () => {
  await pool.close();
  await gate.close();
  await database.drop();
});
afterEach(() => gate.set("open"));

const works = async (): Promise<boolean> => (await pool.query((sql) => sql`select 1`)).length === 1;

async function refusedInTime(call: () => Promise<unknown>): Promise<void> {
  const startMs = performance.now();
  await assert.rejects(call(), StoreUnavailableError);
  const tookMs = performance.now() - startMs;
  assert.ok(tookMs < DEADLINE_MS + SLACK_MS, `took ${tookMs} ms`);
}

for (const mode of ["refuse", "hang-up", "silent"] as const) {
  for (const state of ["connected", "never connected"] as const) {
    test(`with a server that would ${mode}, ${state}`, async () => {
      if (state === "never connected") {
        await pool.close();
        pool = createPool(gate.url, { deadlineMs: DEADLINE_MS });
      } else {
        // To connect takes longer than the deadline on a busy machine.
        await eventually(() => works().catch(() => false));
      }
      await gate.set(mode);
      for (let i = 0; i < 2; i++) {
        await refusedInTime(() => pool.query((sql) => sql`select 1`));
        await refusedInTime(() => pool.inWorkspace(WORKSPACE, (sql) => sql`select 1`));
      }
      await Promise.all(
        Array.from({ length: 20 }, () => refusedInTime(() => pool.query((sql) => sql`select 1`))),
      );
      await gate.set("open");
      // As above: here, too, each has to connect.
      assert.ok(await eventually(() => works().catch(() => false)));
    });
  }
}

for (const mode of ["refuse", "hang-up"] as const) {
  test(`where a server would ${mode} the call fails long before its deadline, however often`, async () => {
    const patient = createPool(gate.url, { deadlineMs: 8000 });
    await gate.set(mode);
    for (let i = 0; i < 12; i++) {
      const startMs = performance.now();
      await assert.rejects(
        patient.query((sql) => sql`select 1`),
        StoreUnavailableError,
      );
      assert.ok(performance.now() - startMs < 1500, `call ${i}`);
    }
    await patient.close();
  });
}

test("a server that closes at once is not hammered", async () => {
  await gate.set("hang-up");
  const before = gate.accepted;
  await assert.rejects(
    pool.query((sql) => sql`select 1`),
    StoreUnavailableError,
  );
  assert.ok(gate.accepted - before <= 4, `${gate.accepted - before} connections for one query`);
});

test("a slow statement is ended by the server, and its connection stays good", async () => {
  const one = createPool(gate.url, { deadlineMs: 3000, max: 1 });
  const pid = async (): Promise<unknown> =>
    (await one.query((sql) => sql`select pg_backend_pid() as pid`))[0]?.["pid"];
  const first = await pid();
  await assert.rejects(
    one.query((sql) => sql`select pg_sleep(5)`),
    { name: "StoreUnavailableError", message: /57014/ },
  );
  assert.equal(await pid(), first);
  await one.close();
});

test("an error that we raise holds no value of a parameter", async () => {
  await gate.set("refuse");
  const error = await pool
    .query((sql) => sql`select ${"fake-parameter"}::text`)
    .catch((thrown: unknown) => thrown);
  assert.ok(error instanceof StoreUnavailableError);
  assert.doesNotMatch(inspect(error, { showHidden: true, depth: 9 }), /fake-parameter/);
});

for (const others of ["alone", "while others are answered"]) {
  test(`a transaction that is reported as failed is not committed later, ${others}`, async () => {
    const { workspaceId } = await seedWorkspace(database.ownerUrl, `late-${others.length}`);
    const finished = Promise.withResolvers<undefined>();
    const late = refusedInTime(() =>
      pool.inWorkspace(workspaceId, async (sql) => {
        await sql`delete from x3sproxy.providers`;
        await delay(DEADLINE_MS + SLACK_MS);
        finished.resolve(undefined);
      }),
    );
    if (others !== "alone") {
      await delay(DEADLINE_MS / 2);
      assert.ok(await works());
    }
    await Promise.all([late, finished.promise]);
    const left = await withOwner(
      database.ownerUrl,
      (sql) => sql`select from x3sproxy.providers where workspace_id = ${workspaceId}`,
    );
    assert.equal(left.length, 1);
    assert.ok(await works());
  });
}

test("an error of the SQL itself is passed through, and the pool goes on", async () => {
  await assert.rejects(
    pool.inWorkspace(WORKSPACE, (sql) => sql`select 1 / 0`),
    { name: "PostgresError", code: "22012" },
  );
  assert.ok(await works());
});

test("a closed pool refuses", async () => {
  const closed = createPool(gate.url);
  await closed.query((sql) => sql`select 1`);
  await closed.close();
  await assert.rejects(
    closed.query((sql) => sql`select 1`),
    StoreUnavailableError,
  );
});
