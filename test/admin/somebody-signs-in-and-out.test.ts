import assert from "node:assert/strict";
import { it } from "node:test";
import { stringAt } from "./fixture.ts";
import { OWNER_EMAIL, PASSWORD, assertRefused, openPeople } from "./people.ts";

it("over https the cookie is bound to the host; over loopback http it has a plain name", async (t) => {
  const { first, made } = await openPeople(t);
  const set = made.headers.getSetCookie();
  assert.equal(set.length, 1);
  assert.match(
    set[0] ?? "",
    /^__Host-x3sproxy-443=x3ssess_[A-Za-z0-9_-]{43}; Path=\/; HttpOnly; SameSite=Strict; Secure$/,
  );
  assert.equal(
    made.headers.get("strict-transport-security"),
    "max-age=63072000; includeSubDomains",
  );
  const out = await first.call("POST", "/sign-out");
  assert.equal(out.status, 204);
  assert.match(
    out.headers.getSetCookie()[0] ?? "",
    /^__Host-x3sproxy-443=; Path=\/; .*; Max-Age=0$/,
  );

  const plain = await openPeople(t, { dashboardUrl: "http://127.0.0.1:8788" });
  assert.match(
    plain.made.headers.getSetCookie()[0] ?? "",
    /^x3sproxy-8788=x3ssess_[A-Za-z0-9_-]{43}; Path=\/; HttpOnly; SameSite=Strict$/,
  );
  assert.equal(plain.made.headers.get("strict-transport-security"), null);
  assert.equal((await plain.first.call("GET", "/me")).status, 200);
  for (const name of ["__Host-x3sproxy-8788", "x3sproxy", "x3sproxy-8789", "x3sproxy-"]) {
    const cookie = `${name}=${plain.first.cookie() ?? ""}`;
    assert.equal((await plain.first.call("GET", "/me", undefined, { cookie })).status, 401);
  }
});

it("signing in tells who one is; the address is taken in any case and with space around it", async (t) => {
  const { browse, ownerId, workspaceId, events, owner, cookieName } = await openPeople(t);
  const browser = browse();
  const answer = await browser.signIn(`  ${OWNER_EMAIL.toUpperCase()} `);
  assert.equal(answer.status, 200, answer.text);
  const { session, ...me } = answer.body["me"] as Record<string, unknown>;
  assert.deepEqual(me, {
    kind: "user",
    id: ownerId,
    name: OWNER_EMAIL,
    role: "owner",
    agents: null,
    workspace: { id: workspaceId, name: "default", secondFactorRequired: false },
    secondFactor: { enrolled: false, recoveryCodesLeft: 0 },
    mustEnrol: false,
  });
  assert.deepEqual(Object.keys(session as object).sort(), ["endsAt", "id", "provedAt"]);
  assert.deepEqual((await browser.call("GET", "/me")).body["me"], answer.body["me"]);
  assert.equal((await browser.call("GET", "/secrets")).status, 200);
  const [event] = (await events("user.sign_in")).slice(-1);
  assert.partialDeepStrictEqual(event, {
    actor_kind: "user",
    actor_name: OWNER_EMAIL,
    address: browser.address,
    method: "password",
    target_kind: "user",
    result: "done",
  });

  const kept = browser.cookie() ?? "";
  const secret = browser.secret() ?? "";
  const rows = await owner`select to_jsonb(s)::text as text from x3sproxy.sessions s`;
  for (const part of [kept, secret]) {
    assert.ok(!JSON.stringify(rows).includes(part.slice(10)), "only a hash is kept");
  }
  assert.equal((await browser.call("POST", "/sign-out")).status, 204);
  const headers = { cookie: `${cookieName}=${kept}`, "x3sproxy-session": secret };
  assertRefused(await browser.call("GET", "/me", undefined, headers), 401, "unauthenticated");
  assert.equal((await events("user.sign_out")).length, 1);
});

it("an unknown user, a wrong password and a wrong code get one and the same answer", async (t) => {
  const { browse, first, enrol, events, nextCode } = await openPeople(t);
  const { phone } = await enrol(first);
  const wrong = nextCode(phone) === "123456" ? "654321" : "123456";
  assertRefused(await browse().signIn(OWNER_EMAIL), 401, "second_factor_needed");
  const answers = [
    await browse().signIn("nobody@example.test"),
    await browse().signIn("nobody@example.test", PASSWORD, wrong),
    await browse().signIn("not an address"),
    await browse().signIn(OWNER_EMAIL, "another password"),
    await browse().signIn(OWNER_EMAIL, ""),
    await browse().signIn(OWNER_EMAIL, "another password", nextCode(phone)),
    await browse().signIn(OWNER_EMAIL, PASSWORD, wrong),
    await browse().signIn(OWNER_EMAIL, PASSWORD, "aaaa-aaaa-aaaa"),
  ];
  for (const answer of answers) {
    assertRefused(answer, 401, "sign_in_refused");
    assert.equal(answer.text, answers[0]?.text);
    assert.deepEqual(answer.headers.getSetCookie(), []);
  }
  const refusals = await events("user.sign_in_refused");
  assert.equal(refusals.length, 5, "those of a user that there is");
  assert.deepEqual(
    refusals.map(({ actor_name, result }) => [actor_name, result]),
    [...Array.from({ length: 3 }, () => "password_wrong"), "code_wrong", "code_wrong"].map(
      (result) => [OWNER_EMAIL, result],
    ),
  );
});

it("with an Authorization header the cookie is ignored; of two session cookies neither counts", async (t) => {
  const { first, apiKey, cookieName } = await openPeople(t);
  const asKey = await first.call("GET", "/me", undefined, { authorization: `Bearer ${apiKey}` });
  assert.partialDeepStrictEqual(asKey.body["me"], {
    kind: "api_key",
    session: null,
    secondFactor: null,
    role: "owner",
  });
  const wrongKey = { authorization: `Bearer x3skey_${"A".repeat(32)}` };
  assert.equal((await first.call("GET", "/me", undefined, wrongKey)).status, 401);
  const own = `${cookieName}=${first.cookie() ?? ""}`;
  for (const cookie of [`${own}; ${own}`, `${cookieName}=x3ssess_${"A".repeat(43)}; ${own}`]) {
    assert.equal((await first.call("GET", "/me", undefined, { cookie })).status, 401);
  }
  const among = { cookie: `a=b; ${own}; c=d` };
  assert.equal(stringAt(await first.call("GET", "/me", undefined, among), "me", "kind"), "user");
});
