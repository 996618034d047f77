import assert from "node:assert/strict";
import { test } from "node:test";
import { FAKE_KEY, openWithUpstream } from "../support/data-plane.ts";
import { createCannedUpstream } from "../support/wire.ts";

const ANSWER =
  'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nX-Request-Id: r1\r\ncontent-length: 11\r\n\r\n{"ok":true}';

test("a call goes up with the real key in place of the token, and its answer comes back unaltered", async (t) => {
  const upstream = await createCannedUpstream(ANSWER);
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);

  const response = await fetch(`${plane.url}/openai/v1/responses?stream=false`, {
    method: "POST",
    headers: { authorization: `Bearer ${plane.token}`, "content-type": "application/json" },
    body: '{"model":"gpt-test"}',
  });

  assert.equal(response.status, 200);
  assert.equal(response.headers.get("x-request-id"), "r1");
  assert.equal(response.headers.get("x3sproxy-refusal"), null);
  assert.equal(await response.text(), '{"ok":true}');
  const connection = await upstream.connection();
  const { line, headers, text } = await connection.head();
  assert.equal(line, "POST /v1/responses?stream=false HTTP/1.1");
  assert.deepEqual(
    headers.filter(([name]) => name === "authorization"),
    [["authorization", `Bearer ${FAKE_KEY}`]],
  );
  assert.deepEqual(
    headers.filter(([name]) => name === "host"),
    [["host", `127.0.0.1:${upstream.port}`]],
  );
  assert.ok(text.endsWith('\r\n\r\n{"model":"gpt-test"}'));
  assert.ok(!text.includes(plane.token));
  const line1 = await plane.exchange();
  assert.equal(line1["outcome"], "completed");
  assert.equal(line1["status"], 200);
  assert.equal(line1["path"], "/v1/responses");
  assert.equal(line1["requestBytes"], 20);
  assert.equal(line1["responseBytes"], 11);
});
