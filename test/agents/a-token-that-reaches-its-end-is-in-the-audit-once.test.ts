import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { actorIn } from "../support/actor.ts";
import { createHouse } from "../grants/house.ts";

async function open(t: TestContext) {
  const house = await createHouse(t);
  const by = actorIn(house.workspaceId);
  const asOwner = <T>(act: Parameters<typeof withOwner<T>>[1]) =>
    withOwner<T>(house.database.ownerUrl, act);
  const deploy = async (name: string): Promise<void> => {
    await house.agents.deploy(by, { name, ttlMs: 3_600_000 });
  };
  const expire = (name: string) =>
    asOwner(
      (sql) => sql`
        update x3sproxy.proxy_tokens t set expires_at = '2026-01-02T03:04:05.678Z'
        from x3sproxy.agents a where a.id = t.agent_id and a.name = ${name}`,
    );
  const events = (name: string) =>
    asOwner(async (sql) => {
      const rows = await sql<{ action: string; result: string; detail: string | null }[]>`
        select action, result, detail from x3sproxy.audit_events where target_name = ${name} order by id`;
      return rows.map(({ action, result, detail }) =>
        // What a deployment changed is another test's.
        [action, result, ...(result === "ttl" && detail !== null ? [detail] : [])].join(" "),
      );
    });
  return { ...house, by, asOwner, deploy, expire, events };
}

const ended = (deployment: number): string =>
  `token.expire ttl {"deployment":${deployment},"expiredAt":"2026-01-02T03:04:05.678Z"}`;

test("by time", async (t) => {
  const { expiredTokens, deploy, expire, events } = await open(t);
  await deploy("a");
  await deploy("b");
  assert.equal(await expiredTokens.record(), 0);
  await expire("a");
  assert.equal(await expiredTokens.record(), 1);
  assert.equal(await expiredTokens.record(), 0);
  assert.deepEqual(await events("a"), ["agent.deploy done", ended(1)]);
  assert.deepEqual(await events("b"), ["agent.deploy done"]);
});

test("found only when another deployment, or the agent's end, takes it away", async (t) => {
  const { agents, by, deploy, expire, events, expiredTokens } = await open(t);
  await deploy("a");
  await expire("a");
  await deploy("a");
  await expire("a");
  await agents.destroy(by, "a");
  assert.deepEqual(
    (await events("a")).toSorted(),
    ["agent.deploy done", "agent.deploy done", "agent.destroy done", ended(1), ended(2)].toSorted(),
  );
  await deploy("b");
  await expire("b");
  await expiredTokens.record();
  await agents.destroy(by, "b");
  assert.deepEqual(await events("b"), ["agent.deploy done", ended(1), "agent.destroy done"]);
});

test("one that ended since nobody used it has its event already", async (t) => {
  const { asOwner, deploy, events, expiredTokens, unusedTokens } = await open(t);
  await deploy("a");
  await asOwner((sql) => sql`update x3sproxy.workspaces set unused_days = 1`);
  await asOwner(
    (sql) => sql`update x3sproxy.proxy_tokens set created_at = now() - interval '2 days'`,
  );
  assert.equal(await unusedTokens.expire(), 1);
  assert.equal(await expiredTokens.record(), 0);
  assert.deepEqual(await events("a"), ["agent.deploy done", "token.expire unused"]);
});
