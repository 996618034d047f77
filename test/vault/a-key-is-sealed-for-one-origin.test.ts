import assert from "node:assert/strict";
import test from "node:test";
import { openSecrets } from "./database-fixture.ts";
import { actorIn } from "../support/actor.ts";

const production = { environment: "production", value: "FAKE-0123456789abcdef-wxyz" };

test("the provider's own origin, and no other that a caller names", async (t) => {
  const { secrets, workspaceId } = await openSecrets(t);
  const mistral = { ...production, provider: "mistral" };
  const own = await secrets.set(actorIn(workspaceId), mistral);
  assert.equal(own.origin, "https://api.mistral.ai");
  assert.equal(
    (await secrets.set(actorIn(workspaceId), { ...mistral, origin: "https://API.mistral.ai:443/" }))
      .version,
    2,
  );
  await assert.rejects(
    secrets.set(actorIn(workspaceId), { ...mistral, origin: "https://evil.example" }),
    {
      status: 422,
      code: "origin_fixed",
    },
  );
});

test("the operator's override goes before the provider's own", async (t) => {
  const { secrets, workspaceId } = await openSecrets(t, {
    originOverrides: new Map([
      ["mistral", "https://llm.example.com"],
      ["azure-openai", "https://azure.example.com"],
    ]),
  });
  for (const [provider, origin] of [
    ["mistral", "https://llm.example.com"],
    ["azure-openai", "https://azure.example.com"],
  ] as const) {
    assert.equal(
      (await secrets.set(actorIn(workspaceId), { ...production, provider })).origin,
      origin,
    );
  }
});

test("a customer's own origin, where each has one", async (t) => {
  const { secrets, workspaceId } = await openSecrets(t);
  const azure = { ...production, provider: "azure-openai" };
  const bedrock = { ...production, provider: "bedrock" };
  await assert.rejects(secrets.set(actorIn(workspaceId), azure), {
    status: 422,
    code: "origin_required",
  });
  const malformed = [
    "contoso.openai.azure.com",
    "https://contoso.openai.azure.com/openai",
    "https://contoso.openai.azure.com?x",
    "https://contoso.openai.azure.com#x",
    "https://u:p@contoso.openai.azure.com",
    "https://evil.example\\.openai.azure.com",
    "ftp://contoso.openai.azure.com",
    "",
  ];
  for (const origin of malformed) {
    await assert.rejects(
      secrets.set(actorIn(workspaceId), { ...azure, origin }),
      { status: 422, code: "origin_malformed" },
      origin,
    );
  }
  const foreign = [
    "https://evil.example",
    "https://contoso.openai.azure.com.evil.example",
    "http://contoso.openai.azure.com",
    "https://bedrock-runtime.us-east-1.amazonaws.com",
  ];
  for (const origin of foreign) {
    await assert.rejects(
      secrets.set(actorIn(workspaceId), { ...azure, origin }),
      { status: 422, code: "origin_of_other_provider" },
      origin,
    );
  }
  const saved = await secrets.set(actorIn(workspaceId), {
    ...azure,
    origin: "https://Contoso.openai.azure.com/",
  });
  assert.equal(saved.origin, "https://contoso.openai.azure.com");
  const region = "https://bedrock-runtime.eu-central-1.amazonaws.com";
  assert.equal(
    (await secrets.set(actorIn(workspaceId), { ...bedrock, origin: region })).origin,
    region,
  );
});

test("the origin of a custom provider of this workspace only", async (t) => {
  const { secrets, workspaceId, addWorkspace, owner } = await openSecrets(t);
  const other = await addWorkspace("second");
  await owner`
    insert into x3sproxy.providers (workspace_id, name, origin, header, scheme)
    values (${workspaceId}, 'house-llm', 'https://llm.example.com:8443', 'authorization', 'Bearer')`;
  const own = { ...production, provider: "house-llm" };
  assert.equal(
    (await secrets.set(actorIn(workspaceId), own)).origin,
    "https://llm.example.com:8443",
  );
  await assert.rejects(secrets.set(actorIn(other), own), (error: Error) => {
    assert.match(error.message, /anthropic, openai/);
    assert.doesNotMatch(error.message, /house-llm/);
    return "code" in error && error.code === "provider_unknown";
  });
  await assert.rejects(secrets.set(actorIn(workspaceId), { ...production, provider: "home-llm" }), {
    status: 404,
    message: /anthropic.*house-llm/,
  });
});

test("never one that may not be called", async (t) => {
  const asked: string[] = [];
  const { secrets, workspaceId, owner } = await openSecrets(t, {
    originOverrides: new Map([["mistral", "http://127.0.0.1:9"]]),
    originProblem: (origin) => {
      asked.push(origin);
      return origin.startsWith("http:") ? "Plain http is not allowed." : undefined;
    },
  });
  await assert.rejects(secrets.set(actorIn(workspaceId), { ...production, provider: "mistral" }), {
    status: 422,
    code: "origin_refused",
    message: "Plain http is not allowed.",
  });
  assert.deepEqual(asked, ["http://127.0.0.1:9"]);
  assert.deepEqual([...(await owner`select * from x3sproxy.secrets`)], []);
});
