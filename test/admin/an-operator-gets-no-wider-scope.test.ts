// Whoever may not widen a scope gets no wider one: not in another environment, not by destroying an agent and making it anew, not by
// making another one than the workspace gives.
import assert from "node:assert/strict";
import { it, type TestContext } from "node:test";
import { openAdmin, type Answer } from "./fixture.ts";
import { assertRefused, openPeople } from "./people.ts";

const SCOPE = {
  environment: "staging",
  providers: ["anthropic", "openai"],
  rules: ["* /openai/**", "!* /openai/v1/files/**"],
  addresses: ["10.0.0.0/8"],
  models: ["gpt-*"],
  scopeExpiresAt: "2100-01-01T00:00:00.000Z",
  limits: { requestsPerMinute: 60, openStreams: null, bytesPerMinute: null },
};
const NEW = "/api/v1/workspace/new-agents";

async function open(t: TestContext) {
  const admin = await openAdmin(t);
  const { call, addKey } = admin;
  const operator = await addKey("operator");
  const deploy = (name: string, body: object = {}, key = operator) =>
    call("POST", `/api/v1/agents/${name}/deployments`, body, key);
  const destroy = (name: string, key = operator) =>
    call("DELETE", `/api/v1/agents/${name}`, undefined, key);
  return { ...admin, operator, adminKey: await addKey("admin"), deploy, destroy };
}

function scopeIn(answer: Answer): Record<string, unknown> {
  const agent = answer.body["agent"] as Record<string, unknown> | undefined;
  assert.ok(agent !== undefined, answer.text);
  return Object.fromEntries(Object.keys(SCOPE).map((name) => [name, agent[name]]));
}

it("by deploying into another environment", async (t) => {
  const { deploy, adminKey, call } = await open(t);
  assert.equal((await deploy("coder", SCOPE, adminKey)).status, 201);
  assertRefused(await deploy("coder", { environment: "production" }), 403, "role_too_low");
  assert.deepEqual(scopeIn(await deploy("coder", { environment: "staging" })), SCOPE);
  assert.deepEqual(scopeIn(await deploy("coder")), SCOPE);
  // An admin moves it, with the token that it has or with a new one.
  const moved = await deploy("coder", { environment: "production" }, adminKey);
  assert.equal(scopeIn(moved)["environment"], "production");
  const back = await call(
    "PATCH",
    "/api/v1/agents/coder/scope",
    { environment: "staging" },
    adminKey,
  );
  assert.deepEqual(scopeIn(back), SCOPE);
});

it("by destroying an agent and making it anew, once or again", async (t) => {
  const { deploy, destroy, adminKey } = await open(t);
  await deploy("coder", SCOPE, adminKey);
  for (const destroyer of [undefined, adminKey]) {
    assert.equal((await destroy("coder", destroyer)).status, 200);
    for (const wider of [
      { environment: "production" },
      { providers: null },
      { rules: null },
      { rules: ["* /openai/**"] },
      { addresses: ["0.0.0.0/0"] },
      { models: ["*"] },
      { scopeExpiresAt: null },
      { limits: { requestsPerMinute: null } },
      { allowedEndpoints: ["openai:vaults"] },
    ]) {
      assertRefused(await deploy("coder", wider), 403, "role_too_low");
    }
    assert.deepEqual(scopeIn(await deploy("coder")), SCOPE);
  }
  // It may have less, and then has no more than that.
  await destroy("coder");
  const less = { providers: ["openai"], rules: ["POST /openai/v1/responses"], models: ["gpt-5"] };
  assert.deepEqual(scopeIn(await deploy("coder", less)), { ...SCOPE, ...less });
  await destroy("coder");
  assertRefused(await deploy("coder", SCOPE), 403, "role_too_low");
  // An admin is not held to what was, and what an admin made counts from then on.
  assert.equal(scopeIn(await deploy("coder", {}, adminKey))["providers"], null);
  await destroy("coder");
  assert.equal(scopeIn(await deploy("coder"))["providers"], null);
});

it("by whichever of many deployments at once makes it anew", async (t) => {
  const { deploy, destroy, adminKey } = await open(t);
  await deploy("coder", SCOPE, adminKey);
  const answers = await Promise.all(
    Array.from({ length: 24 }, (_, n) => {
      if (n % 3 === 0) return destroy("coder");
      return deploy("coder", n % 3 === 1 ? { environment: "production", providers: null } : {});
    }),
  );
  const made = answers.filter(({ status }) => status === 201);
  assert.ok(made.length > 0);
  for (const answer of made) assert.deepEqual(scopeIn(answer), SCOPE);
  for (const { status, text } of answers) assert.ok([200, 201, 403, 404].includes(status), text);
});

it("by making another agent than the workspace gives", async (t) => {
  const { deploy, destroy, call, adminKey, operator } = await open(t);
  const set = (body: object, key = adminKey) => call("PATCH", NEW, body, key);
  assertRefused(await set({ providers: null }, operator), 403, "role_too_low");
  const unlimited = await call("GET", NEW, undefined, operator);
  assert.deepEqual(unlimited.body["newAgents"], {
    ...{ environments: null, providers: null, rules: null, addresses: null, models: null },
    limits: { requestsPerMinute: null, openStreams: null, bytesPerMinute: null },
  });
  assert.equal(scopeIn(await deploy("before"))["environment"], "production");
  const { providers, rules, addresses, models, limits } = SCOPE;
  const environments = ["staging", "tests"];
  const given = { environments, providers, rules, addresses, models, limits };
  assert.deepEqual((await set(given)).body["newAgents"], given);

  // What is not said is as the workspace says; what is said has to fit.
  const whole = { ...SCOPE, scopeExpiresAt: null };
  assert.deepEqual(scopeIn(await deploy("one")), whole);
  assert.deepEqual(scopeIn(await deploy("as-admin", {}, adminKey)), whole);
  const less = { environment: "tests", limits: { requestsPerMinute: 6 } };
  assert.equal((await deploy("two", less)).status, 201);
  for (const more of [
    { environment: "production" },
    { providers: null },
    { rules: ["POST /openai/v1/files/x"] },
    { models: null },
    { limits: { requestsPerMinute: 61 } },
    { allowedEndpoints: ["openai:vaults"] },
  ]) {
    assertRefused(await deploy("three", more), 403, "role_too_low");
    assert.equal((await deploy("three", more, adminKey)).status, 201);
    assert.equal((await destroy("three", adminKey)).status, 200);
  }
  // What was there stays; made anew it fits both.
  assert.equal(scopeIn(await deploy("before"))["providers"], null);
  await destroy("before");
  assertRefused(await deploy("before"), 403, "role_too_low");
  await destroy("one");
  await set({ models: ["gpt-5"], environments: null });
  assert.deepEqual(scopeIn(await deploy("one")), { ...whole, models: ["gpt-5"] });

  const { body } = await call("GET", "/api/v1/audit");
  const actions = (body["events"] as { action: string }[]).map(({ action }) => action);
  assert.equal(actions.filter((action) => action === "workspace.change").length, 2);
});

it("when an environment gets another name", async (t) => {
  const { deploy, destroy, call, adminKey } = await open(t);
  await deploy("coder", SCOPE, adminKey);
  await deploy("other", { environment: "staging" }, adminKey);
  await destroy("coder");
  await call("PATCH", NEW, { environments: ["staging", "qa"] }, adminKey);
  const renamed = await call("PATCH", "/api/v1/environments/staging", { name: "qa" }, adminKey);
  assert.equal(renamed.status, 200, renamed.text);
  const { newAgents } = (await call("GET", NEW)).body as { newAgents: { environments: unknown } };
  assert.deepEqual(newAgents.environments, ["qa"]);
  assert.equal(scopeIn(await deploy("coder"))["environment"], "qa");
  assertRefused(await deploy("new", { environment: "staging" }), 403, "role_too_low");
});

it("what a destroyed agent had is remembered for a year, and no row stays for ever", async (t) => {
  const { deploy, destroy, adminKey, owner } = await open(t);
  const remembered = () => owner`select agent from x3sproxy.new_agent_scopes order by agent`;
  for (const name of ["old", "young", "back"]) await deploy(name, SCOPE, adminKey);
  for (const name of ["old", "young", "back"]) await destroy(name);
  await owner`
    update x3sproxy.new_agent_scopes set set_at = now() - case agent when 'old' then 366 else 364 end * interval '1 day'`;
  await deploy("back");
  assert.deepEqual(
    (await remembered()).map(({ agent }) => agent as string),
    ["old", "young"],
  );
  await destroy("back");
  assert.deepEqual(
    (await remembered()).map(({ agent }) => agent as string),
    ["back", "young"],
  );
});

it("what is wrong with new agents' scope is said, and changes nothing", async (t) => {
  const { call, adminKey } = await open(t);
  for (const [body, code] of [
    [{ environments: [] }, "invalid_request"],
    [{ environments: ["Not One"] }, "invalid_request"],
    [{ rules: ["POST openai/v1"] }, "rule_invalid"],
    [{ providers: ["no-such"] }, "provider_unknown"],
    [{ allowedEndpoints: [] }, "invalid_request"],
    [{ limits: { requestsPerMinute: 0 } }, "invalid_request"],
  ] as const) {
    assertRefused(await call("PATCH", NEW, body, adminKey), 422, code);
  }
});

it("a session needs a proof for each of these, an operator's own agents none", async (t) => {
  const { join, ageProofs } = await openPeople(t);
  const { browser } = await join("admin@example.test", "admin");
  const deploy = (name: string, body: object) =>
    browser.call("POST", `/agents/${name}/deployments`, body);
  assert.equal((await deploy("coder", SCOPE)).status, 201);
  await ageProofs("1 hour");
  for (const body of [
    { environment: "production" },
    { providers: ["openai"] },
    { limits: { requestsPerMinute: 61 } },
  ]) {
    assertRefused(await deploy("coder", body), 403, "proof_needed");
    assertRefused(await browser.call("PATCH", "/agents/coder/scope", body), 403, "proof_needed");
  }
  assertRefused(await deploy("new", { allowedEndpoints: ["openai:vaults"] }), 403, "proof_needed");
  assertRefused(
    await browser.call("PATCH", "/workspace/new-agents", { models: ["gpt-5"] }),
    403,
    "proof_needed",
  );
  // The same as it was, and what every new agent gets, is no change.
  assert.equal((await deploy("coder", SCOPE)).status, 201);
  assert.equal((await deploy("new", { providers: ["openai"] })).status, 201);
});
