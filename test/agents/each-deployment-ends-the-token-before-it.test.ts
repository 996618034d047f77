import assert from "node:assert/strict";
import { test } from "node:test";
import { createAgents } from "../../src/agents/index.ts";
import { withOwner } from "../../src/db/connection.ts";
import { createPool } from "../../src/db/index.ts";
import { RequestError } from "../../src/errors.ts";
import { hashBearer, isProxyToken } from "../../src/ids.ts";
import { createHouse } from "../grants/house.ts";
import { actorIn } from "../support/actor.ts";

/** The hashes of all tokens in the database, hex. */
async function hashes(ownerUrl: string): Promise<string[]> {
  const rows = await withOwner(
    ownerUrl,
    (sql) => sql<{ hash: string }[]>`select encode(hash, 'hex') as hash from x3sproxy.proxy_tokens`,
  );
  return rows.map(({ hash }) => hash);
}

test("the new token's hash takes the place of the old one's", async (t) => {
  const { agents, database, workspaceId, openGrants } = await createHouse(t);
  const first = await agents.deploy(actorIn(workspaceId), { name: "a" });
  const second = await agents.deploy(actorIn(workspaceId), { name: "a" });
  assert.ok(isProxyToken(first.token) && isProxyToken(second.token));
  assert.notEqual(first.token, second.token);
  assert.equal(second.agent.id, first.agent.id);
  assert.equal(second.agent.deployment, 2);
  assert.deepEqual(await hashes(database.ownerUrl), [hashBearer(second.token)]);
  const { grants } = await openGrants();
  assert.equal(await grants.resolve(first.token), "unknown_token");
  assert.ok(typeof (await grants.resolve(second.token)) !== "string");
});

test("of twenty deployments at once, from two processes, exactly one token works", async (t) => {
  const { agents, clock, vault, database, workspaceId, openGrants } = await createHouse(t);
  const pool = createPool(database.controlUrl);
  t.after(() => pool.close());
  const others = createAgents({ pool, clock, vault });
  const deployed = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      (i % 2 === 0 ? agents : others).deploy(actorIn(workspaceId), { name: "a" }),
    ),
  );
  assert.deepEqual(
    deployed.map(({ agent }) => agent.deployment).sort((a, b) => a - b),
    Array.from({ length: 20 }, (_, i) => i + 1),
  );
  const { grants } = await openGrants();
  const found = await Promise.all(deployed.map(async ({ token }) => grants.resolve(token)));
  const working = deployed.filter((_, i) => typeof found[i] !== "string");
  assert.deepEqual(
    working.map(({ agent }) => agent.deployment),
    [20],
  );
  assert.equal((await hashes(database.ownerUrl)).length, 1);
});

test("deployments and destructions at once end in a whole state", async (t) => {
  const { agents, database, workspaceId, openGrants } = await createHouse(t);
  const tokens: string[] = [];
  await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      if (i % 2 === 0)
        tokens.push((await agents.deploy(actorIn(workspaceId), { name: "a" })).token);
      else {
        await agents.destroy(actorIn(workspaceId), "a").catch((error: unknown) => {
          assert.ok(error instanceof RequestError && error.code === "agent_not_found");
        });
      }
    }),
  );
  const left = await agents.list(workspaceId);
  const { grants } = await openGrants();
  const found = await Promise.all(tokens.map(async (token) => grants.resolve(token)));
  assert.equal(found.filter((each) => typeof each !== "string").length, left.length);
  assert.equal((await hashes(database.ownerUrl)).length, left.length);
});

test("destroying ends the agent and its token, once, and only in its own workspace", async (t) => {
  const { agents, database, workspaceId, addWorkspace } = await createHouse(t);
  const other = await addWorkspace("other");
  const { agent } = await agents.deploy(actorIn(workspaceId), { name: "a", ttlMs: 60_000 });
  const kept = await agents.deploy(actorIn(other), { name: "a" });
  assert.deepEqual(await agents.destroy(actorIn(workspaceId), "a"), agent);
  assert.deepEqual(await agents.list(workspaceId), []);
  assert.deepEqual(await agents.list(other), [kept.agent]);
  assert.deepEqual(await hashes(database.ownerUrl), [hashBearer(kept.token)]);
  await assert.rejects(agents.destroy(actorIn(workspaceId), "a"), {
    status: 404,
    code: "agent_not_found",
  });
});
