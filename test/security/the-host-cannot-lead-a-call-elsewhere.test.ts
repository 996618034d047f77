// Where policy reads one host and the connection goes to another, a key goes where no rule has looked.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openTarget } from "../support/attack.ts";
import { FAKE_KEY } from "../support/data-plane.ts";
import { createCannedUpstream } from "../support/wire.ts";

test("policy and connection are one fact, whatever host, authority or path a client names", async (t) => {
  const evil = await createCannedUpstream("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil");
  t.after(() => evil.close());
  const target = await openTarget(t, {
    providers: ["openai", "anthropic"],
    env: { X3SPROXY_PUBLIC_URL: "http://proxy.test:1234" },
  });
  const { ask, sent, upstream } = target;
  // The agent may use OpenAI alone: each request below that ends at Anthropic has got past its grant.
  const token = await target.plane.deploy("one", { providers: ["openai"] });
  const at = `127.0.0.1:${evil.port}`;

  const refused: [string, ...string[]][] = [
    ["GET /openai/v1/models HTTP/1.1", "Host: openai.proxy.test", "Host: anthropic.proxy.test"],
    ["GET /openai/v1/models HTTP/1.1", "Host: proxy.test", `Host: ${at}`],
    ["GET /v1/models HTTP/1.1", "Host: openai.proxy.test@anthropic.proxy.test"],
    ["GET /v1/models HTTP/1.1", "Host: anthropic.proxy.test@openai.proxy.test"],
    ["GET /v1/models HTTP/1.1", `Host: ${at}@openai.proxy.test`],
    ["GET /v1/models HTTP/1.1", "Host: openai.proxy.test, anthropic.proxy.test"],
    ["GET /v1/models HTTP/1.1", "Host: anthropic.proxy.test/openai.proxy.test"],
    ["GET /v1/models HTTP/1.1", "Host: openai.proxy.test#.proxy.test"],
    ["GET /v1/models HTTP/1.1", "Host: openai.proxy.test:80:90"],
    ["GET /v1/models HTTP/1.1", "Host: openai.proxy.test:80a"],
    ["GET http://user:pw@openai.proxy.test/v1/models HTTP/1.1", "Host: proxy.test"],
    [`GET http://${at}@openai.proxy.test/v1/models HTTP/1.1`, "Host: proxy.test"],
    [`GET ftp://openai.proxy.test/v1/models HTTP/1.1`, "Host: proxy.test"],
    [`GET ws://openai.proxy.test/v1/models HTTP/1.1`, "Host: proxy.test"],
    // No route at all.
    [`GET //${at}/v1/models HTTP/1.1`, "Host: proxy.test"],
    [`GET /openai@${at}/v1/models HTTP/1.1`, "Host: proxy.test"],
    [`GET /openai:${evil.port}/v1/models HTTP/1.1`, "Host: proxy.test"],
    [`GET http://${at}/v1/models HTTP/1.1`, "Host: openai.proxy.test"],
    ["GET /v1/models HTTP/1.1", "Host: xopenai.proxy.test"],
    ["GET /v1/models HTTP/1.1", "Host: evil.openai.proxy.test"],
    ["GET /v1/models HTTP/1.1", "Host: openaiproxy.test"],
    ["GET /v1/models HTTP/1.1", "Host: openai.proxy.test.evil.test"],
    ["GET /v1/models HTTP/1.1", "Host: openai.proxy.test.."],
    ["GET /v1/models HTTP/1.1", "Host: .proxy.test"],
    ["GET /v1/models HTTP/1.1", "Host:"],
    // A route that the grant does not allow.
    ["GET /anthropic/v1/models HTTP/1.1", "Host: proxy.test"],
    ["GET /openai/v1/models HTTP/1.1", "Host: anthropic.proxy.test"],
    ["GET http://anthropic.proxy.test/v1/models HTTP/1.1", "Host: openai.proxy.test"],
    ["GET http://ANTHROPIC.PROXY.TEST.:80/openai/v1/models HTTP/1.1", "Host: openai.proxy.test"],
  ];
  for (const lines of refused) {
    const { status, header } = await ask([...lines, `Authorization: Bearer ${token}`]);
    assert.ok(status === 400 || status === 403 || status === 404, `${status} ${lines.join()}`);
    assert.ok(header("x3sproxy-refusal"), lines.join());
  }
  assert.equal(upstream.connections.length, 0);

  const passed: [line: string, host: string, path: string][] = [
    ["GET /openai//evil.test/v1 HTTP/1.1", "proxy.test", "//evil.test/v1"],
    ["GET //openai//evil.test/v1 HTTP/1.1", "proxy.test", "//evil.test/v1"],
    [`GET /openai/@${at}/v1 HTTP/1.1`, "proxy.test", `/@${at}/v1`],
    [`GET /openai/http://${at}/v1 HTTP/1.1`, "proxy.test", `/http://${at}/v1`],
    [`GET //${at}/v1 HTTP/1.1`, "openai.proxy.test", `//${at}/v1`],
    [`GET http://${at}/openai/v1 HTTP/1.1`, "anthropic.proxy.test", "/v1"],
    ["GET http://openai.proxy.test/v1 HTTP/1.1", "anthropic.proxy.test", "/v1"],
    ["GET /openai/v1 HTTP/1.1", at, "/v1"],
    ["GET /anthropic/v1 HTTP/1.1", "openai.proxy.test", "/anthropic/v1"],
  ];
  for (const [line, host, path] of passed) {
    const { status, body } = await ask([line, `Host: ${host}`, `Authorization: Bearer ${token}`]);
    assert.equal(status, 200, line);
    assert.equal(body, "ok");
    const up = sent();
    assert.ok(up.startsWith(`GET ${path} HTTP/1.1\r\n`), up);
    assert.deepEqual(up.match(/^host:.*$/gim), [`host: 127.0.0.1:${upstream.port}`]);
    assert.ok(up.includes(`authorization: Bearer ${FAKE_KEY}`), "OpenAI's scheme");
  }
  assert.equal(evil.connections.length, 0);
});
