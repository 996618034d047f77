// The API's client in the browser, against a scripted fetch: which answers it deals with by itself, and how.
import assert from "node:assert/strict";
import { it, type TestContext } from "node:test";
import { ApiProblem, createCall, createDownload } from "../../src/dashboard/api.ts";
import { answerShapes } from "../../src/dashboard/build.ts";

const SHAPES = answerShapes();

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
const SECRET = {
  ...{ id: "s", provider: "openai", environment: "production", label: "" },
  ...{ origin: "https://api.openai.com", version: 2, masked: "…", candidate: null },
  ...{ createdAt: "", updatedAt: "", dueAt: "", refusals: null, misplaced: null },
};
const SIGN_IN = { body: { email: "me@example.test", password: "" } };
const signedIn = (sessionSecret: string) => ({
  me: { ...ME, session: { id: "3", provedAt: "", endsAt: "" } },
  sessionSecret,
});

type Scripted = readonly [status: number, body?: unknown, headers?: Record<string, string>];

/** Answers the calls in turn; gives what was sent and what was told. */
function script(t: TestContext, answers: readonly Scripted[], proof: () => Promise<void>) {
  const left = [...answers];
  let kept: string | undefined;
  /** Of all tabs. */
  const secret = {
    get: () => kept,
    set: (value: string) => void (kept = value),
    remove: () => void (kept = undefined),
  };
  const sent: { method: string; url: string; secret: string | undefined; body: unknown }[] = [];
  const told: string[] = [];
  t.mock.method(globalThis, "fetch", (url: string, init: RequestInit) => {
    const headers = init.headers as Record<string, string>;
    const body = init.body as string | undefined;
    sent.push({
      method: init.method ?? "",
      url,
      secret: headers["x3sproxy-session"],
      body: body === undefined ? undefined : JSON.parse(body),
    });
    assert.equal(init.credentials, "same-origin");
    assert.equal(init.redirect, "error");
    const [status, answer, more] = left.shift() ?? [500];
    const text = answer === undefined ? null : JSON.stringify(answer);
    return Promise.resolve(new Response(text, { status, ...(more && { headers: more }) }));
  });
  const events = {
    signedOut: () => void told.push("signed out"),
    secondFactorRequired: () => void told.push("second factor"),
    prove: () => {
      told.push("prove");
      return proof();
    },
  };
  const call = createCall(events, secret, SHAPES);
  return { call, download: createDownload(events, secret), secret, sent, told };
}

const problem = (code: string) => ({ code, detail: `It is ${code}.` });
const isProblem = (code: string) => (error: unknown) =>
  error instanceof ApiProblem && error.code === code;

it("every call carries the session's secret, and one that needs proof is made again after it", async (t) => {
  const { call, sent, told } = script(
    t,
    [
      [200, signedIn("first")],
      [200, signedIn("")],
      [403, problem("proof_needed")],
      [200, { secret: SECRET, test: null }],
    ],
    () => Promise.resolve(),
  );
  await call("POST /sign-in", SIGN_IN);
  await call("GET /me");
  const body = { provider: "openai", value: "FAKE" };
  const { secret } = await call("PUT /secrets", { body });
  assert.equal(secret.version, 2);
  assert.deepEqual(told, ["prove"]);
  assert.deepEqual(
    sent.map(({ method, url, secret: shown }) => [method, url, shown]),
    [
      ["POST", "/api/v1/sign-in", undefined],
      ["GET", "/api/v1/me", "first"],
      ["PUT", "/api/v1/secrets", ""],
      ["PUT", "/api/v1/secrets", ""],
    ],
  );
  assert.deepEqual(sent[3]?.body, body);
});

it("a proof that is not given ends the call, and nothing is sent again", async (t) => {
  const { call, sent } = script(t, [[403, problem("proof_needed")]], () =>
    Promise.reject(new ApiProblem(0, "not_proved", "Nothing was changed.")),
  );
  await assert.rejects(
    call("DELETE /invitations/:id", { params: { id: "1" } }),
    isProblem("not_proved"),
  );
  assert.equal(sent.length, 1);
});

it("a session that another tab has renewed goes on with the secret that all tabs share", async (t) => {
  const { call, secret, sent, told } = script(
    t,
    [[200, signedIn("old")], [401, problem("unauthenticated")], [204]],
    () => Promise.resolve(),
  );
  await call("POST /sign-in", SIGN_IN);
  const under = call("DELETE /invitations/:id", { params: { id: "1" } });
  secret.set("new");
  await under;
  assert.deepEqual(
    sent.map(({ secret: shown }) => shown),
    [undefined, "old", "new"],
  );
  assert.deepEqual([told, secret.get()], [[], "new"]);
});

it("signing out, and an end of the session, leave no secret behind", async (t) => {
  const { call, secret, sent } = script(
    t,
    [[200, signedIn("first")], [204], [200, signedIn("second")], [401, problem("unauthenticated")]],
    () => Promise.resolve(),
  );
  await call("POST /sign-in", SIGN_IN);
  await call("POST /sign-out");
  assert.equal(secret.get(), undefined);
  await call("POST /sign-in", SIGN_IN);
  await assert.rejects(call("GET /secrets"), isProblem("unauthenticated"));
  assert.equal(secret.get(), undefined);
  assert.equal(sent.length, 4, "it is not tried again");
});

it("a file is asked for with the secret, too, and one that breaks off is a problem", async (t) => {
  const { download, secret, sent } = script(
    t,
    [
      [200, { an: "event" }, { "content-disposition": 'attachment; filename="audit.jsonl"' }],
      [503, problem("busy")],
    ],
    () => Promise.resolve(),
  );
  secret.set("first");
  const { name, content } = await download("GET /audit/export", { query: { format: "jsonl" } });
  assert.deepEqual([name, await content.text()], ["audit.jsonl", '{"an":"event"}']);
  assert.equal(sent[0]?.secret, "first");
  await assert.rejects(
    download("GET /audit/export", { query: { format: "csv" } }),
    isProblem("busy"),
  );
  t.mock.restoreAll();
  const broken = new ReadableStream({
    start: (controller) => controller.error(new Error("cut off")),
  });
  t.mock.method(globalThis, "fetch", () => Promise.resolve(new Response(broken)));
  await assert.rejects(
    download("GET /audit/export", { query: { format: "csv" } }),
    isProblem("broken_off"),
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
    await assert.rejects(call("POST /sign-in", SIGN_IN), isProblem(code));
  }
  assert.deepEqual(told, []);
  await assert.rejects(call("GET /secrets"), isProblem("unauthenticated"));
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
  await assert.rejects(call("GET /secrets"), isProblem("unexpected_answer"));
  await assert.rejects(call("GET /secrets"), isProblem("unknown"));
  await assert.rejects(
    call("GET /secrets"),
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
  const { me } = await call("GET /me");
  assert.equal(me.name, "ci\\u202enimda");
  assert.equal(me.workspace.name, "a\\u200bb");
  await assert.rejects(call("GET /me"), { message: "\\u2066no\\u2069" });
});
