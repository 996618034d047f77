// Servers have been entered by upgrades that skipped the checks of plain requests (GHSA-c4j6-fc7j-m34r).
import assert from "node:assert/strict";
import { test } from "node:test";
import { newBearer, PROXY_TOKEN_PREFIX } from "../../src/platform/ids.ts";
import { FOREIGN_KEY, openTarget } from "../support/attack.ts";

const UPGRADE = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

test("an upgrade is refused for each reason for which a request is", async (t) => {
  const { plane, ask, token, upstream } = await openTarget(t, {
    env: { X3SPROXY_PUBLIC_URL: "http://proxy.test" },
  });
  const limited = await plane.deploy("limited", { providers: ["gemini"] });
  const mine = `Authorization: Bearer ${token}`;
  const cases: [reason: string, target: string, ...fields: string[]][] = [
    ["missing_token", "/openai/v1/realtime"],
    ["missing_token", "/openai"],
    ["malformed_token", "/openai/v1/realtime", `${mine}x`],
    ["unknown_token", "/openai/v1/realtime", `Authorization: ${newBearer(PROXY_TOKEN_PREFIX)}`],
    ["conflicting_tokens", `/openai/v1/realtime?key=${limited}`, mine],
    ["foreign_credential", `/openai/v1/realtime?key=${FOREIGN_KEY}`, mine],
    [
      "foreign_credential",
      "/openai/v1/realtime",
      mine,
      `Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.${FOREIGN_KEY}`,
    ],
    ["provider_not_allowed", "/openai/v1/realtime", `Authorization: Bearer ${limited}`],
    ["no_secret", "/gemini/ws/x", `Authorization: Bearer ${limited}`],
    ["no_secret", "/anthropic/v1/messages", mine],
    ["sensitive_endpoint", "/openai/v1/realtime/sessions", mine],
    ["sensitive_endpoint", "/openai/v1//Realtime/client_secrets;x/", mine],
    ["unknown_provider", "/nobody/v1/realtime", mine],
    ["bad_path", "/openai/v1/%2e%2e/realtime", mine],
    ["bad_path", `/openai/v1/${token}`, mine],
    ["bad_request", "/openai/v1/realtime", mine, "Host: a", "Host: b"],
    ["bad_request", "http://a@openai.proxy.test/v1/realtime", mine],
    ["not_found", "/_x3sproxy/nothing", mine],
  ];
  for (const [reason, target, ...fields] of cases) {
    const { status, header } = await ask([`GET ${target} HTTP/1.1`, ...UPGRADE, ...fields]);
    assert.equal(header("x3sproxy-refusal"), reason, target);
    assert.ok(status >= 400 && status < 500, String(status));
  }
  assert.equal(upstream.connections.length, 0);
});

test("what only looks like a WebSocket upgrade is a plain request", async (t) => {
  const { ask, sent, token } = await openTarget(t);
  for (const [method, upgrade] of [
    ["POST", "websocket"],
    ["GET", "h2c"],
    ["GET", "websocket, h2c"],
    ["GET", "TLS/1.0"],
  ] as const) {
    const { status } = await ask([
      `${method} /openai/v1/realtime HTTP/1.1`,
      "Connection: Upgrade, close",
      `Upgrade: ${upgrade}`,
      "Content-Length: 0",
      `Authorization: Bearer ${token}`,
    ]);
    assert.equal(status, 200, upgrade);
    assert.equal(/^upgrade:/im.test(sent()), false);
  }
});
