import assert from "node:assert/strict";
import { test } from "node:test";
import { builtInProviders } from "../../src/providers/index.ts";
import { findRoute, providerHostSuffix } from "../../src/proxy/route.ts";
import { openTarget } from "../support/attack.ts";

test("the same call by path prefix, by host name and in absolute form goes up the same", async (t) => {
  const { ask, sent, token } = await openTarget(t, {
    env: { X3SPROXY_PUBLIC_URL: "http://Proxy.test:1234" },
  });
  for (const [line, host] of [
    ["POST /openai/v1/responses?a=1&b=%20 HTTP/1.1", "proxy.test:1234"],
    ["POST /openai/v1/responses?a=1&b=%20 HTTP/1.1", "127.0.0.1"],
    ["POST /openai/v1/responses?a=1&b=%20 HTTP/1.1", "elsewhere.example"],
    ["POST /v1/responses?a=1&b=%20 HTTP/1.1", "openai.proxy.test:1234"],
    ["POST /v1/responses?a=1&b=%20 HTTP/1.1", "OpenAI.PROXY.test"],
    ["POST /v1/responses?a=1&b=%20 HTTP/1.1", "openai.proxy.test."],
    ["POST /v1/responses?a=1&b=%20 HTTP/1.1", "openai.proxy.test.:80"],
    ["POST http://openai.proxy.test:1234/v1/responses?a=1&b=%20 HTTP/1.1", "x"],
    ["POST http://[::1]:1234/openai/v1/responses?a=1&b=%20 HTTP/1.1", "x"],
    ["POST HTTPS://proxy.test/openai/v1/responses?a=1&b=%20 HTTP/1.1", "x"],
  ] as const) {
    const { status } = await ask(
      [line, `Host: ${host}`, "Content-Length: 2", `Authorization: Bearer ${token}`],
      "{}",
    );
    assert.equal(status, 200, line);
    const up = sent();
    assert.ok(up.startsWith("POST /v1/responses?a=1&b=%20 HTTP/1.1\r\n"), up);
    assert.ok(up.endsWith("\r\n\r\n{}"), up);
  }
});

test("each built-in provider has the same route by path and by host", () => {
  for (const name of builtInProviders.keys()) {
    for (const [path, canonical] of [
      ["/", "/"],
      ["/V1/a%20b/", "/v1/a b"],
    ] as const) {
      const expected = { provider: name, path, canonicalPath: canonical, query: "x" };
      assert.deepEqual(findRoute(`/${name}${path}?x`, "h", ".h"), expected);
      assert.deepEqual(findRoute(`${path}?x`, `${name}.h`, ".h"), expected);
    }
  }
});

test("a base without a path is the root of the provider", () => {
  const route = { provider: "anthropic", path: "/", canonicalPath: "/", query: undefined };
  assert.deepEqual(findRoute("/anthropic", "h", ".h"), route);
  assert.deepEqual(findRoute("http://anthropic.h", "x", ".h"), route);
  assert.deepEqual(findRoute("http://anthropic.h?", "x", ".h"), { ...route, query: "" });
});

test("only a public host that is a name has providers below it", () => {
  assert.equal(providerHostSuffix("https://X3S.example.com:8443"), ".x3s.example.com");
  assert.equal(providerHostSuffix("http://localhost:8787"), ".localhost");
  assert.equal(providerHostSuffix("http://127.0.0.1:8787"), undefined);
  assert.equal(providerHostSuffix("http://[::1]:8787"), undefined);
});
