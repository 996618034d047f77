import assert from "node:assert/strict";
import { it } from "node:test";
import { openAdmin } from "./fixture.ts";
import { assertRefused } from "./people.ts";

const SCOPE = {
  providers: ["anthropic", "openai"],
  rules: ["POST /anthropic/v1/messages"],
  addresses: ["10.0.0.0/8"],
  models: ["claude-*"],
  scopeExpiresAt: "2100-01-01T00:00:00.000Z",
};

it("an operator chooses the scope of an agent that it makes, and keeps it from then on", async (t) => {
  const { call, addKey } = await openAdmin(t);
  const operator = await addKey("operator");
  const admin = await addKey("admin");
  const deploy = (body: object, key = operator) =>
    call("POST", "/api/v1/agents/coder/deployments", body, key);

  assertRefused(await deploy({ allowedEndpoints: ["openai:vaults"] }), 403, "role_too_low");
  const made = await deploy({ ...SCOPE, limits: { requestsPerMinute: 60 } });
  assert.equal(made.status, 201);
  for (const wider of [
    { providers: null },
    { rules: ["* /**"] },
    { rules: null },
    { addresses: null },
    { models: ["claude-*", "gpt-*"] },
    { scopeExpiresAt: null },
    { allowedEndpoints: ["openai:vaults"] },
    { limits: { requestsPerMinute: 61 } },
    { limits: { openStreams: 5 } },
  ]) {
    assertRefused(await deploy(wider), 403, "role_too_low");
  }
  assert.equal((await deploy({})).status, 201);
  // The same said again in another order and spelling is no change.
  const again = { ...SCOPE, providers: ["openai", "anthropic"], addresses: ["10.1.2.3/8"] };
  const same = await deploy(again);
  assert.equal(same.status, 201);
  const { deployment, ...agent } = same.body["agent"] as Record<string, unknown>;
  assert.equal(deployment, 3);
  for (const [name, value] of Object.entries(SCOPE).slice(1)) assert.deepEqual(agent[name], value);
  assertRefused(
    await call("PATCH", "/api/v1/agents/coder/scope", { rules: null }, operator),
    403,
    "role_too_low",
  );
  assert.equal((await deploy({ rules: null }, admin)).status, 201);
});

it("an admin changes it at once, without a new token, and the audit has it", async (t) => {
  const { call, apiKey, addKey } = await openAdmin(t);
  const admin = await addKey("admin");
  await call("POST", "/api/v1/agents/coder/deployments", { providers: ["openai"] }, apiKey);
  const change = (body: object) => call("PATCH", "/api/v1/agents/coder/scope", body, admin);
  const changed = await change({
    rules: ["post /openai/v1/Responses/"],
    limits: { openStreams: 3 },
  });
  assert.equal(changed.status, 200);
  const agent = changed.body["agent"] as Record<string, unknown>;
  assert.deepEqual(agent["rules"], ["POST /openai/v1/responses"]);
  assert.deepEqual(agent["providers"], ["openai"], "what is left out stays");
  assert.deepEqual(agent["limits"], {
    requestsPerMinute: null,
    openStreams: 3,
    bytesPerMinute: null,
  });
  assert.equal(agent["deployment"], 1);
  const { body } = await call("GET", "/api/v1/audit", undefined, apiKey);
  const [event] = body["events"] as Record<string, unknown>[];
  assert.equal(event?.["action"], "agent.scope");
  assert.deepEqual(JSON.parse(String(event["detail"])), {
    "limits.openStreams": "no limit → 3",
    rules: "no limit → POST /openai/v1/responses",
  });
});

it("what is wrong with a scope is said, and changes nothing", async (t) => {
  const { call, apiKey } = await openAdmin(t);
  await call("POST", "/api/v1/agents/coder/deployments", SCOPE, apiKey);
  for (const [body, code] of [
    [{ rules: ["POST openai/v1"] }, "rule_invalid"],
    [{ rules: ["* /**", "POST /openai/../x"] }, "rule_invalid"],
    [{ addresses: ["10.0.0.0/33"] }, "address_invalid"],
    [{ addresses: ["localhost"] }, "address_invalid"],
    [{ models: ["claude 5"] }, "model_invalid"],
    [{ providers: ["no-such"] }, "provider_unknown"],
    [{ allowedEndpoints: ["openai:no-such"] }, "endpoint_unknown"],
    [{ scopeExpiresAt: "tomorrow" }, "invalid_request"],
    [{ limits: { requestsPerMinute: 0 } }, "invalid_request"],
    [{ limits: { requestsPerSecond: 1 } }, "invalid_request"],
    [{ scope: {} }, "invalid_request"],
  ] as const) {
    assertRefused(await call("PATCH", "/api/v1/agents/coder/scope", body, apiKey), 422, code);
  }
  assertRefused(
    await call("PATCH", "/api/v1/agents/nobody/scope", { rules: [] }, apiKey),
    404,
    "agent_not_found",
  );
  const { body } = await call("GET", "/api/v1/agents/coder", undefined, apiKey);
  const agent = body["agent"] as Record<string, unknown>;
  for (const [name, value] of Object.entries(SCOPE)) assert.deepEqual(agent[name], value);
});

it("a rule for a provider that there isn't is refused, as it would do nothing", async (t) => {
  const { call, apiKey } = await openAdmin(t);
  const { rules } = SCOPE;
  await call("POST", "/api/v1/agents/coder/deployments", SCOPE, apiKey);
  const misspelt = { rules: ["* /**", "!* /opneai/v1/files/**"] };
  for (const [method, path] of [
    ["PATCH", "/agents/coder/scope"],
    ["POST", "/agents/coder/scope/dry-run"],
    ["POST", "/agents/coder/deployments"],
    ["PATCH", "/workspace/new-agents"],
  ] as const) {
    const answer = await call(method, `/api/v1${path}`, misspelt, apiKey);
    assertRefused(answer, 422, "rule_invalid");
    assert.match(String(answer.body["detail"]), /Did you mean openai\?/, path);
  }
  const { body } = await call("GET", "/api/v1/agents/coder", undefined, apiKey);
  assert.partialDeepStrictEqual(body, { agent: { rules } });
  await call("PUT", "/api/v1/providers/own", { origin: "https://api.example" }, apiKey);
  const good = { rules: ["* /own/**", "!GET /*/v1/files", "GET /open*/v1/models"] };
  const changed = await call("PATCH", "/api/v1/agents/coder/scope", good, apiKey);
  assert.equal(changed.status, 200, changed.text);
});
