import assert from "node:assert/strict";
import { test } from "node:test";
import { builtInProviders } from "../../src/providers/index.ts";
import type { RefusalReason } from "../../src/platform/errors.ts";
import { rawRefusal, renderRefusal, type RefusalContext } from "../../src/proxy/refusal.ts";
import { openTarget, parseAnswer } from "../support/attack.ts";

// Exhaustive: a new reason does not compile until it has its status here.
const STATUSES: Record<RefusalReason, number> = {
  bad_request: 400,
  bad_path: 400,
  bad_query: 400,
  headers_too_large: 431,
  method_not_allowed: 405,
  expectation_failed: 417,
  request_timeout: 408,
  not_found: 404,
  unknown_provider: 404,
  bad_context: 400,
  page_not_allowed: 403,
  missing_token: 401,
  malformed_token: 401,
  foreign_credential: 401,
  conflicting_tokens: 401,
  unknown_token: 401,
  registration_invalid: 401,
  expired_token: 401,
  agent_suspended: 403,
  scope_expired: 403,
  address_not_allowed: 403,
  provider_not_allowed: 403,
  path_not_allowed: 403,
  model_not_allowed: 403,
  model_unclear: 403,
  rate_limited: 429,
  too_many_streams: 429,
  too_many_bytes: 429,
  sensitive_endpoint: 403,
  no_secret: 403,
  origin_changed: 403,
  header_changed: 403,
  header_refused: 403,
  secret_unreadable: 503,
  store_unavailable: 503,
  overloaded: 503,
  stopping: 503,
  internal_error: 500,
  upstream_address_refused: 403,
  upstream_unreachable: 502,
  upstream_connect_timeout: 504,
  upstream_first_byte_timeout: 504,
  upstream_protocol_error: 502,
};

const context = (provider: string): RefusalContext => {
  const row = builtInProviders.get(provider);
  assert.ok(row);
  return {
    exchangeId: "0a0b0c-1",
    errorShape: row.errorShape,
    provider: row,
    agent: "coder",
    environment: "production",
    sensitiveEndpoint: `${provider}:keys`,
    namedProvider: "opnai",
    dashboardUrl: "https://x3s.example.test",
    retryAfterS: 7,
  };
};

/** Where each shape has its message. */
function messageOf(body: string): string {
  const { error, detail, message, err_msg } = JSON.parse(body) as Record<string, unknown>;
  const found = [error, detail, message, err_msg].find((part) => part !== undefined);
  const text = typeof found === "object" ? (found as { message?: unknown } | null)?.message : found;
  assert.ok(typeof text === "string", body);
  return text;
}

for (const provider of builtInProviders.keys()) {
  test(`${provider}: each reason has its status, our header, and a message in the provider's place for it`, () => {
    for (const [reason, expected] of Object.entries(STATUSES) as [RefusalReason, number][]) {
      const { status, headers, body } = renderRefusal(reason, context(provider));
      const field = (name: string): string | undefined =>
        headers[headers.findIndex((text, i) => i % 2 === 0 && text === name) + 1];
      const has = (name: string): boolean =>
        headers.some((text, i) => i % 2 === 0 && text === name);
      assert.equal(status, expected, reason);
      assert.equal(field("x3sproxy-refusal"), reason);
      assert.equal(field("cache-control"), "no-store");
      assert.equal(field("content-type"), "application/json");
      assert.equal(Number(field("content-length")), Buffer.byteLength(body));
      assert.equal(has("www-authenticate"), status === 401, reason);
      assert.equal(has("allow"), status === 405, reason);
      assert.equal(has("retry-after"), status === 503 || status === 429, reason);
      assert.ok(messageOf(body).length > 20, body);
      const raw = parseAnswer(rawRefusal(reason, context(provider)).text);
      assert.equal(raw.status, expected);
      assert.equal(raw.header("x3sproxy-refusal"), reason);
      assert.equal(raw.header("connection"), "close");
      assert.equal(raw.body, body);
    }
  });
}

test("without a key the refusal names the provider and points to the Secrets tab", () => {
  const { status, body } = renderRefusal("no_secret", context("anthropic"));
  assert.equal(status, 403);
  const message = messageOf(body);
  assert.match(message, /Anthropic/);
  assert.match(message, /"production"/);
  assert.ok(
    message.includes("https://x3s.example.test/secrets?provider=anthropic&environment=production"),
    message,
  );
});

test("over the wire, without a key: 403, and nothing goes upstream", async (t) => {
  const { ask, token, upstream, plane } = await openTarget(t, {
    env: {
      X3SPROXY_ORIGIN_ANTHROPIC: "http://127.0.0.1:9",
      X3SPROXY_DASHBOARD_URL: "https://x3s.example.test",
    },
  });
  const { status, header, body } = await ask([
    "POST /anthropic/v1/messages HTTP/1.1",
    `x-api-key: ${token}`,
    "Content-Length: 0",
  ]);
  assert.equal(status, 403);
  assert.equal(header("x3sproxy-refusal"), "no_secret");
  assert.match(
    messageOf(body),
    /Anthropic.*https:\/\/x3s\.example\.test\/secrets\?provider=anthropic/,
  );
  assert.equal((JSON.parse(body) as { type: string }).type, "error", "Anthropic's own shape");
  assert.equal(upstream.connections.length, 0);
  assert.equal((await plane.exchange())["reason"], "no_secret");
});

test("a refusal has the shape of the provider that the path names, also before anything else is known", async (t) => {
  const { ask } = await openTarget(t, { env: { X3SPROXY_PUBLIC_URL: "http://proxy.test" } });
  for (const [line, host] of [
    ["POST /anthropic/v1/messages HTTP/1.1", "proxy.test"],
    ["POST /v1/messages HTTP/1.1", "anthropic.proxy.test"],
    ["POST /anthropic/v1/%2e%2e HTTP/1.1", "proxy.test"],
    ["POST /v1/%2f HTTP/1.1", "anthropic.proxy.test"],
  ] as const) {
    const { body } = await ask([line, `Host: ${host}`]);
    assert.equal((JSON.parse(body) as { type?: string }).type, "error", line);
  }
});
