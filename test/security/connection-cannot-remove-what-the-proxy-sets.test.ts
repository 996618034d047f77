// `Connection: x-api-key` once deleted the injected header in systems like this one: strip first, inject last.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openTarget } from "../support/attack.ts";
import { FAKE_KEY } from "../support/data-plane.ts";

test("a Connection list takes the client's own headers along, and none of ours", async (t) => {
  const { ask, sent, token } = await openTarget(t, { providers: ["openai", "anthropic"] });
  for (const list of [
    "authorization, x-api-key, host, via, content-length, transfer-encoding, content-type, x-mine",
    "AUTHORIZATION ,X-API-KEY,\tVia , Content-Length,HOST, X-Mine",
    "x_api_key, x_mine, via, content_length",
    "close, connection, keep-alive, upgrade, authorization, x-api-key, content-length, x-mine",
  ]) {
    for (const [provider, credential] of [
      ["openai", `authorization: Bearer ${FAKE_KEY}`],
      ["anthropic", `x-api-key: ${FAKE_KEY}`],
    ] as const) {
      const { status } = await ask(
        [
          `POST /${provider}/v1/messages HTTP/1.1`,
          "Content-Length: 4",
          "Connection: close",
          `Connection: ${list}`,
          `Authorization: Bearer ${token}`,
          `x-api-key: ${token}`,
          "X-Mine: 1",
          "X-Kept: 1",
        ],
        "body",
      );
      assert.equal(status, 200);
      const up = sent();
      assert.deepEqual(up.match(/^(?:authorization|x-api-key):.*$/gim), [credential]);
      assert.match(up, /^via: 1\.1 x3sproxy\r$/m);
      assert.match(up, /^host: 127\.0\.0\.1:\d+\r$/im);
      assert.deepEqual(up.match(/^content-length:.*$/gim), ["content-length: 4"]);
      assert.match(up, /^X-Kept: 1\r$/m);
      assert.equal(/x-mine/i.test(up), false);
      assert.ok(up.endsWith("\r\n\r\nbody"));
    }
  }
});
