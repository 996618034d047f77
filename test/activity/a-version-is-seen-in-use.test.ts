import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { createActivityViews, type ActivityViews } from "../../src/activity/index.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { createPool } from "../../src/db/index.ts";
import { actorIn } from "../support/actor.ts";
import { ask } from "../support/attack.ts";
import { openWithUpstream, type DataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";

const OTHER_KEY = "sk-FAKE-second-key-0123456789-abcdefghij";

const PAGE = { after: undefined, limit: 100 };

async function open(t: TestContext) {
  const upstream = await createHttpUpstream((_request, response) => response.end("{}"));
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const pool = createPool(plane.database.controlUrl);
  t.after(() => pool.close());
  const [secret] = await plane.secrets.list(plane.workspaceId);
  return {
    plane,
    secretId: secret?.id ?? "",
    views: createActivityViews({ pool, clock: systemClock }),
    call: (token: string, path = "/openai/v1/models") =>
      ask(plane.port, [`GET ${path} HTTP/1.1`, `Authorization: Bearer ${token}`]),
  };
}

/** Which version is in use by whom, once it is so many requests. */
const useOf = (
  views: ActivityViews,
  { workspaceId }: DataPlane,
  secretId: string,
  requests: number,
) =>
  eventually(async () => {
    const use = await views.versionUse(workspaceId, secretId, null, PAGE);
    return use.reduce((sum, each) => sum + each.requests, 0) === requests && use;
  });

test("by which agents, since when, how often; after a rotation the new one", async (t) => {
  const { plane, views, call, secretId } = await open(t);
  const second = await plane.deploy("second");
  const startMs = Date.now();
  await call(plane.token);
  await call(plane.token);
  await call(second);
  const before = await useOf(views, plane, secretId, 3);
  assert.deepEqual(
    before.map(({ version, agent, requests }) => [version, agent, requests]).sort(),
    [
      [1, "agent", 2],
      [1, "second", 1],
    ],
  );
  for (const { firstUsedAt, lastUsedAt } of before) {
    assert.ok(Date.parse(firstUsedAt) >= startMs - 1000 && firstUsedAt <= lastUsedAt);
  }

  await plane.save("openai", OTHER_KEY);
  await eventually(async () => {
    await call(plane.token);
    return (await views.versionUse(plane.workspaceId, secretId, null, PAGE)).some(
      ({ version }) => version === 2,
    );
  });
  const [newest] = await views.versionUse(plane.workspaceId, secretId, null, PAGE);
  assert.deepEqual([newest?.version, newest?.agent], [2, "agent"]);
});

test("a request that was refused has used no key, and is activity of its agent", async (t) => {
  const { plane, views, call, secretId } = await open(t);
  await call(plane.token, "/mistral/v1/models"); // no key
  await call(plane.token, "/openai/v1/organization/admin_api_keys"); // not allowed
  await call(plane.token, "/nowhere/v1/models");
  const page = { after: undefined, limit: 10 };
  const rows = await eventually(async () => {
    const found = await views.list(plane.workspaceId, { agents: null }, page);
    return found.length === 3 && found;
  });
  assert.deepEqual(
    rows.map(({ agent, provider, refusals, requests }) => [agent, provider, refusals, requests]),
    [
      ["agent", "openai", 1, 1],
      ["agent", "mistral", 1, 1],
      ["agent", "", 1, 1],
    ],
  );
  assert.deepEqual(await views.versionUse(plane.workspaceId, secretId, null, PAGE), []);
});

test("a destroyed agent's use stays readable; one of its name that comes later begins anew", async (t) => {
  const { plane, views, call, secretId } = await open(t);
  await call(plane.token);
  await useOf(views, plane, secretId, 1);
  const by = actorIn(plane.workspaceId);
  await plane.agents.destroy(by, "agent");
  assert.equal((await views.agentUse(plane.workspaceId, ["agent"])).get("agent"), undefined);
  await plane.deploy("agent");
  const use = (await views.agentUse(plane.workspaceId, ["agent"])).get("agent");
  assert.deepEqual([use?.lastUsedAt, use?.providersUsed], [null, []]);
  assert.equal((await views.versionUse(plane.workspaceId, secretId, null, PAGE)).length, 1);
  const page = { after: undefined, limit: 10 };
  const [row] = await views.list(plane.workspaceId, { agents: null }, page);
  assert.deepEqual([row?.agent, row?.requests], ["agent", 1]);
});
