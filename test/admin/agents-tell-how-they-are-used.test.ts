import assert from "node:assert/strict";
import { it } from "node:test";
import { insertMinute } from "../support/activity.ts";
import { openAdmin, stringAt } from "./fixture.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

it("in the list and by name: last used, requests and refusals of a day, providers, whether it is idle", async (t) => {
  const { call, owner, workspaceId, clock } = await openAdmin(t);
  const deployed = await call("POST", "/api/v1/agents/coder/deployments", {});
  const agentId = stringAt(deployed, "agent", "id");
  assert.equal("idle" in (deployed.body["agent"] as object), false);
  const fresh = {
    ...{ lastUsedAt: null, requests24h: 0, refusals24h: 0, providersUsed: [], idle: false },
  };
  assert.partialDeepStrictEqual((await call("GET", "/api/v1/agents/coder")).body, {
    agent: { name: "coder", deployment: 1, ...fresh },
  });

  await owner`update x3sproxy.agents set created_at = now() - interval '9 days', deployed_at = now() - interval '9 days'`;
  const nowMs = clock.nowMs();
  const row = { workspaceId, agent: "coder" };
  await insertMinute(owner, { ...row, atMs: nowMs, requests: 4, refusals: 1 });
  await insertMinute(owner, { ...row, atMs: nowMs - 23 * HOUR_MS, provider: "groq", requests: 2 });
  await insertMinute(owner, { ...row, atMs: nowMs - 25 * HOUR_MS, requests: 50 });
  const used = new Date(nowMs - HOUR_MS);
  await owner`
    insert into x3sproxy.activity_agents values
      (${workspaceId}, ${agentId}, 'openai', 1, ${used}),
      (${workspaceId}, ${agentId}, 'groq', 1, ${new Date(nowMs - 2 * DAY_MS)}),
      (${workspaceId}, ${agentId}, '', 1, ${new Date(nowMs - 3 * DAY_MS)})`;
  const use = {
    ...{ lastUsedAt: used.toISOString(), requests24h: 6, refusals24h: 1 },
    ...{ providersUsed: ["groq", "openai"], idle: false },
  };
  const one = await call("GET", "/api/v1/agents/coder");
  assert.partialDeepStrictEqual(one.body, { agent: { id: agentId, ...use } });
  assert.deepEqual((await call("GET", "/api/v1/agents")).body["agents"], [one.body["agent"]]);

  clock.advance(14 * DAY_MS);
  assert.partialDeepStrictEqual((await call("GET", "/api/v1/agents/coder")).body, {
    agent: { ...use, requests24h: 0, refusals24h: 0, idle: true },
  });
});

it("what is no agent's name, or nobody's, is not found", async (t) => {
  const { call } = await openAdmin(t);
  for (const name of ["nobody", "NOT-A-NAME", "a%20b"]) {
    const { status, body } = await call("GET", `/api/v1/agents/${name}`);
    assert.deepEqual([status, body["code"]], [404, "agent_not_found"], name);
  }
});
