import assert from "node:assert/strict";
import { it } from "node:test";
import { createActivityViews } from "../../src/activity/index.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { createPool } from "../../src/db/index.ts";
import { insertMinute } from "../support/activity.ts";
import { FAKE_KEY, openAdmin, stringAt } from "./fixture.ts";

it("neither its minutes nor its agents' and keys' use reach another workspace", async (t) => {
  const { call, owner, workspaceId, addKey, addWorkspace } = await openAdmin(t);
  const other = await addWorkspace("elsewhere");
  const stranger = await addKey("owner", other);
  const nowMs = Date.now();
  await insertMinute(owner, {
    workspaceId,
    agent: "coder",
    atMs: nowMs,
    requests: 3,
    refusals: 30,
  });
  await insertMinute(owner, { workspaceId: other, agent: "theirs", atMs: nowMs, requests: 5 });
  const secret = await call("PUT", "/api/v1/secrets", { provider: "openai", value: FAKE_KEY });
  const id = stringAt(secret, "secret", "id");
  const agent = await call("POST", "/api/v1/agents/coder/deployments", {});
  await call("POST", "/api/v1/agents/coder/deployments", {}, stranger);
  await owner`insert into x3sproxy.activity_versions values (${workspaceId}, ${id}, 1, 'coder', now(), now(), 3)`;
  await owner`insert into x3sproxy.activity_agents values (${workspaceId}, ${stringAt(agent, "agent", "id")}, 'openai', 1, now())`;

  const as = async (key: string | undefined) => {
    const get = async (path: string) => (await call("GET", `/api/v1${path}`, undefined, key)).body;
    const overview = (await get("/overview"))["overview"] as Record<string, unknown>;
    return {
      totals: overview["totals"],
      byAgent: overview["byAgent"],
      attention: overview["attention"],
      agents: ((await get("/activity"))["activity"] as { agent: string }[]).map((it) => it.agent),
      use: await get(`/secrets/${id}/use`),
      coder: (await get("/agents/coder"))["agent"],
    };
  };
  const ours = await as(undefined);
  assert.partialDeepStrictEqual(ours, {
    totals: { requests: 3, refusals: 30 },
    byAgent: [{ agent: "coder" }],
    attention: [{ kind: "refusals_rising", subject: "coder" }],
    agents: ["coder"],
    use: { use: [{ version: 1, agent: "coder", requests: 3 }] },
    coder: { requests24h: 3, refusals24h: 30, providersUsed: ["openai"] },
  });
  const theirs = await as(stranger);
  assert.partialDeepStrictEqual(theirs, {
    totals: { requests: 5, refusals: 0 },
    byAgent: [{ agent: "theirs" }],
    agents: ["theirs"],
    use: { status: 404, code: "secret_not_found" },
    coder: { lastUsedAt: null, requests24h: 0, refusals24h: 0, providersUsed: [] },
  });
  assert.deepEqual([theirs.attention, theirs.agents], [[], ["theirs"]]);
});

it("a caller limited to some agents sees only those", async (t) => {
  const { database, owner, workspaceId } = await openAdmin(t);
  const pool = createPool(database.controlUrl);
  t.after(() => pool.close());
  const views = createActivityViews({ pool, clock: systemClock });
  for (const agent of ["mine", "other"]) {
    await insertMinute(owner, { workspaceId, agent, atMs: Date.now(), requests: 40, refusals: 40 });
    await owner`insert into x3sproxy.activity_versions values (${workspaceId}, ${workspaceId}, 1, ${agent}, now(), now(), 3)`;
  }
  const overview = await views.overview(workspaceId, 24, ["mine"]);
  assert.equal(overview.totals.requests, 40);
  assert.deepEqual(
    overview.byAgent.map(({ agent }) => agent),
    ["mine"],
  );
  assert.deepEqual(
    overview.attention.map(({ subject }) => subject),
    ["mine"],
  );
  const page = { after: undefined, limit: 100 };
  const rows = await views.list(workspaceId, { agents: ["mine"] }, page);
  assert.deepEqual(
    rows.map(({ agent }) => agent),
    ["mine"],
  );
  assert.equal(
    (await views.list(workspaceId, { agents: ["mine"], agent: "other" }, page)).length,
    0,
  );
  assert.equal(
    (await views.versionUse(workspaceId, workspaceId, ["mine"], { after: undefined, limit: 100 }))
      .length,
    1,
  );
  assert.equal((await views.overview(workspaceId, 24, [])).totals.requests, 0);
});
