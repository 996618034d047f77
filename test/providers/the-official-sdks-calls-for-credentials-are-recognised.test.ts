import assert from "node:assert/strict";
import test from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import OpenAI from "openai";
import { sensitiveEndpoint } from "../../src/providers/index.ts";

// The SDKs know the true paths: call them, catch what they would send, and look that up.
interface Caught {
  method: string;
  path: string;
}

function catching(): { caught: Caught[]; fetch: typeof fetch } {
  const caught: Caught[] = [];
  const respond: typeof fetch = (input, init) => {
    const request = new Request(input, init);
    const path = new URL(request.url).pathname;
    caught.push({ method: request.method, path: decodeURIComponent(path).toLowerCase() });
    return Promise.resolve(Response.json({ data: [], id: "x", value: "x" }));
  };
  return { caught, fetch: respond };
}

async function endpointOf(
  provider: string,
  caught: Caught[],
  call: () => Promise<unknown>,
): Promise<string | undefined> {
  caught.length = 0;
  await call();
  const [first] = caught;
  assert.ok(first, "the SDK sent nothing");
  return sensitiveEndpoint(provider, first.method, first.path);
}

test("openai", async () => {
  const { caught, fetch } = catching();
  const keys = { apiKey: "sk-FAKE", adminAPIKey: "sk-admin-FAKE" };
  const client = new OpenAI({ ...keys, fetch, maxRetries: 0 });
  const { organization } = client.admin;
  const sensitive: [string, () => Promise<unknown>][] = [
    ["realtime-client-secrets", async () => client.realtime.clientSecrets.create({})],
    [
      "chatkit-sessions",
      async () => client.beta.chatkit.sessions.create({ user: "u", workflow: { id: "w" } }),
    ],
    ["organization-admin", async () => organization.adminAPIKeys.list()],
    ["organization-admin", async () => organization.projects.serviceAccounts.list("p")],
    ["organization-admin", async () => organization.projects.apiKeys.list("p")],
    ["organization-admin", async () => organization.invites.list()],
    ["vaults", async () => client.beta.agents.vaults.credentials.list("v")],
    ["webhook-secrets", async () => client.webhooks.rotateSecret("w")],
  ];
  for (const [name, call] of sensitive) {
    assert.equal(
      await endpointOf("openai", caught, call),
      `openai:${name}`,
      JSON.stringify(caught),
    );
  }
  const ordinary: (() => Promise<unknown>)[] = [
    async () => client.models.list(),
    async () => client.responses.create({ model: "m", input: "hi" }),
    async () =>
      client.chat.completions.create({ model: "m", messages: [{ role: "user", content: "hi" }] }),
    async () => client.embeddings.create({ model: "m", input: "hi" }),
    async () => client.webhooks.list(),
  ];
  for (const call of ordinary) {
    assert.equal(await endpointOf("openai", caught, call), undefined, JSON.stringify(caught));
  }
});

test("@anthropic-ai/sdk", async () => {
  const { caught, fetch } = catching();
  const client = new Anthropic({ apiKey: "sk-ant-api03-FAKE", fetch, maxRetries: 0 });
  const sensitive: [string, () => Promise<unknown>][] = [
    ["vaults", async () => client.beta.vaults.credentials.list("v")],
    ["tunnel-tokens", async () => client.beta.tunnels.revealToken("t")],
    ["tunnel-tokens", async () => client.beta.tunnels.rotateToken("t", {})],
    ["environment-work", async () => client.beta.environments.work.poll("e")],
    ["organization-admin", async () => client.beta.organization.apiKeys.list()],
    ["organization-admin", async () => client.beta.organization.invites.list()],
  ];
  for (const [name, call] of sensitive) {
    assert.equal(
      await endpointOf("anthropic", caught, call),
      `anthropic:${name}`,
      JSON.stringify(caught),
    );
  }
  const messages = [{ role: "user" as const, content: "hi" }];
  const ordinary: (() => Promise<unknown>)[] = [
    async () => client.models.list(),
    async () => client.messages.create({ model: "m", max_tokens: 9, messages }),
    async () => client.messages.countTokens({ model: "m", messages }),
    async () => client.beta.files.list(),
  ];
  for (const call of ordinary) {
    assert.equal(await endpointOf("anthropic", caught, call), undefined, JSON.stringify(caught));
  }
});

test("@google/genai", async (t) => {
  const { caught, fetch } = catching();
  t.mock.method(globalThis, "fetch", fetch);
  for (const apiVersion of ["v1alpha", "v1beta", "v1"]) {
    const client = new GoogleGenAI({ apiKey: "AIzaFAKE", httpOptions: { apiVersion } });
    assert.equal(
      await endpointOf("gemini", caught, async () => client.authTokens.create({ config: {} })),
      "gemini:auth-tokens",
      JSON.stringify(caught),
    );
    assert.equal(
      await endpointOf("gemini", caught, async () =>
        client.models.generateContent({ model: "m", contents: "hi" }),
      ),
      undefined,
      JSON.stringify(caught),
    );
  }
});
