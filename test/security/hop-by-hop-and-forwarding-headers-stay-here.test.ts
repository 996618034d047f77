// What describes the client's connection, its network or us is not the provider's business, and some of it is obeyed there.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openTarget } from "../support/attack.ts";

const DROPPED = [
  "Keep-Alive: timeout=5",
  "Proxy-Connection: keep-alive",
  "Proxy-Authorization: Basic RkFLRTpGQUtF",
  "Proxy-Authenticate: Basic",
  "TE: trailers",
  "Trailer: X-T",
  "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
  "Upgrade: h2c",
  "X-Forwarded-For: 10.1.2.3",
  "X-Forwarded-Proto: https",
  "X-Forwarded-Host: evil.test",
  "X-Forwarded-Client-Cert: By=FAKE",
  "X-Forwarded: for=10.1.2.3",
  "x_forwarded_for: 10.1.2.3",
  "Forwarded: for=10.1.2.3",
  "X-Real-IP: 10.1.2.3",
  "X3sproxy-Refusal: forged",
  "x3sproxy-anything: 1",
  "Cookie: session=FAKE",
  "Cookie2: $Version=1",
  "X-Amz-Security-Token: FAKE",
  "Transfer_Encoding: chunked",
  "Content_Length: 99",
];
const KEPT = [
  "User-Agent: agent/1.0",
  "accept-ENCODING: gzip, br",
  "Anthropic-Version: 2023-06-01",
  "session_id: 0a-1b",
  "X-Stainless-Retry-Count: 0",
  "Origin: https://app.example.test",
  "Date: Sun, 22 Nov 2026 00:00:00 GMT",
  "X-Latin: caf\u00e9 \u00ff",
  "X-Twice: a",
  "X-Twice: b",
  "__proto__: 1",
  "X-Empty:",
];

test("none of them goes up; all else does, in order and byte for byte", async (t) => {
  const { ask, sent, token } = await openTarget(t);
  const { status } = await ask([
    "GET /openai/v1/models HTTP/1.1",
    ...DROPPED,
    ...KEPT,
    "Via: 1.0 fred, 1.1 p.example.net",
    `Authorization: Bearer ${token}`,
  ]);
  assert.equal(status, 200);
  const [, ...fields] = sent().split("\r\n");
  const own = (field: string): boolean => /^(?:host|connection|via|authorization):/i.test(field);
  assert.deepEqual(
    fields.filter((field) => field !== "" && !own(field)),
    KEPT.map((field) => (field.endsWith(":") ? `${field} ` : field)),
  );
  assert.deepEqual(
    fields.filter((field) => /^via:/i.test(field)),
    ["via: 1.0 fred, 1.1 p.example.net, 1.1 x3sproxy"],
  );
  assert.deepEqual(
    fields.filter((field) => /^connection:/i.test(field)),
    ["connection: keep-alive"],
  );
});
