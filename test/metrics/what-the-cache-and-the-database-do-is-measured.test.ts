import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../src/clock.ts";
import { withOwner } from "../../src/db/connection.ts";
import { createChanges, createPool } from "../../src/db/index.ts";
import { createLog } from "../../src/log.ts";
import { createMetrics } from "../../src/metrics.ts";
import { createTokenCache } from "../../src/grants/token-cache.ts";
import { createScripted, hashOf, settle } from "../grants/scripted.ts";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { createTcpGate } from "../support/tcp-gate.ts";
import { openDataPlane } from "../support/data-plane.ts";
import { valueOf } from "./exposition.ts";

const EVICTIONS = "x3sproxy_token_cache_evictions_total";

test("grants leave the cache by change, by expiry or for want of room, and each is counted once", async () => {
  const { cache, lookUps, queries, clock } = createScripted();
  const load = async (name: string): Promise<void> => {
    const found = lookUps.find(hashOf(name));
    queries[0]?.answer({ agentId: `agent ${name}`, workspaceId: "w", version: 1 });
    await found;
    await settle();
  };
  await load("a");
  await load("b");
  cache.forget("agent a");
  cache.forget("agent of nobody");
  assert.deepEqual(cache.state().evicted, { change: 1, expiry: 0, room: 0 });
  clock.advance(60_000);
  cache.sweep(clock.monotonicMs());
  cache.sweep(clock.monotonicMs());
  assert.deepEqual(cache.state().evicted, { change: 1, expiry: 1, room: 0 });
  await load("c");
  cache.forgetAll();
  assert.deepEqual(cache.state(), {
    ...{ grants: 0, unknown: 0 },
    evicted: { change: 2, expiry: 1, room: 0 },
  });

  const small = createTokenCache();
  const { made } = createScripted();
  assert.equal(made.length, 0);
  const { lookUps: filler, queries: asked, made: grants } = createScripted();
  const filled = filler.find(hashOf("x"));
  asked[0]?.answer({ agentId: "x", workspaceId: "w", version: 1 });
  await filled;
  const [grant] = grants;
  assert.ok(grant !== undefined);
  for (let i = 0; i < 20_003; i++) small.put({ ...grant, tokenHash: hashOf(String(i)) });
  assert.equal(small.state().evicted.room, 3);
  assert.equal(small.state().grants, 20_000);
});

test("a running data plane publishes them, and how old a grant was that was used", async (t) => {
  const plane = await openDataPlane(t);
  const token = await plane.deploy();
  const ask = () =>
    fetch(`${plane.url}/_x3sproxy/token`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal((await ask()).status, 200);
  assert.equal((await ask()).status, 200);
  const text = await plane.metrics.text();
  assert.equal(valueOf(text, "x3sproxy_token_cache_entries", { kind: "grant" }), 1);
  assert.equal(valueOf(text, "x3sproxy_token_cache_age_seconds_count"), 1);
  assert.equal(valueOf(text, "x3sproxy_token_cache_age_seconds_bucket", { le: "60" }), 1);
  await plane.deploy();
  await eventually(
    async () => valueOf(await plane.metrics.text(), EVICTIONS, { reason: "change" }) === 1,
  );
  assert.equal(valueOf(await plane.metrics.text(), EVICTIONS), 1);
});

test("a pool tells its calls under way, those that wait, how long they took and which failed why", async (t) => {
  const database = await createTestDatabase();
  const gate = await createTcpGate(database.controlUrl);
  const metrics = createMetrics();
  const pool = createPool(gate.url, {
    max: 1,
    deadlineMs: 2000,
    measured: { metrics, as: "control" },
  });
  t.after(async () => {
    await pool.close();
    await gate.close();
    await database.drop();
  });
  const of = async (name: string, labels: Record<string, string> = {}): Promise<number> =>
    valueOf(await metrics.text(), `x3sproxy_database_${name}`, { pool: "control", ...labels });
  const failed = (reason: string) => of("query_failures_total", { reason });

  const under = withOwner(database.ownerUrl, (sql) =>
    sql.begin(async (transaction) => {
      await transaction`lock table x3sproxy.agents in access exclusive mode`;
      const calls = [1, 2, 3].map(() =>
        pool.query((own) => own`select count(*) from x3sproxy.agents`),
      );
      await eventually(async () => (await of("pool_waiting")) === 2);
      assert.equal(await of("pool_in_use"), 1);
      assert.equal(await of("pool_size"), 1);
      return { calls };
    }),
  );
  await Promise.all((await under).calls);
  assert.deepEqual([await of("pool_waiting"), await of("pool_in_use")], [0, 0]);
  assert.equal(await of("query_seconds_count"), 3);

  await assert.rejects(
    pool.query((sql) => sql`select 1 / 0`),
    /division by zero/,
  );
  assert.equal(await failed("rejected"), 1);
  const mistake = new Error("of the work in the transaction");
  const id = "00000000-0000-4000-8000-000000000000";
  await assert.rejects(
    pool.inWorkspace(id, () => Promise.reject(mistake)),
    mistake,
  );
  assert.equal(await failed("rejected"), 1);
  await gate.set("silent");
  await assert.rejects(pool.query((sql) => sql`select 1`));
  assert.equal(await failed("late"), 1);
  await gate.set("refuse");
  await assert.rejects(pool.query((sql) => sql`select 1`));
  assert.equal(await failed("unavailable"), 1);
  assert.equal(await of("query_seconds_count"), 7);
  assert.equal(await of("pool_in_use"), 0);
});

test("the notifications' lag is a round trip while they come, and grows while they don't", async (t) => {
  const database = await createTestDatabase();
  const gate = await createTcpGate(database.proxyUrl);
  const metrics = createMetrics();
  const log = createLog({ level: "silent" });
  const changes = createChanges(gate.url, { clock: systemClock, log, metrics });
  t.after(async () => {
    await changes.close();
    await gate.close();
    await database.drop();
  });
  const of = async (name: string): Promise<number> =>
    valueOf(await metrics.text(), `x3sproxy_notification${name}`);
  await eventually(async () => (await of("s_healthy")) === 1);
  const lagS = await of("_lag_seconds");
  assert.ok(lagS > 0 && lagS < 1, `${lagS} s`);
  assert.equal(await of("_gaps_total"), 1);
  await gate.set("refuse");
  await eventually(async () => (await of("_lag_seconds")) > 1);
  await gate.set("open");
  await eventually(async () => (await of("s_healthy")) === 1 && (await of("_lag_seconds")) < 1);
  assert.equal(await of("_gaps_total"), 2);
});
