// The API's client in the browser, against a scripted fetch: which answers it deals with by itself, and how.
import assert from "node:assert/strict";
import { it, type TestContext } from "node:test";
import { read } from "../../src/dashboard/answers.ts";
import { ApiProblem, createCall } from "../../src/dashboard/api.ts";

const ME = {
  kind: "user",
  id: "1",
  name: "me@example.test",
  role: "owner",
  agents: null,
  workspace: { id: "2", name: "w", secondFactorRequired: false },
  secondFactor: null,
  mustEnrol: false,
};
const meWith = (csrfToken: string) => ({
  me: { ...ME, session: { id: "3", csrfToken, provedAt: "", endsAt: "" } },
});

type Scripted = readonly [status: number, body?: unknown, headers?: Record<string, string>];

/** Answers the calls in turn; gives what was sent and what was told. */
function script(t: TestContext, answers: readonly Scripted[], proof: () => Promise<void>) {
  const left = [...answers];
  const sent: { method: string; url: string; csrf: string | undefined; body: unknown }[] = [];
  const told: string[] = [];
  t.mock.method(globalThis, "fetch", (url: string, init: RequestInit) => {
    const headers = init.headers as Record<string, string>;
    const body = init.body as string | undefined;
    sent.push({
      method: init.method ?? "",
      url,
      csrf: headers["x-csrf-token"],
      body: body === undefined ? undefined : JSON.parse(body),
    });
    assert.equal(init.credentials, "same-origin");
    assert.equal(init.redirect, "error");
    const [status, answer, more] = left.shift() ?? [500];
    const text = answer === undefined ? null : JSON.stringify(answer);
    return Promise.resolve(new Response(text, { status, ...(more && { headers: more }) }));
  });
  const call = createCall({
    signedOut: () => void told.push("signed out"),
    secondFactorRequired: () => void told.push("second factor"),
    prove: () => {
      told.push("prove");
      return proof();
    },
  });
  return { call, sent, told };
}

const problem = (code: string) => ({ code, detail: `It is ${code}.` });
const isProblem = (code: string) => (error: unknown) =>
  error instanceof ApiProblem && error.code === code;

it("a change carries the session's token, and a call that needs proof is made again after it", async (t) => {
  const { call, sent, told } = script(
    t,
    [
      [200, meWith("first")],
      [403, problem("proof_needed")],
      [200, { secret: { id: "s", version: 2, masked: "…" } }],
    ],
    () => Promise.resolve(),
  );
  await call(read.me, "GET", "/me");
  const secret = await call(read.secret, "PUT", "/secrets", { body: { value: "FAKE" } });
  assert.equal(secret.version, 2);
  assert.deepEqual(told, ["prove"]);
  assert.deepEqual(
    sent.map(({ method, url, csrf }) => [method, url, csrf]),
    [
      ["GET", "/api/v1/me", undefined],
      ["PUT", "/api/v1/secrets", "first"],
      ["PUT", "/api/v1/secrets", "first"],
    ],
  );
  assert.deepEqual(sent[2]?.body, { value: "FAKE" });
});

it("a proof that is not given ends the call, and nothing is sent again", async (t) => {
  const { call, sent } = script(t, [[403, problem("proof_needed")]], () =>
    Promise.reject(new ApiProblem(0, "not_proved", "Nothing was changed.")),
  );
  await assert.rejects(call(read.nothing, "DELETE", "/secrets/1"), isProblem("not_proved"));
  assert.equal(sent.length, 1);
});

it("a token that is no longer the session's is asked for anew, once", async (t) => {
  const { call, sent } = script(
    t,
    [
      [403, problem("csrf")],
      [200, meWith("second")],
      [403, problem("csrf")],
    ],
    () => Promise.resolve(),
  );
  await assert.rejects(call(read.nothing, "POST", "/sign-out"), isProblem("csrf"));
  assert.deepEqual(
    sent.map(({ url, csrf }) => [url, csrf]),
    [
      ["/api/v1/sign-out", undefined],
      ["/api/v1/me", undefined],
      ["/api/v1/sign-out", "second"],
    ],
  );
});

it("401 means signed out, unless it is about a password, a code or a link", async (t) => {
  const about = ["sign_in_refused", "second_factor_needed", "proof_refused", "link_invalid"];
  const { call, told } = script(
    t,
    [...about.map((code): Scripted => [401, problem(code)]), [401, problem("unauthenticated")]],
    () => Promise.resolve(),
  );
  for (const code of about) {
    await assert.rejects(call(read.me, "POST", "/sign-in", { body: {} }), isProblem(code));
  }
  assert.deepEqual(told, []);
  await assert.rejects(call(read.secrets, "GET", "/secrets"), isProblem("unauthenticated"));
  assert.deepEqual(told, ["signed out"]);
});

it("what can't be understood is a problem, too: another shape, no JSON, no answer", async (t) => {
  const { call } = script(
    t,
    [
      [200, { secrets: [{ id: 1 }] }],
      [502, undefined],
      [429, problem("too_many_attempts"), { "retry-after": "42" }],
    ],
    () => Promise.resolve(),
  );
  await assert.rejects(call(read.secrets, "GET", "/secrets"), isProblem("unexpected_answer"));
  await assert.rejects(call(read.secrets, "GET", "/secrets"), isProblem("unknown"));
  await assert.rejects(
    call(read.secrets, "GET", "/secrets"),
    (error: unknown) => error instanceof ApiProblem && error.retryAfterS === 42,
  );
});

it("characters that nobody sees are shown by their numbers, in whatever the service answers", async (t) => {
  const odd = { ...ME, name: "ci\u202enimda", workspace: { ...ME.workspace, name: "a\u200bb" } };
  const { call } = script(
    t,
    [
      [200, { me: { ...odd, session: null } }],
      [422, { code: "invalid_request", detail: "\u2066no\u2069" }],
    ],
    () => Promise.resolve(),
  );
  const me = await call(read.me, "GET", "/me");
  assert.equal(me.name, "ci\\u202enimda");
  assert.equal(me.workspace.name, "a\\u200bb");
  await assert.rejects(call(read.me, "GET", "/me"), { message: "\\u2066no\\u2069" });
});
