// Via is passed on and added to: a token in it was both found there and sent upstream.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openTarget } from "../support/attack.ts";

test("a token in a header that is no slot is stripped or refused, never sent", async (t) => {
  const { ask, sent, token } = await openTarget(t);
  for (const [field, passes] of [
    [`Via: ${token}`, true],
    [`Via: 1.1 ${token}`, true],
    [`Via: 1.1 gateway, 1.1 ${token}`, false],
    [`User-Agent: ${token}`, true],
    [`User-Agent: agent/1.0 (${token})`, false],
    [`Referer: https://example.test/?key=${token}`, false],
    [`Referer: ${token}`, true],
    [`Accept: ${token}`, true],
    [`X-Foo: abc ${token}`, true],
    [`X-Foo: abc def ${token}`, false],
    [`X-Foo: abc=${token}`, false],
    [`Content-Type: ${token}`, true],
    [`Origin: ${token}`, true],
    [`Forwarded: for=${token}`, false],
    [`${token}: 1`, true],
    [`X-${token}: 1`, true],
    [`Proxy-Authorization: Bearer ${token}`, true],
    [`Cookie: session=${token}`, true],
  ] as const) {
    const { status, header } = await ask([
      "GET /openai/v1/models HTTP/1.1",
      `Authorization: Bearer ${token}`,
      field,
    ]);
    const up = sent();
    assert.equal(up.toLowerCase().includes(token.toLowerCase()), false, field);
    assert.equal(up !== "", passes, field);
    assert.equal(status, passes ? 200 : 401, field);
    assert.equal(header("x3sproxy-refusal"), passes ? undefined : "malformed_token", field);
  }
});

test("a token in the name of a trailer, the Host or the expectation goes nowhere", async (t) => {
  const { ask, sent, token } = await openTarget(t);
  for (const lines of [
    [`GET /openai/v1/models HTTP/1.1`, `Host: ${token}`],
    [`GET http://${token}/openai/v1/models HTTP/1.1`, "Host: proxy"],
    [`GET /openai/v1/models HTTP/1.1`, `Connection: close, ${token}`],
    [`POST /openai/v1/models HTTP/1.1`, `Trailer: ${token}`, "Content-Length: 0"],
  ]) {
    const { status } = await ask([...lines, `Authorization: Bearer ${token}`]);
    const up = sent();
    assert.equal(status, 200, lines.join());
    assert.equal(up.toLowerCase().includes(token.toLowerCase()), false, up);
  }
});

test("request trailers are not forwarded", async (t) => {
  const { ask, sent, token } = await openTarget(t);
  const { status } = await ask(
    [
      "POST /openai/v1/responses HTTP/1.1",
      `Authorization: Bearer ${token}`,
      "Transfer-Encoding: chunked",
      "Trailer: X-Api-Key",
    ],
    `2\r\nhi\r\n0\r\nX-Api-Key: ${token}\r\nX-Late: 1\r\n\r\n`,
  );
  const up = sent();
  assert.equal(status, 200);
  assert.equal(up.includes(token), false);
  assert.equal(/x-late|trailer/i.test(up), false);
  assert.ok(up.includes("\r\n2\r\nhi\r\n"), up);
});
