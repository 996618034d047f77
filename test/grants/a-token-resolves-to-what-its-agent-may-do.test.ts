import assert from "node:assert/strict";
import { test } from "node:test";
import { hashBearer } from "../../src/ids.ts";
import { createHouse, FAKE_KEY } from "./house.ts";
import { actorIn } from "../support/actor.ts";

test("a grant holds the agent's scope and the secrets of its environment", async (t) => {
  const { agents, secrets, customProviders, openGrants, workspaceId, vault } = await createHouse(t);
  await customProviders.put(actorIn(workspaceId), {
    name: "in-house",
    origin: "https://LLM.example.com:443",
    header: "X-Key",
    scheme: "",
  });
  await secrets.set(actorIn(workspaceId), {
    provider: "openai",
    environment: "staging",
    value: FAKE_KEY,
  });
  await secrets.set(actorIn(workspaceId), {
    provider: "groq",
    environment: "production",
    value: FAKE_KEY,
  });
  const { agent, token } = await agents.deploy(actorIn(workspaceId), {
    name: "coder",
    environment: "staging",
    providers: ["openai", "in-house"],
    allowedEndpoints: ["openai:realtime-client-secrets"],
    ttlMs: 3_600_000,
  });
  const { grants } = await openGrants();
  const grant = await grants.resolve(token);
  assert.ok(typeof grant !== "string");
  assert.equal(grant.tokenHash, hashBearer(token));
  assert.equal(grant.workspaceId, workspaceId);
  assert.equal(grant.agentId, agent.id);
  assert.equal(grant.agentName, "coder");
  assert.equal(grant.environment, "staging");
  assert.equal(grant.deployment, 1);
  assert.equal(grant.expiresAtMs, Date.parse(agent.expiresAt ?? ""));
  assert.deepEqual([...(grant.scope.providers ?? [])], ["openai", "in-house"]);
  assert.deepEqual([...grant.scope.allowedEndpoints], ["openai:realtime-client-secrets"]);
  assert.deepEqual(
    [...grant.customProviders.values()],
    [
      {
        name: "in-house",
        origin: "https://llm.example.com",
        credential: { header: "x-key", scheme: "" },
      },
    ],
  );
  assert.deepEqual([...grant.secrets.keys()], ["openai"]);
  const held = grant.secrets.get("openai") ?? assert.fail();
  const headers: string[] = [];
  vault.inject(held.release(), "https://api.openai.com").applyTo(headers);
  assert.deepEqual(headers, ["authorization", `Bearer ${FAKE_KEY}`]);
});

test("a secret of a provider outside the scope never reaches the data plane", async (t) => {
  const { agents, secrets, openGrants, workspaceId } = await createHouse(t);
  for (const provider of ["openai", "groq"]) {
    await secrets.set(actorIn(workspaceId), {
      provider,
      environment: "production",
      value: FAKE_KEY,
    });
  }
  const { grants } = await openGrants();
  const names = async (providers: string[] | null) => {
    const { token } = await agents.deploy(actorIn(workspaceId), { name: "a", providers });
    const grant = await grants.resolve(token);
    assert.ok(typeof grant !== "string");
    return [...grant.secrets.keys()].sort();
  };
  assert.deepEqual(await names(["groq"]), ["groq"]);
  assert.deepEqual(await names(null), ["groq", "openai"]);
  assert.deepEqual(await names([]), []);
});
