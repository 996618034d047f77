import assert from "node:assert/strict";
import { test } from "node:test";
import { createHouse } from "../grants/house.ts";
import { createManualClock } from "../grants/manual-clock.ts";
import { actorIn } from "../support/actor.ts";

const HOUR_MS = 3_600_000;

test("the first deployment has defaults", async (t) => {
  const { agents, workspaceId } = await createHouse(t);
  const { agent } = await agents.deploy(actorIn(workspaceId), { name: "a.b_c-1" });
  assert.equal(agent.name, "a.b_c-1");
  assert.equal(agent.environment, "production");
  assert.equal(agent.providers, null);
  assert.deepEqual(agent.allowedEndpoints, []);
  assert.equal(agent.deployment, 1);
  assert.equal(agent.expiresAt, null);
  assert.deepEqual(await agents.list(workspaceId), [agent]);
});

test("what is given is changed, what is left out stays, what is null goes back", async (t) => {
  const clock = createManualClock();
  const { agents, workspaceId } = await createHouse(t, { clock });
  const deploy = async (o: Partial<Parameters<typeof agents.deploy>[1]>) => {
    const { agent } = await agents.deploy(actorIn(workspaceId), { name: "a", ...o });
    assert.deepEqual(await agents.list(workspaceId), [agent]);
    const { environment, providers, allowedEndpoints, expiresAt } = agent;
    const ttlMs = expiresAt === null ? null : Date.parse(expiresAt) - clock.nowMs();
    return { environment, providers, allowedEndpoints, ttlMs };
  };
  const endpoint = "openai:realtime-client-secrets";
  const full = {
    environment: "staging",
    providers: ["openai", "groq"],
    allowedEndpoints: [endpoint],
    ttlMs: 12 * HOUR_MS,
  };
  assert.deepEqual(await deploy(full), full);
  clock.advance(HOUR_MS);
  assert.deepEqual(await deploy({}), full, "the life of its token counts from now");
  assert.deepEqual(await deploy({ environment: "test" }), { ...full, environment: "test" });
  assert.deepEqual(await deploy({ ...full, providers: [] }), { ...full, providers: [] });
  assert.deepEqual(await deploy({ providers: null }), { ...full, providers: null });
  assert.deepEqual(await deploy({ ttlMs: null, allowedEndpoints: [] }), {
    ...full,
    providers: null,
    allowedEndpoints: [],
    ttlMs: null,
  });
  assert.equal((await deploy({})).ttlMs, null);
});
