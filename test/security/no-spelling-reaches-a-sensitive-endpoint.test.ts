// Endpoints that mint or list credentials would hand an agent a real one: no other way of writing their path gets there.
import assert from "node:assert/strict";
import { test } from "node:test";
import { builtInProviders, type ProviderDefinition } from "../../src/providers/index.ts";
import { openTarget } from "../support/attack.ts";

/** Other ways of writing a path that some server reads as the same. */
function spellings(path: string): string[] {
  const segments = path.slice(1).split("/");
  const last = segments.at(-1) ?? "";
  const escaped = (text: string): string =>
    Array.from(Buffer.from(text), (byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
  const inLast = (changed: string): string => "/" + [...segments.slice(0, -1), changed].join("/");
  const fullWidth = Array.from(last, (c) =>
    /[a-z]/.test(c) ? encodeURIComponent(String.fromCharCode(c.charCodeAt(0) + 0xfee0)) : c,
  ).join("");
  return [
    path,
    path.toUpperCase(),
    path + "/",
    path + "//",
    path.replaceAll("/", "//"),
    path.replaceAll("/", "/;x/"),
    "/" + segments.map((segment) => `${segment};v=1`).join("/"),
    "/" + segments.map(escaped).join("/"),
    "/" + segments.map((segment) => escaped(segment).toUpperCase()).join("/"),
    inLast(escaped(last.slice(0, 1)) + last.slice(1)),
    inLast(last.slice(0, -1) + escaped(last.slice(-1))),
    inLast(`${last};jsessionid=1`),
    inLast(`${last}%3bx`),
    inLast(`${last}%20`),
    inLast(`${last}.`),
    inLast(`${last}%2e`),
    inLast(fullWidth),
    inLast(last.replace("s", "%c5%bf").replace("k", "%e2%84%aa")),
    `/x/..${path}`,
    `/x/%2e%2e${path}`,
    `/./${path}`,
    `/x;/..;${path}`,
    "/" + segments.join("%2f"),
    "/" + segments.join("%5c"),
    "/" + segments.join("/%2e/"),
    inLast(`%25${last.charCodeAt(0).toString(16)}${last.slice(1)}`),
  ];
}

const concrete = (pattern: string): string =>
  pattern
    .replace(/\/\*\*$/, "")
    .replace(/^\/\*/, "/v1")
    .replaceAll("*", "some-id");

const METHODS = ["GET", "POST", "HEAD"];

function attacks(provider: ProviderDefinition): { method: string; path: string }[] {
  return provider.sensitiveEndpoints.flatMap(({ method, paths }) =>
    paths.flatMap((pattern) =>
      spellings(concrete(pattern)).flatMap((path) =>
        (method === "*" ? METHODS : [method]).map((each) => ({ method: each, path })),
      ),
    ),
  );
}

test("every spelling of every sensitive endpoint is refused", async (t) => {
  const providers = [...builtInProviders.values()].filter(
    ({ sensitiveEndpoints }) => sensitiveEndpoints.length > 0,
  );
  const { token, upstream, ask } = await openTarget(t, {
    providers: providers.map(({ name }) => name),
    env: { X3SPROXY_PUBLIC_URL: "http://proxy.test:1234" },
  });
  let asked = 0;
  for (const provider of providers) {
    for (const { method, path } of attacks(provider)) {
      const forms = [
        [`${method} /${provider.name}${path} HTTP/1.1`, "Host: proxy.test"],
        [`${method} ${path}?a=1 HTTP/1.1`, `Host: ${provider.name}.proxy.test:1234`],
        [`${method} http://${provider.name.toUpperCase()}.proxy.test${path} HTTP/1.1`, "Host: x"],
      ];
      // All three forms for one in seven, so that the file stays quick.
      for (const lines of asked++ % 7 === 0 ? forms : forms.slice(asked % 3, (asked % 3) + 1)) {
        const { header } = await ask([...lines, `Authorization: Bearer ${token}`]);
        const refusal = header("x3sproxy-refusal");
        assert.ok(
          refusal === "sensitive_endpoint" || refusal === "bad_path",
          `${String(refusal)} ${lines.join()}`,
        );
      }
    }
  }
  assert.ok(asked > 500);
  assert.equal(upstream.connections.length, 0);
});
