// Calls that outlive their look-up: streams and WebSockets. How and when they end depends on why their token has.
import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import type { Grants, Grant, OpenCall } from "../../src/grants/index.ts";
import { withOwner } from "../../src/db/connection.ts";
import type { RefusalReason } from "../../src/errors.ts";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { createTcpGate } from "../support/tcp-gate.ts";
import { createHouse, FAKE_KEY } from "./house.ts";
import { createManualClock } from "./manual-clock.ts";
import { actorIn } from "../support/actor.ts";

const GRACE_MS = 90_000;

/** Stands for the data plane: calls that are open until they are cut. `cuts`: which, why and in which turn. */
function createCalls(grants: Grants) {
  const open = new Set<OpenCall>();
  const cuts: { name: string; reason: RefusalReason; turn: number }[] = [];
  let turn = 0;
  grants.watchOpen((visit) => {
    turn += 1;
    for (const call of open) visit(call);
  });
  return {
    cuts,
    reasons: (name: string) => cuts.filter((it) => it.name === name).map(({ reason }) => reason),
    begin(name: string, grant: Grant): { leave: () => void } {
      let over = false;
      const call: OpenCall = {
        grant,
        cut(reason) {
          if (over) return false;
          over = true;
          cuts.push({ name, reason, turn });
          return true;
        },
      };
      open.add(call);
      return { leave: () => void open.delete(call) };
    },
  };
}

async function grantOf(grants: Grants, token: string): Promise<Grant> {
  const grant = await grants.resolve(token);
  assert.ok(typeof grant !== "string");
  return grant;
}

async function opened(
  t: TestContext,
  o: { deaf?: boolean; ttlMs?: number; redeployGraceMs?: number; calls?: number } = {},
) {
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
  const by = actorIn(house.workspaceId);
  const { token } = await house.agents.deploy(by, {
    name: "a",
    ...(o.ttlMs !== undefined && { ttlMs: o.ttlMs }),
  });
  const { grants, pool } = await house.openGrants({
    proxyUrl: gate.url,
    changesUrl,
    redeployGraceMs: o.redeployGraceMs ?? GRACE_MS,
  });
  const grant = await grantOf(grants, token);
  const calls = createCalls(grants);
  calls.begin("first", grant);
  calls.begin("second", grant);
  calls.begin("left", grant).leave();
  const setAllSuspended = (suspended: boolean): Promise<unknown> =>
    withOwner(
      house.database.ownerUrl,
      (sql) => sql`update x3sproxy.workspaces
        set agents_suspended_at = case when ${suspended} then now() end where id = ${house.workspaceId}`,
    );
  return { ...house, by, clock, gate, grants, pool, token, grant, calls, setAllSuspended };
}

/** Two of the tick's seconds, and then some. */
const twoTicks = () => new Promise((resolve) => setTimeout(resolve, 2_200));

suite("an open call", { concurrency: true }, () => {
  test("of a destroyed agent: within a second, each once, what is over not at all", async (t) => {
    const { agents, by, calls } = await opened(t);
    await agents.destroy(by, "a");
    await eventually(() => calls.cuts.length >= 2, 1_000);
    await twoTicks();
    assert.deepEqual(
      calls.cuts.map(({ name, reason }) => ({ name, reason })),
      [
        { name: "first", reason: "unknown_token" },
        { name: "second", reason: "unknown_token" },
      ],
    );
  });

  test("of a suspended agent: within a second; one that begins when it is resumed goes on", async (t) => {
    const { agents, by, grants, token, calls } = await opened(t);
    await agents.suspend(by, "a");
    await eventually(() => calls.cuts.length === 2, 1_000);
    assert.deepEqual(calls.reasons("first"), ["agent_suspended"]);
    await agents.resume(by, "a");
    const grant = await eventually(async () => {
      const found = await grants.resolve(token);
      return typeof found !== "string" && !found.suspended && found;
    }, 1_000);
    calls.begin("new", grant);
    await twoTicks();
    assert.deepEqual(calls.reasons("new"), []);
  });

  test("of a suspended workspace: within a second", async (t) => {
    const { calls, setAllSuspended } = await opened(t);
    await setAllSuspended(true);
    await eventually(() => calls.cuts.length === 2, 1_000);
    assert.deepEqual(calls.reasons("first"), ["agent_suspended"]);
  });

  test("of a redeployed agent: goes on for the grace time, and no longer", async (t) => {
    const { agents, by, clock, calls, pool } = await opened(t);
    const asked = pool.count();
    await agents.deploy(by, { name: "a" });
    await eventually(() => pool.count() >= asked + 2, 1_000);
    await twoTicks();
    for (let passedMs = 0; passedMs < GRACE_MS - 30_000; passedMs += 30_000) {
      const before = pool.count();
      clock.advance(30_000);
      await eventually(() => pool.count() >= before + 2, 3_000);
    }
    clock.advance(29_999);
    await twoTicks();
    assert.deepEqual(calls.cuts, []);
    clock.advance(1);
    await eventually(() => calls.cuts.length === 2, 2_000);
    assert.deepEqual(calls.reasons("first"), ["unknown_token"]);
  });

  test("of a redeployed agent with no grace: within a second", async (t) => {
    const { agents, by, calls } = await opened(t, { redeployGraceMs: 0 });
    await agents.deploy(by, { name: "a" });
    await eventually(() => calls.cuts.length === 2, 1_000);
  });

  test("in its grace: destroyed, or suspended, or its workspace: at once", async (t) => {
    for (const end of ["destroy", "suspend", "workspace"] as const) {
      const { agents, by, calls, pool, setAllSuspended } = await opened(t);
      const asked = pool.count();
      await agents.deploy(by, { name: "a" });
      await eventually(() => pool.count() >= asked + 2, 1_000);
      if (end === "workspace") await setAllSuspended(true);
      else await agents[end](by, "a");
      await eventually(() => calls.cuts.length === 2, 1_000);
      const reason = end === "destroy" ? "unknown_token" : "agent_suspended";
      assert.deepEqual(calls.reasons("first"), [reason]);
    }
  });

  test("in its grace, not to be confirmed: it lives to its 60 s and no longer", async (t) => {
    const { agents, by, gate, clock, calls, pool } = await opened(t);
    const asked = pool.count();
    await agents.deploy(by, { name: "a" });
    await eventually(() => pool.answered() >= asked + 2, 1_000);
    await twoTicks();
    await gate.set("refuse");
    clock.advance(59_999);
    await twoTicks();
    assert.deepEqual(calls.cuts, []);
    clock.advance(1);
    await eventually(() => calls.cuts.length === 2, 2_000);
    assert.deepEqual(calls.reasons("first"), ["store_unavailable"]);
  });

  test("goes on over other changes, a narrower scope among them", async (t) => {
    const { agents, secrets, by, calls, pool, clock, setAllSuspended } = await opened(t);
    await agents.deploy(by, { name: "other" });
    await agents.suspend(by, "other");
    await agents.destroy(by, "other");
    await agents.changeScope(by, "a", { providers: ["anthropic"], addresses: ["192.0.2.1"] });
    await secrets.set(by, { provider: "openai", environment: "production", value: FAKE_KEY });
    await setAllSuspended(false);
    for (let i = 0; i < 3; i += 1) {
      const asked = pool.count();
      clock.advance(30_000);
      await eventually(() => pool.count() > asked);
    }
    await twoTicks();
    assert.deepEqual(calls.cuts, []);
  });

  test("whose token has expired: goes on for the grace time", async (t) => {
    const { clock, calls, pool } = await opened(t, { ttlMs: 60_000 });
    const confirm = async (): Promise<void> => {
      const asked = pool.answered();
      clock.advance(30_000);
      await eventually(() => pool.answered() > asked, 3_000);
    };
    for (let i = 0; i < 2; i += 1) await confirm();
    await twoTicks();
    for (let i = 0; i < 2; i += 1) await confirm();
    clock.advance(29_999);
    await twoTicks();
    assert.deepEqual(calls.cuts, []);
    clock.advance(1);
    await eventually(() => calls.cuts.length === 2, 2_000);
    assert.deepEqual(calls.reasons("first"), ["expired_token"]);
  });

  test("whose scope has ended: within a tick when there is no grace; not when it is extended in time", async (t) => {
    const { agents, by, clock, calls, pool } = await opened(t, { redeployGraceMs: 0 });
    const endsIn = (ms: number): string => new Date(clock.nowMs() + ms).toISOString();
    const setEnd = async (ms: number): Promise<void> => {
      const asked = pool.answered();
      await agents.changeScope(by, "a", { scopeExpiresAt: endsIn(ms) });
      await eventually(() => pool.answered() > asked, 1_000);
    };
    await setEnd(10_000);
    await setEnd(20_000);
    clock.advance(19_999);
    await twoTicks();
    assert.deepEqual(calls.cuts, []);
    clock.advance(1);
    await eventually(() => calls.cuts.length === 2, 2_000);
    assert.deepEqual(calls.reasons("first"), ["scope_expired"]);
  });

  test("ended unheard: found out within half a minute, by one question each 30 s for all of a token", async (t) => {
    for (const end of ["destroy", "suspend"] as const) {
      const { agents, by, clock, calls, pool } = await opened(t, { deaf: true });
      assert.equal(pool.count(), 1);
      await agents[end](by, "a");
      clock.advance(29_999);
      await twoTicks();
      assert.equal(pool.count(), 1);
      assert.deepEqual(calls.cuts, []);
      clock.advance(1);
      await eventually(() => calls.cuts.length === 2, 2_000);
      // Of a token that is gone it is asked, once more, why. And the cut is written down.
      const asked = end === "destroy" ? 3 : 2;
      await eventually(() => pool.count() > asked, 1_000);
      await twoTicks();
      assert.equal(pool.count(), asked + 1);
    }
  });

  test("not to be confirmed: it lives to its 60 s and no longer", async (t) => {
    const { gate, clock, calls } = await opened(t);
    await gate.set("refuse");
    clock.advance(30_000);
    await twoTicks();
    clock.advance(29_999);
    await twoTicks();
    assert.deepEqual(calls.cuts, []);
    clock.advance(1);
    await eventually(() => calls.cuts.length === 2, 2_000);
    assert.deepEqual(calls.reasons("first"), ["store_unavailable"]);
  });

  test("the store away for a while and back in time: it lives on", async (t) => {
    const { gate, clock, calls, pool } = await opened(t);
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
    assert.deepEqual(calls.cuts, []);
  });

  test("ended between its look-up and its beginning, it ends all the same", async (t) => {
    const { agents, by, grants, token, grant, calls } = await opened(t);
    await agents.destroy(by, "a");
    await eventually(async () => (await grants.resolve(token)) === "unknown_token");
    await eventually(() => calls.cuts.length === 2, 1_000);
    calls.begin("late", grant);
    await eventually(() => calls.reasons("late").length === 1, 2_000);
  });

  test("ended while the store is away: found out when it is back, not 30 s later", async (t) => {
    const { agents, by, gate, clock, calls, pool } = await opened(t);
    await gate.set("refuse");
    await agents.destroy(by, "a");
    await eventually(() => pool.failed() > 0);
    assert.deepEqual(calls.cuts, []);
    await gate.set("open");
    await eventually(() => {
      if (calls.cuts.length === 0) clock.advance(10);
      return calls.cuts.length === 2;
    });
    assert.ok(clock.monotonicMs() < 30_000);
  });

  test("after a gap in the notifications all are confirmed at once, each token by one query", async (t) => {
    const clock = createManualClock();
    const { agents, workspaceId, openGrants, database } = await createHouse(t, { clock });
    const by = actorIn(workspaceId);
    const gate = await createTcpGate(database.proxyUrl);
    t.after(() => gate.close());
    const tokens: string[] = [];
    for (let i = 0; i < 40; i += 1) {
      tokens.push((await agents.deploy(by, { name: `a${i}` })).token);
    }
    const { grants, pool } = await openGrants({ changesUrl: gate.url });
    const calls = createCalls(grants);
    for (const [i, token] of tokens.entries()) {
      const grant = await grantOf(grants, token);
      const { leave } = calls.begin(`a${i}`, grant);
      calls.begin(`a${i}`, grant);
      if (i === 12) leave();
    }
    await gate.set("refuse");
    await agents.destroy(by, "a7");
    await agents.suspend(by, "a30");
    await twoTicks();
    assert.deepEqual(calls.cuts, []);
    await gate.set("open");
    await eventually(() => calls.cuts.length === 4, 3_000);
    assert.deepEqual(calls.reasons("a7"), ["unknown_token", "unknown_token"]);
    assert.deepEqual(calls.reasons("a30"), ["agent_suspended", "agent_suspended"]);
    await eventually(() => pool.count() > 81);
    await twoTicks();
    // 40 look-ups, 40 confirmations, why one is gone, and one or two records of what was cut.
    assert.ok([82, 83].includes(pool.count()), `${pool.count()} queries`);
  });

  test("one of very many is cut a moment later: no turn of the event loop is held up by all of them", async (t) => {
    const { agents, by, grant, calls } = await opened(t);
    for (let i = 0; i < 1_000; i += 1) calls.begin(`call ${i}`, grant);
    await agents.destroy(by, "a");
    await eventually(() => calls.cuts.length === 1_002, 1_000);
    const inATurn = new Map<number, number>();
    for (const { turn } of calls.cuts) inATurn.set(turn, (inATurn.get(turn) ?? 0) + 1);
    assert.ok(Math.max(...inATurn.values()) <= 200);
  });
});
