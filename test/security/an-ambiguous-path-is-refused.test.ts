// Path rules are worth something only when every server between here and the provider's code reads the same path.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { canonicalPath } from "../../src/proxy/path.ts";
import { openTarget } from "../support/attack.ts";

const DOTS = [
  "..",
  ".%2e",
  "%2e.",
  "%2e%2e",
  "%2E%2e",
  ".",
  "%2e",
  "...",
  "..;",
  "..;x=1",
  ";/..",
  ".;",
];
const AMBIGUOUS = [
  ...DOTS.flatMap((dots) => [
    `/v1/${dots}`,
    `/v1/${dots}/models`,
    `/v1/models/${dots}/`,
    `/${dots}/v1/models`,
    `/v1//${dots}//models`,
  ]),
  "/v1%2fmodels",
  "/v1%2Fmodels",
  "/v1/models%2f..%2f..",
  "/v1%5cmodels",
  "/v1%5C..%5Cmodels",
  // Doubly encoded: dot, slash, backslash, percent, a letter, a control.
  "/v1/%252e%252e/models",
  "/v1%252fmodels",
  "/v1%255cmodels",
  "/v1/%2525",
  "/v1/%256frganization",
  "/v1/a%2500",
  "/v1/%25%32%66",
  // Controls.
  "/v1/a%00",
  "/v1/a%0d%0aX-Api-Key:%20x",
  "/v1/a%7f",
  "/v1/a%c2%85",
  // Not UTF-8: overlong slash and dot, a lone surrogate, cut off, past the end of Unicode, latin1.
  "/v1/%c0%af",
  "/v1/%c0%ae%c0%ae/models",
  "/v1/%e0%80%af",
  "/v1/%ed%a0%80",
  "/v1/%e2%82",
  "/v1/%f4%90%80%80",
  "/v1/%e9",
  // No escape at all.
  "/v1/%",
  "/v1/%2",
  "/v1/%zz",
  "/v1/%u002e%u002e",
  // What folds into a slash, a backslash, dots or an escape.
  "/v1/%ef%bc%8fmodels",
  "/v1/%ef%bc%bcmodels",
  "/v1/%ef%bc%8e%ef%bc%8e/models",
  "/v1/%e2%80%a5/models",
  "/v1/%ef%bc%852fmodels",
  // Names of nothing but spaces and dots, which Windows drops.
  "/v1/%20/models",
  "/v1/.%20/models",
  "/v1/..%20/models",
  // No AWS resource name.
  "/model/arn:x%2f..%2fy/invoke",
  "/model/arn%3aaws%3ax%2f.%2fy",
  "/model/arn:%2fy",
  "/model/barn:x%2fy/invoke",
];

test("every spelling of an ambiguous path is refused, and nothing goes up", async (t) => {
  const { ask, token, upstream } = await openTarget(t, {
    env: { X3SPROXY_PUBLIC_URL: "http://proxy.test" },
  });
  for (const path of AMBIGUOUS) {
    for (const [target, host] of [
      [`/openai${path}`, "proxy.test"],
      [path, "openai.proxy.test"],
      [`http://openai.proxy.test${path}`, "proxy.test"],
    ] as const) {
      const { status, header } = await ask([
        `GET ${target}?x=1 HTTP/1.1`,
        `Host: ${host}`,
        `Authorization: Bearer ${token}`,
      ]);
      assert.equal(header("x3sproxy-refusal"), "bad_path", target);
      assert.equal(status, 400, target);
    }
  }
  for (const target of ["/openai/v1/models#x", "/openai/v1/models?x=1#y", "/openai/v1/models?#"]) {
    const { header } = await ask([`GET ${target} HTTP/1.1`, `Authorization: Bearer ${token}`]);
    assert.equal(header("x3sproxy-refusal"), "bad_path", target);
  }
  // Here the provider's name itself is not one, or the bytes are not HTTP.
  for (const target of [
    "/%2e%2e/openai/v1/models",
    "/openai%2fv1/models",
    "/OPENAI/v1",
    "//%2e%2e/openai/v1",
    "/openai#/v1/models",
  ]) {
    const { status } = await ask([`GET ${target} HTTP/1.1`, `Authorization: Bearer ${token}`]);
    assert.ok(status === 400 || status === 404, target);
  }
  for (const target of [
    "/openai/v1\\x",
    "/openai/v1/a\tb",
    "/openai/v1/\u00e9",
    "/openai/v1/a\u0000",
    "/openai/v1/\u007f",
  ]) {
    const answer = await ask([`GET ${target} HTTP/1.1`, `Authorization: Bearer ${token}`]);
    assert.equal(answer.status, 400, JSON.stringify(target));
  }
  assert.equal(upstream.connections.length, 0);
});

test("no path that has a canonical form means another place once it is decoded or resolved", () => {
  const piece = fc.constantFrom(
    ..."/ . % %2e %2E %2f %5c %25 2e 2f ; %3b a A v1 %61 %20 %00 %c0 %af %ef%bc%8f \\ # : arn:x + ~".split(
      " ",
    ),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
      const raw = `/${pieces.join("")}`;
      const canonical = canonicalPath(raw, "openai");
      if (canonical === undefined || raw.includes("#")) return;
      // A URL parser, which resolves dot segments in all spellings that it knows, finds none.
      assert.equal(
        new URL(`http://x.test${raw.replace(/^\/+/, "/")}`).pathname.length,
        raw.replace(/^\/+/, "/").length,
      );
      const once = decodeURIComponent(raw);
      assert.equal(/%[0-9a-f]{2}|[\\\0]/i.test(once), false, raw);
      assert.equal(
        once.split("/").some((segment) => /^\.+(?:;|$)/.test(segment)),
        false,
        raw,
      );
      if (!/arn:/i.test(once)) assert.equal(once.split("/").length, raw.split("/").length, raw);
      assert.match(canonical, /^\/(?:[^/A-Z;]+(?:\/[^/A-Z;]+)*)?$/);
    }),
    { numRuns: 20_000 },
  );
});

test("a long path is judged quickly", () => {
  for (const path of [
    "/" + ".".repeat(60_000) + "x",
    "/" + "a".repeat(60_000) + "%",
    "/a".repeat(30_000) + "%2e",
    "/" + "%20".repeat(20_000) + "x",
    "/arn:" + "a".repeat(60_000) + "%2f",
    "/arn:a" + "%2fa".repeat(15_000) + "%2f",
    "/" + ";".repeat(60_000),
  ]) {
    const startMs = performance.now();
    canonicalPath(path, "together");
    assert.ok(performance.now() - startMs < 100, path.slice(0, 12));
  }
});
