import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { actorIn } from "../support/actor.ts";
import { eventually } from "../support/eventually.ts";
import { createHouse } from "../grants/house.ts";

/** An agent each, whose token was made and last used so many days ago. */
async function aged(
  t: TestContext,
  agents: Record<string, { made: number; used?: number; ttlMs?: number }>,
) {
  const house = await createHouse(t);
  const by = actorIn(house.workspaceId);
  const sql = (query: string) =>
    withOwner(house.database.ownerUrl, async (owner) => [...(await owner.unsafe(query))]);
  const tokens: Record<string, string> = {};
  for (const [name, { made, used, ttlMs }] of Object.entries(agents)) {
    const { token, agent } = await house.agents.deploy(by, { name, ttlMs });
    tokens[name] = token;
    await sql(`update x3sproxy.proxy_tokens set created_at = now() - interval '${made} days'
      where agent_id = '${agent.id}'`);
    if (used === undefined) continue;
    await sql(`insert into x3sproxy.activity_agents values
      ('${house.workspaceId}', '${agent.id}', 'openai', 1, now() - interval '${used} days')`);
  }
  const limit = (days: number | null) =>
    sql(`update x3sproxy.workspaces set unused_days = ${days ?? "null"}`);
  return { ...house, by, sql, tokens, limit };
}

test("those that nobody has used for as long as the workspace says end; others stay", async (t) => {
  const { unusedTokens, openGrants, tokens, limit, sql, agents, workspaceId } = await aged(t, {
    never: { made: 31 },
    "long-ago": { made: 300, used: 31 },
    lately: { made: 300, used: 29 },
    fresh: { made: 29 },
    redeployed: { made: 1, used: 31 },
  });
  const { grants } = await openGrants();
  const answers = async () => {
    const found = await Promise.all(
      Object.entries(tokens).map(
        async ([name, token]) => [name, await grants.resolve(token)] as const,
      ),
    );
    return Object.fromEntries(
      found.map(([name, it]) => [name, typeof it === "string" ? it : "good"]),
    );
  };
  assert.equal(await unusedTokens.expire(), 0, "without a limit none");
  await limit(30);
  await answers();
  assert.equal(await unusedTokens.expire(), 2);
  await eventually(async () => (await answers())["never"] === "expired_token", 1_000);
  assert.deepEqual(await answers(), {
    never: "expired_token",
    "long-ago": "expired_token",
    lately: "good",
    fresh: "good",
    redeployed: "good",
  });
  assert.equal(await unusedTokens.expire(), 0, "once");

  const events = await sql(`
    select actor_kind, target_kind, target_name, result,
      detail ~ '^{"expiresAt":"never → 2[0-9T:.-]{22}Z"}$' as told
    from x3sproxy.audit_events where action = 'token.expire' order by target_name`);
  const event = { actor_kind: "service", target_kind: "agent", result: "unused", told: true };
  assert.deepEqual(events, [
    { ...event, target_name: "long-ago" },
    { ...event, target_name: "never" },
  ]);
  const never = (await agents.list(workspaceId)).find(({ name }) => name === "never");
  assert.ok(never?.expiresAt != null && Date.parse(never.expiresAt) <= Date.now() + 1_000);
});

test("a redeployment has the life that was asked for, not what was left of it", async (t) => {
  const hourMs = 3_600_000;
  const { unusedTokens, agents, by, limit } = await aged(t, {
    ends: { made: 40, ttlMs: 100 * 24 * hourMs },
    endless: { made: 40 },
  });
  await limit(30);
  assert.equal(await unusedTokens.expire(), 2);
  const { agent: ends } = await agents.deploy(by, { name: "ends" });
  const lifeMs = Date.parse(ends.expiresAt ?? "") - Date.now();
  assert.ok(Math.abs(lifeMs - 100 * 24 * hourMs) < hourMs);
  assert.equal((await agents.deploy(by, { name: "endless" })).agent.expiresAt, null);
});

test("of several processes at once each token is ended by one", async (t) => {
  const agents = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`a${i}`, { made: 31 }]));
  const { unusedTokens, limit, sql } = await aged(t, agents);
  await limit(30);
  await Promise.all(Array.from({ length: 4 }, () => unusedTokens.expire()));
  const [events] = await sql(
    "select count(*)::int as count from x3sproxy.audit_events where action = 'token.expire'",
  );
  assert.deepEqual(events, { count: 20 });
});
