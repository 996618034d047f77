import assert from "node:assert/strict";
import { it } from "node:test";
import { stringAt } from "./fixture.ts";
import { OWNER_EMAIL, PASSWORD, assertRefused, createPhone, openPeople } from "./people.ts";

it("enrolling gives a new session value and ten recovery codes; then signing in takes a code", async (t) => {
  const { first, browse, enrol, events, clock } = await openPeople(t);
  const before = first.cookie();
  const phone = createPhone();
  const late = { seed: phone.seed, code: phone.code(clock.nowMs() - 120_000) };
  assertRefused(await first.call("PUT", "/me/second-factor", late), 422, "code_wrong");
  assert.equal(first.cookie(), before);

  const { recoveryCodes, nextCode, answer } = await enrol(first);
  assert.notEqual(first.cookie(), before);
  assert.equal(recoveryCodes.length, 10);
  assert.equal(new Set(recoveryCodes).size, 10);
  for (const code of recoveryCodes)
    assert.match(code, /^[0-9a-hjkmnp-tv-z]{4}(-[0-9a-hjkmnp-tv-z]{4}){2}$/);
  assert.partialDeepStrictEqual(answer.body["me"], {
    secondFactor: { enrolled: true, recoveryCodesLeft: 10 },
  });
  assert.equal((await first.call("GET", "/me")).status, 200);

  const phoneLess = browse();
  assertRefused(await phoneLess.signIn(OWNER_EMAIL), 401, "second_factor_needed");
  const code = nextCode();
  assert.equal((await phoneLess.signIn(OWNER_EMAIL, PASSWORD, code)).status, 200);
  assertRefused(await browse().signIn(OWNER_EMAIL, PASSWORD, code), 401, "sign_in_refused");
  assert.equal((await events("user.sign_in")).at(-1)?.["method"], "password+totp");
});

it("the code that enrolled does not sign in, nor does one of an earlier step", async (t) => {
  const { first, browse, enrol, clock, nextCode } = await openPeople(t);
  const { phone } = await enrol(first);
  const used = phone.code(clock.nowMs());
  assertRefused(await browse().signIn(OWNER_EMAIL, PASSWORD, used), 401, "sign_in_refused");
  const earlier = nextCode(phone);
  const later = phone.code(clock.nowMs() + 30_000);
  assert.equal((await browse().signIn(OWNER_EMAIL, PASSWORD, later)).status, 200);
  assertRefused(await browse().signIn(OWNER_EMAIL, PASSWORD, earlier), 401, "sign_in_refused");
});

it("a recovery code signs in once, however it is typed; new ones end the old", async (t) => {
  const { first, browse, enrol, events } = await openPeople(t);
  const { recoveryCodes } = await enrol(first);
  const [one = "", two = "", three = ""] = recoveryCodes;
  const browser = browse();
  const typed = ` ${one.toUpperCase().replaceAll("-", " ").replaceAll("0", "O").replaceAll("1", "I")} `;
  const answer = await browser.signIn(OWNER_EMAIL, PASSWORD, typed);
  assert.equal(answer.status, 200, answer.text);
  assert.partialDeepStrictEqual(answer.body["me"], { secondFactor: { recoveryCodesLeft: 9 } });
  assert.equal((await events("user.sign_in")).at(-1)?.["method"], "password+recovery_code");
  assertRefused(await browse().signIn(OWNER_EMAIL, PASSWORD, one), 401, "sign_in_refused");

  const renewed = await browser.call("POST", "/me/recovery-codes");
  const fresh = renewed.body["recoveryCodes"] as string[];
  assert.equal(fresh.length, 10);
  assertRefused(await browse().signIn(OWNER_EMAIL, PASSWORD, two), 401, "sign_in_refused");
  assert.equal((await browse().signIn(OWNER_EMAIL, PASSWORD, fresh[0])).status, 200);
  assertRefused(await browse().signIn(OWNER_EMAIL, PASSWORD, three), 401, "sign_in_refused");
});

it("another phone takes the place of the first; removing it makes the password enough", async (t) => {
  const { first, browse, enrol, nextCode, events } = await openPeople(t);
  const old = await enrol(first);
  const current = await enrol(first);
  assertRefused(
    await browse().signIn(OWNER_EMAIL, PASSWORD, nextCode(old.phone)),
    401,
    "sign_in_refused",
  );
  const oldCode = old.recoveryCodes[0];
  assertRefused(await browse().signIn(OWNER_EMAIL, PASSWORD, oldCode), 401, "sign_in_refused");
  assert.equal((await browse().signIn(OWNER_EMAIL, PASSWORD, current.nextCode())).status, 200);

  const before = first.cookie();
  const removed = await first.call("DELETE", "/me/second-factor");
  assert.equal(removed.status, 200, removed.text);
  assert.notEqual(first.cookie(), before);
  assert.partialDeepStrictEqual(removed.body["me"], {
    secondFactor: { enrolled: false, recoveryCodesLeft: 0 },
  });
  assert.equal((await browse().signIn(OWNER_EMAIL)).status, 200);
  assertRefused(await first.call("POST", "/me/recovery-codes"), 409, "second_factor_missing");
  const actions = (await events()).map(({ action }) => action);
  for (const action of ["second_factor.enrol", "second_factor.remove"]) {
    assert.ok(actions.includes(action), action);
  }
});

it("where the workspace asks for one, who has none can do nothing but enrol", async (t) => {
  const { first, browse, join, enrol, call } = await openPeople(t);
  const { email, browser } = await join("worker@example.test", "operator");
  assert.equal(
    (await first.call("PATCH", "/workspace", { secondFactorRequired: true })).status,
    200,
  );
  for (const each of [first, browser]) {
    assertRefused(await each.call("GET", "/agents"), 403, "second_factor_required");
  }
  assertRefused(await first.call("GET", "/users"), 403, "second_factor_required");
  const again = browse();
  const answer = await again.signIn(email);
  assert.partialDeepStrictEqual(answer.body["me"], {
    mustEnrol: true,
    workspace: { secondFactorRequired: true },
  });
  assertRefused(
    await again.call("POST", "/agents/coder/deployments", {}),
    403,
    "second_factor_required",
  );
  assert.equal((await again.call("GET", "/me/sessions")).status, 200);

  const { answer: enrolled } = await enrol(again);
  assert.equal((enrolled.body["me"] as { mustEnrol: boolean }).mustEnrol, false);
  assert.equal((await again.call("GET", "/agents")).status, 200);
  assertRefused(await again.call("DELETE", "/me/second-factor"), 409, "second_factor_required");
  assert.equal((await call("GET", "/api/v1/agents")).status, 200, "API keys have no phone");
  assert.equal(stringAt(await again.call("GET", "/me"), "me", "name"), email);
});
