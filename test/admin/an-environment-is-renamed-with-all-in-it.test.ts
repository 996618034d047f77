import assert from "node:assert/strict";
import { it } from "node:test";
import { FAKE_KEY, OTHER_FAKE_KEY } from "./fixture.ts";
import { assertRefused, openPeople } from "./people.ts";

const ANTHROPIC_KEY = "sk-ant-api03-FAKE-key-of-an-environment-0000";

it("agents and keys move together, and the two are counted", async (t) => {
  const { first, join, events } = await openPeople(t);
  const { browser: admin } = await join("admin@example.test", "admin");
  const { browser: viewer } = await join("viewer@example.test", "viewer");
  const { browser: limited } = await join("limited@example.test", "viewer", ["one"]);
  const secret = (provider: string, environment: string, value: string) =>
    first.call("PUT", "/secrets", { provider, environment, value });
  await secret("openai", "staging", FAKE_KEY);
  await secret("openai", "production", OTHER_FAKE_KEY);
  for (const name of ["one", "two"]) {
    await first.call("POST", `/agents/${name}/deployments`, { environment: "staging" });
  }
  const list = async (by = viewer) => (await by.call("GET", "/environments")).body["environments"];
  assert.deepEqual(await list(), [
    { name: "production", secrets: 1, agents: 0 },
    { name: "staging", secrets: 1, agents: 2 },
  ]);
  // Whoever is limited to agents is told of no others.
  assert.deepEqual(await list(limited), [
    { name: "production", secrets: 1, agents: 0 },
    { name: "staging", secrets: 1, agents: 1 },
  ]);

  const renamed = await admin.call("PATCH", "/environments/staging", { name: "test" });
  assert.deepEqual(renamed.body, { environment: { name: "test", secrets: 1, agents: 2 } });
  assert.deepEqual(await list(), [
    { name: "production", secrets: 1, agents: 0 },
    { name: "test", secrets: 1, agents: 2 },
  ]);
  const { agents } = (await viewer.call("GET", "/agents")).body;
  assert.partialDeepStrictEqual(agents, [{ environment: "test" }, { environment: "test" }]);
  const workspace = await viewer.call("GET", "/workspace");
  assert.partialDeepStrictEqual(workspace.body, {
    workspace: { environments: ["production", "test"] },
  });
  assert.partialDeepStrictEqual(await events("environment.rename"), [
    { actor_name: "admin@example.test", target_kind: "environment", target_name: "staging" },
  ]);
});

it("two become one only where no provider has a key in both", async (t) => {
  const { first, events } = await openPeople(t);
  const secret = (provider: string, environment: string, value: string) =>
    first.call("PUT", "/secrets", { provider, environment, value });
  await secret("openai", "staging", FAKE_KEY);
  await secret("openai", "production", OTHER_FAKE_KEY);
  await first.call("POST", "/agents/coder/deployments", { environment: "staging" });
  const before = (await first.call("GET", "/environments")).body;
  const rename = (from: string, name: unknown) =>
    first.call("PATCH", `/environments/${from}`, { name });
  assertRefused(await rename("staging", "production"), 409, "name_taken");
  assert.deepEqual((await first.call("GET", "/environments")).body, before);
  assert.equal((await events("environment.rename")).length, 0);

  await secret("anthropic", "spare", ANTHROPIC_KEY);
  assert.deepEqual((await rename("spare", "production")).body, {
    environment: { name: "production", secrets: 2, agents: 0 },
  });
  for (const name of ["", "Not A Name", null, "a".repeat(64)]) {
    assertRefused(await rename("staging", name), 422, "invalid_request");
  }
  for (const from of ["nowhere", "spare", "Not%20A%20Name", "a%2Fb"]) {
    assertRefused(await rename(from, "moved"), 404, "environment_not_found");
  }
});

it("it takes an admin of the same workspace who has proved it lately", async (t) => {
  const { first, join, ageProofs, addWorkspace, addKey, call } = await openPeople(t);
  const { browser: operator } = await join("operator@example.test", "operator");
  const { browser: auditor } = await join("auditor@example.test", "auditor");
  await first.call("POST", "/agents/coder/deployments", { environment: "staging" });
  const path = "/environments/staging";
  const body = { name: "moved" };
  assertRefused(await operator.call("PATCH", path, body), 403, "role_too_low");
  assertRefused(await auditor.call("GET", "/environments"), 403, "role_too_low");
  const stranger = await addKey("owner", await addWorkspace("elsewhere"));
  const theirs = await call("PATCH", `/api/v1${path}`, body, stranger);
  assertRefused(theirs, 404, "environment_not_found");
  await ageProofs("6 minutes");
  assertRefused(await first.call("PATCH", path, body), 403, "proof_needed");
  assert.deepEqual((await first.call("GET", "/environments")).body, {
    environments: [{ name: "staging", secrets: 0, agents: 1 }],
  });
  assert.equal((await call("PATCH", `/api/v1${path}`, body, await addKey("admin"))).status, 200);
});
