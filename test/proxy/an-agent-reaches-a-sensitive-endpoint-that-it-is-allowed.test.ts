import assert from "node:assert/strict";
import { test } from "node:test";
import { openTarget } from "../support/attack.ts";

test("an endpoint allowed by name goes through; its neighbours and other methods stay as they are", async (t) => {
  const { plane, ask, sent, token } = await openTarget(t, { providers: ["openai", "deepgram"] });
  const allowed = await plane.deploy("minter", {
    allowedEndpoints: ["openai:realtime-client-secrets"],
  });
  const outcome = async (who: string, line: string): Promise<string | undefined> => {
    const { status, header } = await ask([`${line} HTTP/1.1`, `Authorization: Bearer ${who}`]);
    assert.equal(status, header("x3sproxy-refusal") === undefined ? 200 : 403);
    return header("x3sproxy-refusal");
  };
  const mint = "POST /openai/v1/realtime/client_secrets";
  assert.equal(await outcome(token, mint), "sensitive_endpoint");
  assert.equal(await outcome(allowed, mint), undefined);
  assert.ok(sent().startsWith("POST /v1/realtime/client_secrets HTTP/1.1\r\n"));
  assert.equal(await outcome(allowed, `${mint}/`), undefined);
  assert.equal(await outcome(allowed, "GET /openai/v1/organization/users"), "sensitive_endpoint");
  assert.equal(await outcome(allowed, "POST /deepgram/v1/auth/grant"), "sensitive_endpoint");
  assert.equal(await outcome(token, "POST /openai/v1/webhook_endpoints"), "sensitive_endpoint");
  assert.equal(await outcome(token, "GET /openai/v1/webhook_endpoints"), undefined);
  assert.equal(await outcome(token, "GET /openai/v1/realtime"), undefined);
});

test("the refusal names the endpoint, so that an operator can allow it", async (t) => {
  const { ask, token } = await openTarget(t);
  const { body } = await ask([
    "POST /openai/v1/realtime/client_secrets HTTP/1.1",
    `Authorization: Bearer ${token}`,
  ]);
  assert.match(body, /openai:realtime-client-secrets/);
});
