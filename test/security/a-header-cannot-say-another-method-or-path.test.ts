// Frameworks and gateways take the method, host or path from such headers, past the rules that judged the real ones.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openTarget } from "../support/attack.ts";

test("headers that would override method, host or path do not go up", async (t) => {
  const { ask, sent, token } = await openTarget(t);
  const overrides = [
    "X-HTTP-Method-Override: POST",
    "X-HTTP-Method: POST",
    "X-Method-Override: POST",
    "x_http_method_override: POST",
    "X-Original-URL: /v1/organization/admin_api_keys",
    "X-Original-URI: /v1/organization/admin_api_keys",
    "X-Rewrite-URL: /v1/organization/admin_api_keys",
    "X-Forwarded-Uri: /v1/organization/admin_api_keys",
    "X-Forwarded-Prefix: /v1/organization",
    "X-Original-Host: evil.test",
    "X-Forwarded-Host: evil.test",
    "X-Host: evil.test",
    "X-HTTP-Host-Override: evil.test",
    "Forwarded: host=evil.test",
  ];
  const { status } = await ask([
    "GET /openai/v1/webhook_endpoints HTTP/1.1",
    `Authorization: Bearer ${token}`,
    ...overrides,
  ]);
  assert.equal(status, 200);
  const up = sent();
  assert.match(up, /^GET \/v1\/webhook_endpoints HTTP\/1.1\r\n/);
  assert.equal(/override|method|original|rewrite|forwarded|evil|organization/i.test(up), false, up);
});
