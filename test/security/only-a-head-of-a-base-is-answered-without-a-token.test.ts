// Claude Code begins with an unauthenticated HEAD of its base URL. That much is answered, here, and nothing else.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FOREIGN_KEY, openTarget } from "../support/attack.ts";

test("a HEAD of a known provider's base is answered here; all else without a token is refused", async (t) => {
  const { ask, token, upstream } = await openTarget(t, {
    providers: ["openai", "anthropic"],
    env: { X3SPROXY_PUBLIC_URL: "http://proxy.test" },
  });
  for (const [line, host = "proxy.test"] of [
    ["HEAD /anthropic HTTP/1.1"],
    ["HEAD /anthropic/ HTTP/1.1"],
    ["HEAD /openai HTTP/1.1"],
    ["HEAD / HTTP/1.1", "anthropic.proxy.test"],
  ] as const) {
    const { status, body, header } = await ask([line, `Host: ${host}`]);
    assert.equal(status, 200, line);
    assert.equal(body, "");
    assert.equal(header("x3sproxy-refusal"), undefined);
  }
  for (const [line, ...fields] of [
    ["GET /anthropic HTTP/1.1"],
    ["OPTIONS /anthropic HTTP/1.1"],
    ["POST /anthropic/ HTTP/1.1", "Content-Length: 0"],
    ["HEAD /anthropic/v1 HTTP/1.1"],
    ["HEAD /anthropic// HTTP/1.1"],
    ["HEAD /anthropic/v1/messages HTTP/1.1"],
    ["HEAD /no-such-provider HTTP/1.1"],
    ["HEAD / HTTP/1.1"],
    ["HEAD /_x3sproxy/token HTTP/1.1"],
    ["HEAD /_x3sproxy/ HTTP/1.1"],
    ["HEAD /anthropic HTTP/1.1", `Authorization: Bearer ${FOREIGN_KEY}`],
    ["HEAD /anthropic HTTP/1.1", `Authorization: Bearer ${token}x`],
    [`HEAD /anthropic?key=${FOREIGN_KEY} HTTP/1.1`],
    ["HEAD /anthropic/.. HTTP/1.1"],
  ] as const) {
    const { status, header } = await ask([line, "Host: proxy.test", ...fields]);
    assert.ok(status === 401 || status === 404 || status === 400, `${status} ${line}`);
    assert.ok(header("x3sproxy-refusal"), line);
  }
  assert.equal(upstream.connections.length, 0);
  // With a token it is a call like any other.
  assert.equal((await ask(["HEAD /anthropic HTTP/1.1", `x-api-key: ${token}`])).status, 200);
  assert.equal(upstream.connections.length, 1);
});
