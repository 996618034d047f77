import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { systemClock, type Clock } from "../../src/platform/clock.ts";
import { withOwner } from "../../src/db/connection.ts";
import { createChanges, type Changes } from "../../src/db/index.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics, type Metrics } from "../../src/platform/metrics.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { createTcpGate } from "../support/tcp-gate.ts";
import { seedWorkspace, type Seed } from "./fixture.ts";

let database: TestDatabase;
let seed: Seed;
let gaps: number;
let heard: unknown[];
before(async () => {
  database = await createTestDatabase();
  seed = await seedWorkspace(database.ownerUrl, "acme");
});
after(() => database.drop());
beforeEach(() => {
  gaps = 0;
  heard = [];
});

function listen(url: string, clock: Clock = systemClock): { changes: Changes; metrics: Metrics } {
  const metrics = createMetrics();
  const changes = createChanges(url, { clock, log: createLog({ level: "silent" }), metrics });
  changes.onGap(() => gaps++);
  changes.onChange((change) => heard.push(change));
  return { changes, metrics };
}
const healthy = async ({ notificationsHealthy }: Metrics): Promise<boolean> =>
  (await notificationsHealthy.get()).values[0]?.value === 1;
const touchAgent = (): Promise<unknown> =>
  withOwner(
    database.ownerUrl,
    (sql) => sql`update x3sproxy.agents set deployed_at = now() where id = ${seed.agentId}`,
  );
const endListeners = (): Promise<unknown> =>
  withOwner(
    database.ownerUrl,
    (sql) => sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and query ilike 'listen%'`,
  );

test("listening begins with a gap, and then each change is told", async () => {
  const { changes, metrics } = listen(database.proxyUrl);
  await eventually(() => healthy(metrics));
  assert.equal(gaps, 1);
  await touchAgent();
  await eventually(() => heard.length > 0, 1000);
  assert.deepEqual(heard, [{ agentId: seed.agentId }]);
  await withOwner(database.ownerUrl, (sql) => sql`update x3sproxy.secrets set label = 'new'`);
  await eventually(() => heard.length > 1, 1000);
  assert.deepEqual(heard[1], { workspaceId: seed.workspaceId });
  assert.equal(gaps, 1);
  await changes.close();
  assert.equal(await healthy(metrics), false);
});

test("a listener whose connection is ended listens again, after a gap", async () => {
  const { changes, metrics } = listen(database.proxyUrl);
  await eventually(() => healthy(metrics));
  await endListeners();
  await eventually(() => gaps === 2);
  await touchAgent();
  await eventually(() => heard.length > 0, 1000);
  await changes.close();
});

test("while the database is away there is no gap, and there is one when it is back", async () => {
  const gate = await createTcpGate(database.proxyUrl);
  const { changes, metrics } = listen(gate.url);
  await eventually(() => healthy(metrics));
  await gate.set("refuse");
  await eventually(async () => !(await healthy(metrics)));
  const attempts = gate.accepted;
  await new Promise((resolve) => setTimeout(resolve, 3000));
  assert.equal(gaps, 1);
  assert.equal(gate.accepted, attempts);
  await gate.set("open");
  await eventually(() => healthy(metrics));
  assert.equal(gaps, 2);
  await changes.close();
  await gate.close();
});

test("a listener that hears nothing while queries work is noticed and replaced", async () => {
  // Only the first connection, which is the listener's, goes through the gate that falls silent.
  const gate = await createTcpGate(database.proxyUrl);
  const { changes, metrics } = listen(gate.url);
  await eventually(() => healthy(metrics));
  const startMs = performance.now();
  gate.silence(0);
  await eventually(() => gaps === 2, 12_000);
  assert.ok(performance.now() - startMs < 10_000);
  await eventually(() => gaps === 3 && healthy(metrics));
  await touchAgent();
  await eventually(() => heard.length > 0, 1000);
  await changes.close();
  await gate.close();
});

test("after the machine has slept there is a gap", async () => {
  let sleptMs = 0;
  const { changes, metrics } = listen(database.proxyUrl, {
    nowMs: () => systemClock.nowMs() + sleptMs,
    monotonicMs: () => systemClock.monotonicMs(),
  });
  await eventually(() => healthy(metrics));
  sleptMs = 3_600_000;
  await eventually(() => gaps === 2);
  await changes.close();
});

test("close ends a listener that is still trying to connect", async () => {
  const gate = await createTcpGate(database.proxyUrl);
  await gate.set("silent");
  const { changes } = listen(gate.url);
  await eventually(() => gate.accepted > 0);
  const startMs = performance.now();
  await changes.close();
  assert.ok(performance.now() - startMs < 1000);
  await gate.close();
});
