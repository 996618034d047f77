import assert from "node:assert/strict";
import { test } from "node:test";
import type { Grant } from "../../src/grants/index.ts";
import { createHouse, FAKE_KEY } from "./house.ts";
import { actorIn } from "../support/actor.ts";

test("scope first, then sensitive endpoints, then whether there is a secret", async (t) => {
  const { agents, secrets, openGrants, workspaceId } = await createHouse(t);
  await secrets.set(actorIn(workspaceId), {
    provider: "openai",
    environment: "production",
    value: FAKE_KEY,
  });
  const { grants } = await openGrants();
  const grantOf = async (o: {
    providers?: string[] | null;
    allowedEndpoints?: string[];
  }): Promise<Grant> => {
    const { token } = await agents.deploy(actorIn(workspaceId), { name: "a", ...o });
    const grant = await grants.resolve(token);
    assert.ok(typeof grant !== "string");
    return grant;
  };
  const decide = (grant: Grant, provider: string, sensitiveEndpoint: string | undefined) =>
    grants.decide(grant, { provider, method: "POST", path: "/v1/x", sensitiveEndpoint });
  const minting = "openai:realtime-client-secrets";

  const narrow = await grantOf({ providers: ["openai", "groq"] });
  assert.equal(decide(narrow, "openai", undefined), undefined);
  assert.equal(decide(narrow, "openai", minting), "sensitive_endpoint");
  assert.equal(decide(narrow, "groq", undefined), "no_secret");
  assert.equal(decide(narrow, "mistral", undefined), "provider_not_allowed");
  assert.equal(decide(narrow, "mistral", "mistral:x"), "provider_not_allowed");
  assert.equal(decide(narrow, "groq", "groq:x"), "sensitive_endpoint");

  const allowed = await grantOf({ allowedEndpoints: [minting] });
  assert.equal(decide(allowed, "openai", minting), undefined);
  assert.equal(decide(allowed, "openai", "openai:organization"), "sensitive_endpoint");

  const none = await grantOf({ providers: [] });
  assert.equal(decide(none, "openai", undefined), "provider_not_allowed");
  const all = await grantOf({ providers: null });
  assert.equal(decide(all, "openai", undefined), undefined);
  assert.equal(decide(all, "no-such-provider", undefined), "no_secret");
});
