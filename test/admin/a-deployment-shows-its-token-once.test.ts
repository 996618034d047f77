import assert from "node:assert/strict";
import { it } from "node:test";
import { isProxyToken } from "../../src/platform/ids.ts";
import { PUBLIC_URL, assertHides, openAdmin, stringAt } from "./fixture.ts";

it("deploy, redeploy, list, destroy: the token is in the deployment's answer and nowhere else", async (t) => {
  const { call, log } = await openAdmin(t);
  const deploy = (body: unknown) => call("POST", "/api/v1/agents/coder/deployments", body);

  const first = await deploy({ providers: ["openai", "anthropic"], ttlSeconds: 3600 });
  assert.equal(first.status, 201);
  const token = stringAt(first, "token");
  assert.ok(isProxyToken(token));
  assert.deepEqual(first.body["baseUrls"], {
    openai: `${PUBLIC_URL}/openai`,
    anthropic: `${PUBLIC_URL}/anthropic`,
  });
  assert.equal(stringAt(first, "expiresAt"), stringAt(first, "agent", "expiresAt"));

  const second = await deploy({ providers: null, ttlSeconds: null });
  assert.notEqual(stringAt(second, "token"), token);
  assert.equal(second.body["expiresAt"], null);
  assert.partialDeepStrictEqual(second.body, {
    agent: { deployment: 2, providers: null },
    baseUrls: { gemini: `${PUBLIC_URL}/gemini` },
  });

  const list = await call("GET", "/api/v1/agents");
  assert.partialDeepStrictEqual(list.body, { agents: [{ name: "coder", deployment: 2 }] });
  const destroyed = await call("DELETE", "/api/v1/agents/coder");
  assert.equal(destroyed.status, 200);
  assert.equal((await call("DELETE", "/api/v1/agents/coder")).status, 404);

  for (const answer of [first, second]) {
    const shown = stringAt(answer, "token");
    assertHides(list.text + destroyed.text + log.join(""), shown);
    assert.equal(answer.text.split(shown).length, 2, "once");
  }
});

it("a deployment that can't be is refused with what is wrong, and leaves the earlier token alone", async (t) => {
  const { call, owner } = await openAdmin(t);
  await call("POST", "/api/v1/agents/coder/deployments", {});
  const before = await owner`select hash from x3sproxy.proxy_tokens`;
  for (const [body, code] of [
    [{ providers: ["no-such-provider"] }, "provider_unknown"],
    [{ allowedEndpoints: ["openai:no-such-endpoint"] }, "endpoint_unknown"],
    [{ ttlSeconds: 1 }, "ttl_invalid"],
    [{ environment: "Not A Name" }, "invalid_request"],
    [{ ttlSeconds: "12h" }, "invalid_request"],
  ] as const) {
    const answer = await call("POST", "/api/v1/agents/coder/deployments", body);
    assert.equal(answer.status, 422, answer.text);
    assert.equal(answer.body["code"], code);
  }
  assert.deepEqual(await owner`select hash from x3sproxy.proxy_tokens`, before);
});
