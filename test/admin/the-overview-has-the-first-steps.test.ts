import assert from "node:assert/strict";
import { it } from "node:test";
import { FAKE_KEY, openAdmin, stringAt } from "./fixture.ts";

it("each first step is ticked as it is done: key, agent, first call", async (t) => {
  const { call, owner, workspaceId, addWorkspace, addKey } = await openAdmin(t);
  const steps = async (key?: string) => {
    const { body } = await call("GET", "/api/v1/overview", undefined, key);
    return (body["overview"] as { firstSteps: unknown }).firstSteps;
  };
  const other = await addKey("owner", await addWorkspace("elsewhere"));
  assert.deepEqual(await steps(), { key: false, agent: false, call: false });
  await call("PUT", "/api/v1/secrets", { provider: "openai", value: FAKE_KEY, skipTest: true });
  assert.deepEqual(await steps(), { key: true, agent: false, call: false });
  const deployed = await call("POST", "/api/v1/agents/coder/deployments", {});
  assert.deepEqual(await steps(), { key: true, agent: true, call: false });
  await owner`
    insert into x3sproxy.activity_agents
    values (${workspaceId}, ${stringAt(deployed, "agent", "id")}, 'openai', 1, now())`;
  assert.deepEqual(await steps(), { key: true, agent: true, call: true });
  assert.deepEqual(await steps(other), { key: false, agent: false, call: false });
});
