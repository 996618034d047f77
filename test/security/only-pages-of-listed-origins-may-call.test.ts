// A browser lets a page read an answer only if the answer says so. It says so to the pages of configured origins, and to no other.
import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import fc from "fast-check";
import { readConfig } from "../../src/platform/config.ts";
import { ConfigError } from "../../src/platform/errors.ts";
import { openTarget } from "../support/attack.ts";
import { inputs } from "../support/generated.ts";

const APP = "https://app.example.test";
const DEV = "http://localhost:3000";
const ENV = { X3SPROXY_CORS_ORIGINS: `${APP}, ${DEV},capacitor://localhost` };
const ANSWER = [
  "HTTP/1.1 200 OK",
  "vary: accept-encoding",
  "access-control-allow-origin: *",
  "Access-Control-Allow-Credentials: true",
  "access_control_allow_origin: *",
  "access-control-expose-headers: x-upstream",
  "x-request-id: req_1",
  "content-length: 2",
  "\r\nok",
].join("\r\n");

const preflight = (
  origin: string,
  more: readonly string[] = [],
  target = "/openai/v1/responses",
) => [
  `OPTIONS ${target} HTTP/1.1`,
  `Origin: ${origin}`,
  "Access-Control-Request-Method: POST",
  ...more,
];
const open = (t: TestContext, env: Record<string, string> = ENV) =>
  openTarget(t, { env, answer: ANSWER });
type Ask = Awaited<ReturnType<typeof openTarget>>["ask"];
const corsFields = (answer: Awaited<ReturnType<Ask>>): string[] =>
  answer.headers.filter(([name]) => /^access[-_]control/.test(name)).map(([name]) => name);
const vary = (answer: Awaited<ReturnType<Ask>>): string[] =>
  answer.headers.filter(([name]) => name === "vary").map(([, value]) => value);

describe("only pages of listed origins may call", () => {
  test("a preflight of a listed origin is answered by the proxy, without a token", async (t) => {
    const { ask, sent, plane } = await open(t);
    for (const origin of [APP, DEV, "capacitor://localhost"]) {
      for (const target of ["/openai/v1/responses", "/_x3sproxy/token", "/nobody/x"]) {
        const asked = "authorization,content-type, x-stainless-os";
        const answer = await ask(
          preflight(origin, [`Access-Control-Request-Headers: ${asked}`], target),
        );
        assert.equal(answer.status, 204);
        assert.equal(answer.header("access-control-allow-origin"), origin);
        assert.deepEqual(vary(answer), ["origin"]);
        assert.equal(answer.header("access-control-allow-headers"), asked);
        assert.match(answer.header("access-control-allow-methods") ?? "", /POST.*DELETE/);
        assert.equal(answer.header("access-control-max-age"), "7200");
        assert.equal(answer.header("access-control-allow-credentials"), undefined);
        assert.equal(answer.body, "");
      }
    }
    assert.equal(sent(), "");
    assert.equal((await plane.exchange())["status"], 204);
  });

  test("headers that are asked for are echoed only if they are field names", async (t) => {
    const { ask } = await open(t);
    for (const [asked, echoed] of [
      ["x-a", "x-a"],
      ["x-a: b", undefined],
      ["<script>", undefined],
      ["x-a,,", undefined],
      ["x a", undefined],
      ["x-\xe9", undefined],
    ] as const) {
      const answer = await ask(preflight(APP, [`Access-Control-Request-Headers: ${asked}`]));
      assert.equal(answer.status, 204);
      assert.equal(answer.header("access-control-allow-headers"), echoed, asked);
    }
    const lines = ["Access-Control-Request-Headers: x-a", "Access-Control-Request-Headers: x-b"];
    const answer = await ask(preflight(APP, lines));
    assert.equal(answer.header("access-control-allow-headers"), "x-a, x-b");
  });

  test("answers, refusals and our own answers can be read by its page; the upstream's word doesn't count", async (t) => {
    const { ask, token } = await open(t);
    const bearer = `Authorization: Bearer ${token}`;
    for (const [what, lines, status] of [
      ["an answer", ["GET /openai/v1/models HTTP/1.1", bearer], 200],
      ["a refusal without a token", ["GET /openai/v1/models HTTP/1.1"], 401],
      ["a refusal of an unknown provider", ["GET /opnai/v1/models HTTP/1.1", bearer], 404],
      ["an answer of ours", ["GET /_x3sproxy/token HTTP/1.1", bearer], 200],
      ["a registration", ["POST /_x3sproxy/register HTTP/1.1", "Content-Length: 0"], 401],
    ] as const) {
      const answer = await ask([...lines, `Origin: ${APP}`]);
      assert.equal(answer.status, status, what);
      assert.equal(answer.header("access-control-allow-origin"), APP, what);
      assert.deepEqual(corsFields(answer), [
        "access-control-allow-origin",
        "access-control-expose-headers",
      ]);
      assert.ok(vary(answer).includes("origin"), what);
      const exposed = (answer.header("access-control-expose-headers") ?? "").split(", ");
      for (const name of ["x-request-id", "request-id", "x3sproxy-refusal", "retry-after"]) {
        assert.ok(exposed.includes(name), name);
      }
      for (const name of [
        "x-ratelimit-remaining-tokens",
        "anthropic-ratelimit-input-tokens-reset",
      ]) {
        assert.ok(exposed.includes(name), name);
      }
      assert.ok(!exposed.includes("*"));
    }
    const answer = await ask(["GET /openai/v1/models HTTP/1.1", bearer, `Origin: ${APP}`]);
    assert.deepEqual(vary(answer), ["accept-encoding", "origin"]);
    assert.equal(answer.body, "ok");
  });

  test("any other origin gets nothing, however it is written", async (t) => {
    const { ask, token, sent } = await open(t);
    const origins = fc.oneof(
      fc.constantFrom(
        ...["null", "*", `${APP}.evil.test`, `${APP}/`, `${APP}:443`, "https://evil.test"],
        ...[
          `${APP},https://evil.test`,
          `${APP} ${APP}`,
          "https://APP.example.test",
          "app.example.test",
        ],
        ...["http://app.example.test", "http://localhost:3001", "http://localhost", "https://app"],
      ),
      fc.webUrl(),
      fc.string({ unit: "grapheme-ascii" }).filter((text) => !text.includes(APP)),
    );
    await fc.assert(
      fc.asyncProperty(origins, async (origin) => {
        const refused = await ask(preflight(origin.trim() || "x"));
        assert.equal(refused.header("x3sproxy-refusal"), "page_not_allowed");
        assert.equal(refused.status, 403);
        assert.deepEqual(corsFields(refused), []);
        const answer = await ask([
          "GET /openai/v1/models HTTP/1.1",
          `Authorization: Bearer ${token}`,
          `Origin: ${origin}`,
        ]);
        assert.equal(answer.status, 200);
        assert.deepEqual(corsFields(answer), [], "not even the upstream's");
      }),
      inputs(20_261_130, 60),
    );
    assert.doesNotMatch(sent(), /OPTIONS/);
  });

  test("no origin changes what a token is asked for", async (t) => {
    const { ask, sent } = await open(t);
    const answer = await ask([
      "POST /openai/v1/responses HTTP/1.1",
      `Origin: ${APP}`,
      "Content-Length: 0",
    ]);
    assert.equal(answer.header("x3sproxy-refusal"), "missing_token");
    const foreign = ["GET /openai/v1/models HTTP/1.1", "Authorization: Bearer sk-FAKE-0123456789"];
    const refused = await ask([...foreign, `Origin: ${APP}`]);
    assert.equal(refused.header("x3sproxy-refusal"), "foreign_credential");
    assert.equal(sent(), "");
  });

  test("without the setting a preflight is refused, which says what to set; OPTIONS by others goes up", async (t) => {
    const { ask, token, sent } = await open(t, {});
    const refused = await ask(preflight(APP));
    assert.equal(refused.status, 403);
    assert.match(refused.body, /X3SPROXY_CORS_ORIGINS/);
    assert.ok(!refused.text.includes("app.example.test"), "echoes nothing");
    assert.deepEqual(corsFields(refused), []);
    const options = await ask([
      "OPTIONS /openai/v1/responses HTTP/1.1",
      `Authorization: Bearer ${token}`,
    ]);
    assert.equal(options.status, 200);
    assert.match(sent(), /^OPTIONS \/v1\/responses/);
  });

  test("a preflight with doubtful framing is a bad request, and its body is no second request", async (t) => {
    const { ask, sent } = await open(t);
    const doubtful = await ask(preflight(APP, ["Transfer-Encoding: gzip, chunked"]), "0\r\n\r\n");
    assert.equal(doubtful.header("x3sproxy-refusal"), "bad_request");
    const inner = "GET /openai/v1/inner HTTP/1.1\r\nHost: x\r\n\r\n";
    const answer = await ask(preflight(APP, [`Content-Length: ${inner.length}`]), inner);
    assert.equal(answer.status, 204);
    assert.equal(answer.text.split("HTTP/1.1 ").length, 2);
    assert.equal(sent(), "");
  });

  test("the setting is checked at the start", () => {
    const read = (value: string) =>
      readConfig({
        DATABASE_URL: "postgres://x",
        X3SPROXY_MASTER_KEY: "x",
        X3SPROXY_CORS_ORIGINS: value,
      }).corsOrigins;
    assert.deepEqual([...read("")], []);
    assert.deepEqual([...read(ENV.X3SPROXY_CORS_ORIGINS)], [APP, DEV, "capacitor://localhost"]);
    for (const wrong of [
      ...["*", "null", "app.example.test", `${APP}/`, `${APP}/x`, `${APP}:443`, "http://a.test:80"],
      ...[
        "https://APP.example.test",
        "https://*.example.test",
        "https://u@a.test",
        "https://a.test?b",
      ],
      ...["javascript:alert(1)", "file://", `${APP} ${DEV}`],
    ]) {
      assert.throws(() => read(wrong), ConfigError, wrong);
    }
  });
});
