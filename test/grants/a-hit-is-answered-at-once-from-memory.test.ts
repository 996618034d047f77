import assert from "node:assert/strict";
import { test } from "node:test";
import { newBearer, PROXY_TOKEN_PREFIX } from "../../src/ids.ts";
import { createHouse } from "./house.ts";
import { createManualClock } from "./manual-clock.ts";
import { actorIn } from "../support/actor.ts";

test("the second call costs no query and no promise", async (t) => {
  const { agents, openGrants, workspaceId } = await createHouse(t, { clock: createManualClock() });
  const { token } = await agents.deploy(actorIn(workspaceId), { name: "a" });
  const { grants, pool } = await openGrants();
  const first = grants.resolve(token);
  assert.ok(first instanceof Promise);
  const grant = await first;
  for (let i = 0; i < 1_000; i += 1) assert.equal(grants.resolve(token), grant);
  assert.equal(pool.count(), 1);
});

test("a hundred calls at once cost one query", async (t) => {
  const { agents, openGrants, workspaceId } = await createHouse(t);
  const { token } = await agents.deploy(actorIn(workspaceId), { name: "a" });
  const { grants, pool } = await openGrants();
  const found = await Promise.all(Array.from({ length: 100 }, async () => grants.resolve(token)));
  assert.equal(new Set(found).size, 1);
  assert.equal(pool.count(), 1);
});

test("what does not look like a token never reaches the database", async (t) => {
  const { openGrants } = await createHouse(t);
  const { grants, pool } = await openGrants();
  const real = newBearer(PROXY_TOKEN_PREFIX);
  for (const bad of [
    "",
    "x3sproxy_",
    real.slice(1),
    `${real}a`,
    `${real}\n`,
    real.replace("_", "-"),
    "x3sproxy_' or 1=1 --aaaaaaaaaaaaaaaaaaa",
  ]) {
    assert.equal(grants.resolve(bad), "malformed_token");
  }
  assert.equal(pool.count(), 0);
  assert.equal(await grants.resolve(real), "unknown_token");
  assert.equal(grants.resolve(real), "unknown_token");
  assert.equal(pool.count(), 1);
});

test("a token ends when its time has come, remembered or not", async (t) => {
  const clock = createManualClock();
  const { agents, openGrants, workspaceId } = await createHouse(t, { clock });
  const { token } = await agents.deploy(actorIn(workspaceId), { name: "a", ttlMs: 60_000 });
  const { grants } = await openGrants();
  clock.advance(20_000);
  assert.ok(typeof (await grants.resolve(token)) !== "string");
  clock.advance(39_999);
  assert.ok(typeof grants.resolve(token) !== "string");
  clock.advance(1);
  assert.equal(grants.resolve(token), "expired_token");
  clock.advance(60_000);
  assert.equal(await grants.resolve(token), "expired_token");
});
