// Promise 3: within a second while notifications flow, within a minute whatever happens.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { createHouse, FAKE_KEY } from "./house.ts";
import { createManualClock } from "./manual-clock.ts";
import { actorIn } from "../support/actor.ts";

test("within a second while notifications flow, in every process", async (t) => {
  const { agents, openGrants, workspaceId } = await createHouse(t);
  const planes = await Promise.all([openGrants(), openGrants(), openGrants()]);
  for (const end of ["destroy", "redeploy"]) {
    const { token } = await agents.deploy(actorIn(workspaceId), { name: "a" });
    for (const { grants } of planes) assert.ok(typeof (await grants.resolve(token)) !== "string");
    if (end === "destroy") await agents.destroy(actorIn(workspaceId), "a");
    else await agents.deploy(actorIn(workspaceId), { name: "a" });
    const revokedMs = performance.now();
    for (const { grants } of planes) {
      await eventually(async () => (await grants.resolve(token)) === "unknown_token", 1_000);
    }
    assert.ok(performance.now() - revokedMs < 1_000);
  }
});

test("the token of a new deployment works at once", async (t) => {
  const { agents, openGrants, workspaceId } = await createHouse(t);
  const { grants } = await openGrants();
  for (let i = 1; i <= 5; i += 1) {
    const { token } = await agents.deploy(actorIn(workspaceId), { name: "a" });
    const grant = await grants.resolve(token);
    assert.ok(typeof grant !== "string");
    assert.equal(grant.deployment, i);
  }
});

test("a replaced key is replaced within a second, a narrowed scope narrows", async (t) => {
  const { agents, secrets, customProviders, openGrants, workspaceId } = await createHouse(t);
  const put = (value: string) =>
    secrets.set(actorIn(workspaceId), { provider: "openai", environment: "production", value });
  await put(FAKE_KEY);
  const { token } = await agents.deploy(actorIn(workspaceId), { name: "a" });
  const { grants } = await openGrants();
  const granted = async () => {
    const grant = await grants.resolve(token);
    assert.ok(typeof grant !== "string");
    return grant;
  };
  assert.equal((await granted()).secrets.get("openai")?.version, 1);
  const { id } = await put(`${FAKE_KEY}-2`);
  await eventually(async () => (await granted()).secrets.get("openai")?.version === 2, 1_000);
  await secrets.rollback(actorIn(workspaceId), id);
  await eventually(async () => (await granted()).secrets.get("openai")?.version === 1, 1_000);
  await secrets.delete(actorIn(workspaceId), id);
  await eventually(async () => !(await granted()).secrets.has("openai"), 1_000);
  const custom = { name: "own", origin: "https://a.example", header: "x-key", scheme: "" };
  await customProviders.put(actorIn(workspaceId), custom);
  await eventually(async () => (await granted()).customProviders.has("own"), 1_000);
  await customProviders.delete(actorIn(workspaceId), "own");
  await eventually(async () => !(await granted()).customProviders.has("own"), 1_000);
});

test("within a minute when notifications never come", async (t) => {
  const elsewhere = await createTestDatabase();
  t.after(() => elsewhere.drop());
  const clock = createManualClock();
  const { agents, openGrants, workspaceId } = await createHouse(t, { clock });
  const { grants } = await openGrants({ changesUrl: elsewhere.proxyUrl });
  const { token } = await agents.deploy(actorIn(workspaceId), { name: "a" });
  const before = clock.monotonicMs();
  assert.ok(typeof (await grants.resolve(token)) !== "string");
  await agents.destroy(actorIn(workspaceId), "a");
  clock.advance(44_999);
  assert.ok(typeof grants.resolve(token) !== "string", "nothing was heard");
  clock.advance(15_001);
  assert.equal(clock.monotonicMs() - before, 60_000);
  assert.equal(await grants.resolve(token), "unknown_token");
});

test("a busy token that was revoked unheard is found out by the refresh already", async (t) => {
  const elsewhere = await createTestDatabase();
  t.after(() => elsewhere.drop());
  const clock = createManualClock();
  const { agents, openGrants, workspaceId } = await createHouse(t, { clock });
  const { grants } = await openGrants({ changesUrl: elsewhere.proxyUrl });
  const { token } = await agents.deploy(actorIn(workspaceId), { name: "a" });
  await grants.resolve(token);
  await agents.destroy(actorIn(workspaceId), "a");
  clock.advance(45_000);
  assert.ok(typeof grants.resolve(token) !== "string");
  await eventually(() => grants.resolve(token) === "unknown_token");
});
