// For connections that outlive their look-up: WebSockets.
import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { createTcpGate } from "../support/tcp-gate.ts";
import { createHouse, FAKE_KEY } from "./house.ts";
import { createManualClock } from "./manual-clock.ts";
import { actorIn } from "../support/actor.ts";

async function watched(t: TestContext, o: { deaf?: boolean; ttlMs?: number } = {}) {
  const clock = createManualClock();
  const house = await createHouse(t, { clock });
  const gate = await createTcpGate(house.database.proxyUrl);
  t.after(() => gate.close());
  let changesUrl = house.database.proxyUrl;
  if (o.deaf === true) {
    const elsewhere = await createTestDatabase();
    t.after(() => elsewhere.drop());
    changesUrl = elsewhere.proxyUrl;
  }
  const { token } = await house.agents.deploy(actorIn(house.workspaceId), {
    name: "a",
    ...(o.ttlMs !== undefined && { ttlMs: o.ttlMs }),
  });
  const { access, pool } = await house.openAccess({ proxyUrl: gate.url, changesUrl });
  const grant = await access.resolve(token);
  assert.ok(typeof grant !== "string");
  const calls = { first: 0, second: 0, left: 0 };
  access.watch(grant, () => (calls.first += 1));
  access.watch(grant, () => (calls.second += 1));
  const leave = access.watch(grant, () => (calls.left += 1));
  leave();
  return { ...house, clock, gate, access, pool, token, grant, calls };
}

/** Two of the watch's ticks, and then some. */
const twoTicks = () => new Promise((resolve) => setTimeout(resolve, 2_200));

suite("a watched grant", { concurrency: true }, () => {
  test("destroyed: within a second, each watcher once, who left not at all", async (t) => {
    const { agents, workspaceId, calls } = await watched(t);
    await agents.destroy(actorIn(workspaceId), "a");
    await eventually(() => calls.first > 0 && calls.second > 0, 1_000);
    await twoTicks();
    assert.deepEqual(calls, { first: 1, second: 1, left: 0 });
  });

  test("redeployed: the token before has ended", async (t) => {
    const { agents, workspaceId, calls } = await watched(t);
    await agents.deploy(actorIn(workspaceId), { name: "a" });
    await eventually(() => calls.first > 0, 1_000);
  });

  test("other changes do not end it", async (t) => {
    const { agents, secrets, workspaceId, calls, pool, clock } = await watched(t);
    await agents.deploy(actorIn(workspaceId), { name: "other" });
    await agents.destroy(actorIn(workspaceId), "other");
    await secrets.set(actorIn(workspaceId), {
      provider: "openai",
      environment: "production",
      value: FAKE_KEY,
    });
    for (let i = 0; i < 3; i += 1) {
      const asked = pool.count();
      clock.advance(30_000);
      await eventually(() => pool.count() > asked);
    }
    await twoTicks();
    assert.deepEqual(calls, { first: 0, second: 0, left: 0 });
  });

  test("expired: within a tick", async (t) => {
    const { clock, calls } = await watched(t, { ttlMs: 60_000 });
    clock.advance(59_999);
    await twoTicks();
    assert.equal(calls.first, 0);
    clock.advance(1);
    await eventually(() => calls.first === 1, 2_000);
  });

  test("revoked unheard: found out within a minute, by one query each 30 s for all watchers", async (t) => {
    const { agents, workspaceId, clock, calls, pool } = await watched(t, { deaf: true });
    assert.equal(pool.count(), 1);
    await agents.destroy(actorIn(workspaceId), "a");
    clock.advance(29_999);
    await twoTicks();
    assert.equal(pool.count(), 1);
    assert.equal(calls.first, 0);
    clock.advance(1);
    await eventually(() => calls.first === 1, 2_000);
    assert.equal(pool.count(), 2);
  });

  test("not to be confirmed: it lives to its 60 s and no longer", async (t) => {
    const { gate, clock, calls } = await watched(t);
    await gate.set("refuse");
    clock.advance(30_000);
    await twoTicks();
    clock.advance(29_999);
    await twoTicks();
    assert.equal(calls.first, 0);
    clock.advance(1);
    await eventually(() => calls.first === 1, 2_000);
  });

  test("away for a while and back in time: it lives on", async (t) => {
    const { gate, clock, calls, pool } = await watched(t);
    await gate.set("refuse");
    clock.advance(40_000);
    await eventually(() => pool.failed() > 0);
    await gate.set("open");
    while (pool.answered() === 1) {
      const failed = pool.failed();
      clock.advance(1_000);
      await eventually(() => pool.answered() > 1 || pool.failed() > failed);
    }
    clock.advance(29_000);
    await twoTicks();
    assert.equal(calls.first, 0);
  });

  test("revoked between look-up and watch, it ends all the same", async (t) => {
    const { agents, access, workspaceId, token, grant } = await watched(t);
    await agents.destroy(actorIn(workspaceId), "a");
    await eventually(async () => (await access.resolve(token)) === "unknown_token");
    let late = 0;
    access.watch(grant, () => (late += 1));
    assert.equal(late, 0, "never before watch() has returned");
    await eventually(() => late === 1, 1_000);
  });

  test("revoked while the store is away: found out when it is back, not 30 s later", async (t) => {
    const { agents, gate, clock, workspaceId, calls, pool } = await watched(t);
    await gate.set("refuse");
    await agents.destroy(actorIn(workspaceId), "a");
    await eventually(() => pool.failed() > 0);
    assert.equal(calls.first, 0);
    await gate.set("open");
    await eventually(() => {
      if (calls.first === 0) clock.advance(10);
      return calls.first === 1;
    });
    assert.ok(clock.monotonicMs() < 30_000);
  });

  test("after a gap in the notifications all are confirmed at once, each by one query", async (t) => {
    const clock = createManualClock();
    const { agents, workspaceId, openAccess, database } = await createHouse(t, { clock });
    const gate = await createTcpGate(database.proxyUrl);
    t.after(() => gate.close());
    const tokens: string[] = [];
    for (let i = 0; i < 40; i += 1) {
      tokens.push((await agents.deploy(actorIn(workspaceId), { name: `a${i}` })).token);
    }
    const { access, pool } = await openAccess({ changesUrl: gate.url });
    const ended: number[] = [];
    for (const [i, token] of tokens.entries()) {
      const grant = await access.resolve(token);
      assert.ok(typeof grant !== "string");
      access.watch(grant, () => ended.push(i));
    }
    await gate.set("refuse");
    await agents.destroy(actorIn(workspaceId), "a7");
    await agents.destroy(actorIn(workspaceId), "a30");
    await twoTicks();
    assert.deepEqual(ended, []);
    await gate.set("open");
    await eventually(() => ended.length === 2, 3_000);
    assert.deepEqual(ended, [7, 30]);
    await eventually(() => pool.count() === 80);
    await twoTicks();
    assert.equal(pool.count(), 80);
  });
});
