import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { actorIn } from "../support/actor.ts";
import { eventually } from "../support/eventually.ts";
import { createHouse } from "../grants/house.ts";
import { createManualClock } from "../grants/manual-clock.ts";

async function leased(t: TestContext, o: { redeployGraceMs?: number } = {}) {
  const clock = createManualClock();
  const house = await createHouse(t, { clock });
  const by = actorIn(house.workspaceId);
  const { token: deployed } = await house.agents.deploy(by, { name: "a" });
  const { lease, token } = await house.leases.take(by, "a");
  const opened = await house.openGrants(o);
  const rows = (query: string) =>
    withOwner(house.database.ownerUrl, async (sql) => [...(await sql.unsafe(query))]);
  return { ...house, ...opened, clock, by, deployed, lease, token, rows };
}

test("a lease works beside the deployment's token, for two minutes", async (t) => {
  const { grants, deployed, token, lease, clock } = await leased(t);
  assert.equal(Date.parse(lease.expiresAt) - clock.nowMs(), 120_000);
  for (const each of [deployed, token])
    assert.notEqual(typeof (await grants.resolve(each)), "string");
  clock.advance(119_999);
  assert.notEqual(typeof (await grants.resolve(token)), "string");
  clock.advance(1);
  assert.equal(await grants.resolve(token), "expired_token");
  assert.notEqual(typeof (await grants.resolve(deployed)), "string");
});

test("renewed in time it goes on, and neither it nor the deployment's token is looked up anew", async (t) => {
  const { grants, pool, leases, by, deployed, token, lease, clock } = await leased(t);
  for (const each of [deployed, token]) await grants.resolve(each);
  const asked = pool.count();
  clock.advance(30_000);
  const renewed = await leases.renew(by, "a", lease.id);
  assert.equal(Date.parse(renewed.expiresAt) - clock.nowMs(), 120_000);
  const other = await leases.take(by, "a");
  // What is announced after them has been heard when this one has.
  await leases.end(by, "a", other.lease.id);
  await eventually(() => grants.resolve(token) instanceof Promise);
  await grants.resolve(token);
  await grants.resolve(deployed);
  assert.equal(pool.count(), asked + 2, "for the lease that ended, and for nothing before it");
  clock.advance(100_000);
  assert.notEqual(typeof (await grants.resolve(token)), "string");
});

test("an open call lives on with its renewed lease, and ends with it", async (t) => {
  const { grants, leases, by, token, lease, clock } = await leased(t, { redeployGraceMs: 0 });
  const grant = await grants.resolve(token);
  assert.ok(typeof grant !== "string");
  let looks = 0;
  const cuts: string[] = [];
  grants.watchOpen((visit) => {
    looks++;
    if (cuts.length === 0) visit({ grant, cut: (reason) => cuts.push(reason) > 0 });
  });
  for (let i = 0; i < 5; i++) {
    clock.advance(30_000);
    await leases.renew(by, "a", lease.id);
    // It is confirmed, and looked at once more after that.
    const before = clock.monotonicMs();
    await eventually(async () => {
      const now = await grants.resolve(token);
      return typeof now !== "string" && before - now.loadedAtMs < 30_000;
    });
    const seen = looks;
    await eventually(() => looks > seen, 5_000);
    assert.deepEqual(cuts, [], `after ${i + 1} renewals`);
  }
  await leases.end(by, "a", lease.id);
  await eventually(() => cuts.length > 0, 2_000);
  assert.deepEqual(cuts, ["unknown_token"]);
});

test("a lapsed lease is not renewed; its row goes when the next one is taken, and is in the audit", async (t) => {
  const { leases, by, lease, clock, rows } = await leased(t);
  clock.advance(120_000);
  await assert.rejects(leases.renew(by, "a", lease.id), { code: "lease_not_found" });
  await leases.take(by, "a");
  assert.deepEqual(await rows(`select id from x3sproxy.proxy_tokens where id = '${lease.id}'`), []);
  const events = await rows(
    "select actor_kind, result from x3sproxy.audit_events where action = 'lease.end'",
  );
  assert.deepEqual(events, [{ actor_kind: "service", result: "lapsed" }]);
});

test("a redeployment and the agent's end take its leases along", async (t) => {
  const { grants, agents, leases, by, token, lease } = await leased(t);
  await agents.deploy(by, { name: "a" });
  await eventually(async () => (await grants.resolve(token)) === "unknown_token", 1_000);
  await assert.rejects(leases.renew(by, "a", lease.id), { code: "lease_not_found" });
  const second = await leases.take(by, "a");
  await grants.resolve(second.token);
  await agents.destroy(by, "a");
  await eventually(async () => (await grants.resolve(second.token)) === "unknown_token", 1_000);
});

test("what is shown of an agent is its deployment, whatever leases there are", async (t) => {
  const { agents, leases, by, workspaceId } = await leased(t);
  await leases.take(by, "a");
  const list = await agents.list(workspaceId);
  assert.deepEqual(
    list.map(({ name, expiresAt }) => [name, expiresAt]),
    [["a", null]],
  );
});

test("an agent has a hundred leases at most, asked for at once or not", async (t) => {
  const { leases, by, clock, rows } = await leased(t);
  const asked = await Promise.allSettled(Array.from({ length: 110 }, () => leases.take(by, "a")));
  const taken = asked.filter(({ status }) => status === "fulfilled");
  assert.equal(taken.length, 99, "and the one that was there");
  for (const each of asked) {
    if (each.status === "rejected") {
      assert.equal((each.reason as { code: string }).code, "too_many_leases");
    }
  }
  clock.advance(120_000);
  await leases.take(by, "a");
  const [live] = await rows(
    "select count(*)::int as count from x3sproxy.proxy_tokens where kind = 'lease'",
  );
  assert.deepEqual(live, { count: 1 });
});

test("of another agent, another workspace or one that is suspended there is none", async (t) => {
  const { agents, leases, by, lease, addWorkspace, rows } = await leased(t);
  await agents.deploy(by, { name: "b" });
  const stranger = actorIn(await addWorkspace("second"));
  await agents.deploy(stranger, { name: "a" });
  for (const [who, name] of [
    [by, "b"],
    [stranger, "a"],
  ] as const) {
    await assert.rejects(leases.renew(who, name, lease.id), { code: "lease_not_found" });
    await assert.rejects(leases.end(who, name, lease.id), { code: "lease_not_found" });
  }
  await leases.renew(by, "a", lease.id);
  await assert.rejects(leases.take(by, "nobody"), { code: "agent_not_found" });
  await rows("update x3sproxy.agents set suspended_at = now() where name = 'b'");
  await assert.rejects(leases.take(by, "b"), { code: "agent_suspended" });
});
