import assert from "node:assert/strict";
import { test } from "node:test";
import { openTarget } from "../support/attack.ts";
import { actorIn } from "../support/actor.ts";

test("GET /_x3sproxy/token tells what the token may do", async (t) => {
  const { plane, ask, token } = await openTarget(t, { providers: ["openai", "anthropic"] });
  await plane.customProviders.put(actorIn(plane.workspaceId), {
    name: "acme",
    origin: "http://127.0.0.1:9",
    header: "x-acme",
    scheme: "",
  });
  await plane.save("acme");
  const limited = await plane.deploy("limited", {
    providers: ["openai", "gemini", "acme"],
    allowedEndpoints: ["openai:vaults"],
    rules: ["post /openai/v1/Responses/", "GET /*/v1/models"],
    addresses: ["127.1.2.3/8", "fd00::1/8"],
    models: ["gpt-5*"],
    scopeExpiresAt: "2100-01-01T00:00:00Z",
    limits: { requestsPerMinute: 60, bytesPerMinute: 1_000_000 },
  });
  const tell = async (who: string, host = "proxy"): Promise<unknown> => {
    const { status, header, body } = await ask([
      "GET /_x3sproxy/token HTTP/1.1",
      `Host: ${host}`,
      `Authorization: Bearer ${who}`,
    ]);
    assert.equal(status, 200);
    assert.equal(header("content-type"), "application/json");
    assert.equal(header("cache-control"), "no-store");
    return JSON.parse(body);
  };
  assert.deepEqual(await tell(token), {
    agent: "agent",
    environment: "production",
    deployment: 1,
    expiresAt: null,
    providers: null,
    configuredProviders: ["acme", "anthropic", "openai"],
    rules: null,
    allowedEndpoints: [],
    addresses: null,
    models: null,
    scopeExpiresAt: null,
    limits: { requestsPerMinute: null, openStreams: null, bytesPerMinute: null },
  });
  assert.deepEqual(await tell(limited), {
    agent: "limited",
    environment: "production",
    deployment: 1,
    expiresAt: null,
    providers: ["acme", "gemini", "openai"],
    configuredProviders: ["acme", "openai"],
    rules: ["POST /openai/v1/responses", "GET /*/v1/models"],
    allowedEndpoints: ["openai:vaults"],
    addresses: ["127.0.0.0/8", "fd00::/8"],
    models: ["gpt-5*"],
    scopeExpiresAt: "2100-01-01T00:00:00.000Z",
    limits: { requestsPerMinute: 60, openStreams: null, bytesPerMinute: 1_000_000 },
  });
  await plane.customProviders.delete(actorIn(plane.workspaceId), "acme");
  const later = await plane.deploy("later");
  assert.deepEqual(
    ((await tell(later)) as { configuredProviders: string[] }).configuredProviders,
    ["anthropic", "openai"],
    "a key whose provider is gone can't be used",
  );
});

test("it needs a live token, answers at every host, and is the only thing there", async (t) => {
  const { ask, token, upstream } = await openTarget(t, {
    env: { X3SPROXY_PUBLIC_URL: "http://proxy.test" },
  });
  const refusal = async (line: string, ...fields: string[]): Promise<string | undefined> =>
    (await ask([`${line} HTTP/1.1`, ...fields])).header("x3sproxy-refusal");
  const mine = `Authorization: Bearer ${token}`;
  for (const host of ["proxy.test", "openai.proxy.test", "127.0.0.1", "elsewhere.example"]) {
    assert.equal(await refusal("GET /_x3sproxy/token", `Host: ${host}`, mine), undefined, host);
  }
  assert.equal(await refusal("HEAD /_x3sproxy/token", mine), undefined);
  assert.equal(await refusal("GET /_x3sproxy/token?a=1", mine), undefined);
  assert.equal(await refusal("GET /_x3sproxy/token"), "missing_token");
  assert.equal(await refusal("GET /_x3sproxy/token", `${mine.slice(0, -1)}-`), "malformed_token");
  const unknown = `Authorization: Bearer x3sproxy_${"A".repeat(32)}`;
  assert.equal(await refusal("GET /_x3sproxy/token", unknown), "unknown_token");
  for (const line of [
    "POST /_x3sproxy/token",
    "DELETE /_x3sproxy/token",
    "GET /_x3sproxy/",
    "GET /_x3sproxy/token/",
    "GET /_x3sproxy//token",
    "GET /_x3sproxy/Token",
    "GET /_x3sproxy/token;x",
    "GET /_x3sproxy/tok%65n",
    "GET /_x3sproxy/openai/v1/models",
  ]) {
    assert.equal(await refusal(line, mine, "Host: openai.proxy.test"), "not_found", line);
  }
  assert.equal(await refusal("GET /_x3sproxy", mine), "unknown_provider");
  assert.equal(await refusal("GET /%5fx3sproxy/token", mine), "unknown_provider");
  assert.equal(upstream.connections.length, 0);
});
