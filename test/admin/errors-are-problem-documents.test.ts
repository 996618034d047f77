import assert from "node:assert/strict";
import { connect } from "node:net";
import { it } from "node:test";
import { FAKE_KEY, assertHides, openAdmin, type Answer } from "./fixture.ts";

function assertProblem(answer: Answer, status: number, code: string): void {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.headers.get("content-type"), "application/problem+json; charset=utf-8");
  assert.equal(answer.body["status"], status);
  assert.equal(answer.body["code"], code);
  assert.equal(answer.body["type"], "about:blank");
  assert.equal(typeof answer.body["title"], "string");
  assert.equal(typeof answer.body["detail"], "string");
  assert.match(answer.headers.get("content-security-policy") ?? "", /^default-src 'none'/);
  assert.equal(answer.headers.get("cache-control"), "no-store");
}

it("bodies that are not the JSON that is asked for are refused", async (t) => {
  const { send, apiKey } = await openAdmin(t);
  const put = (body: string | Uint8Array<ArrayBuffer>, type = "application/json") =>
    send("/api/v1/secrets", {
      method: "PUT",
      headers: { authorization: `Bearer ${apiKey}`, "content-type": type },
      body,
    });
  const good = JSON.stringify({ provider: "openai", value: FAKE_KEY });
  const cases: [string, Promise<Answer>, number, string][] = [
    ["malformed", put("{"), 400, "invalid_json"],
    ["empty", put(""), 400, "invalid_json"],
    ["text", put(good, "text/plain"), 415, "unsupported_media_type"],
    ["form", put("a=b", "application/x-www-form-urlencoded"), 415, "unsupported_media_type"],
    ["like JSON", put(good, "application/jsonp"), 415, "unsupported_media_type"],
    ["65 KB", put(JSON.stringify({ value: "x".repeat(65 * 1024) })), 413, "body_too_large"],
    ["array", put("[]"), 422, "invalid_request"],
    ["null", put("null"), 422, "invalid_request"],
    ["wrong type", put('{"provider":1,"value":"x"}'), 422, "invalid_request"],
    ["bad name", put('{"provider":"../x","value":"x"}'), 422, "invalid_request"],
    [
      "unknown field",
      put('{"provider":"openai","value":"x","role":"owner"}'),
      422,
      "invalid_request",
    ],
  ];
  for (const [name, answer, status, code] of cases) {
    await t.test(name, async () => assertProblem(await answer, status, code));
  }
});

it("an unknown field is answered with those that there are, and not named itself", async (t) => {
  const { call } = await openAdmin(t);
  const body = { provider: "openai", key: FAKE_KEY };
  const { body: answer } = await call("PUT", "/api/v1/secrets", body);
  const { detail } = answer as { detail: string };
  assert.match(detail, /unknown field; there are provider, .*\bvalue\b/);
  assert.doesNotMatch(detail, /\bkey\b/);
  const listed = await call("GET", "/api/v1/audit?who=ada");
  assert.match(
    (listed.body as { detail: string }).detail,
    /there are limit, cursor, action, actor/,
  );
});

it("a body that reaches for a prototype is refused and changes nothing", async (t) => {
  const { send, apiKey, call } = await openAdmin(t);
  for (const body of [
    '{"__proto__":{"role":"owner","environment":"x"}}',
    '{"constructor":{"prototype":{"role":"owner"}}}',
    '{"\\u005f_proto__":{"ttlSeconds":1}}',
  ]) {
    const answer = await send("/api/v1/agents/someone/deployments", {
      method: "POST",
      headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
      body,
    });
    assertProblem(answer, 400, "invalid_json");
  }
  assert.equal(({} as Record<string, unknown>)["role"], undefined);
  assert.deepEqual((await call("GET", "/api/v1/agents")).body, {
    agents: [],
    total: 0,
    nextCursor: null,
  });
});

it("a problem never repeats what was sent", async (t) => {
  const { call, log } = await openAdmin(t);
  const answers = await Promise.all([
    call("PUT", "/api/v1/secrets", { [FAKE_KEY]: 1 }),
    call("PUT", "/api/v1/secrets", { provider: FAKE_KEY, value: FAKE_KEY }),
    call("PUT", "/api/v1/secrets", { provider: "openai", value: FAKE_KEY, label: FAKE_KEY }),
    call("PUT", "/api/v1/secrets", { provider: "openai", value: `${FAKE_KEY}\n` }),
    call("PUT", "/api/v1/secrets", { provider: "openai", value: FAKE_KEY, origin: FAKE_KEY, x: 1 }),
    call("GET", `/api/v1/${encodeURIComponent(FAKE_KEY)}?key=${encodeURIComponent(FAKE_KEY)}`),
    call("DELETE", `/api/v1/secrets/${encodeURIComponent(FAKE_KEY)}`),
    call("DELETE", `/api/v1/agents/${encodeURIComponent(FAKE_KEY)}`),
    call("POST", `/api/v1/agents/${encodeURIComponent(FAKE_KEY)}/deployments`, {}),
    call("GET", "/api/v1/secrets", undefined, FAKE_KEY),
  ]);
  for (const { status, text } of answers) {
    assert.ok(status >= 400 && status < 500, text);
    assertHides(text, FAKE_KEY);
  }
  assertHides(log.join(""), FAKE_KEY);
});

it("paths that lead nowhere are 404, ones that can't be decoded 400", async (t) => {
  const { call } = await openAdmin(t);
  assertProblem(await call("GET", "/api/v1/nothing"), 404, "not_found");
  assertProblem(await call("PATCH", "/api/v1/secrets"), 404, "not_found");
  assertProblem(await call("GET", "/api/v1/secrets/%zz"), 400, "bad_request");
  assertProblem(await call("GET", "/pages/..%2fserver.ts"), 404, "not_found");
  assertProblem(await call("DELETE", `/api/v1/agents/${"a".repeat(300)}`), 404, "not_found");
  assertProblem(await call("DELETE", "/api/v1/agents/a%00b"), 404, "agent_not_found");
  assertProblem(await call("DELETE", "/api/v1/secrets/not-an-id"), 404, "secret_not_found");
});

it("what is not HTTP gets a 400 with the same headers", async (t) => {
  const { port } = await openAdmin(t);
  const socket = connect(port, "127.0.0.1");
  socket.setEncoding("latin1");
  socket.end("\x16\x03\x01 hello\r\n\r\n");
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  assert.match(text, /^HTTP\/1\.1 400 Bad Request\r\n/);
  assert.match(text, /\r\ncontent-security-policy: default-src 'none'/);
  assert.match(text, /"code":"bad_request"/);
});

it("an error of ours is a 500 with an opaque id, which the log has too", async (t) => {
  const { call, owner, log } = await openAdmin(t);
  await owner`alter table x3sproxy.agents rename to agents_gone`;
  const answer = await call("GET", "/api/v1/agents");
  assertProblem(answer, 500, "internal_error");
  assert.doesNotMatch(answer.text, /agents|relation|select/);
  const id = /^urn:uuid:([0-9a-f-]{36})$/.exec(String(answer.body["instance"]))?.[1];
  assert.ok(id !== undefined);
  const line = log.find((text) => text.includes(id)) ?? "";
  assert.match(line, /"errorCode":"42P01"/);
  assert.doesNotMatch(line, /relation/);
});

it("a database that does not answer is a 503 with Retry-After, not a 401", async (t) => {
  const { call } = await openAdmin(t, { controlUrl: "postgres://nobody:x@127.0.0.1:1/none" });
  // More often than authentication may fail: this is no failure of the caller's.
  for (let i = 0; i < 22; i++) {
    const answer = await call("GET", "/api/v1/whoami");
    assertProblem(answer, 503, "store_unavailable");
    assert.equal(answer.headers.get("retry-after"), "2");
  }
});
