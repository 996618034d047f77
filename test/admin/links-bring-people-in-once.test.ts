import assert from "node:assert/strict";
import { it } from "node:test";
import { stringAt } from "./fixture.ts";
import { OWNER_EMAIL, PASSWORD, assertRefused, openPeople, tokenOf } from "./people.ts";

const DAY_MS = 86_400_000;

it("an invitation makes one user with the role that it says, however often it is accepted at once", async (t) => {
  const { first, browse, owner, events } = await openPeople(t);
  const invite = { email: " New@Example.test ", role: "operator", agents: ["coder"] };
  const invited = await first.call("POST", "/invitations", invite);
  assert.equal(invited.status, 201, invited.text);
  assert.match(
    stringAt(invited, "url"),
    /^https:\/\/x3s\.example\.test\/invitation#token=x3slink_/,
  );
  const token = tokenOf(invited);
  const days = (Date.parse(stringAt(invited, "invitation", "expiresAt")) - Date.now()) / DAY_MS;
  assert.ok(days > 2.99 && days <= 3, String(days));

  const look = await browse().call("POST", "/links/look", { token });
  assert.deepEqual(look.body, {
    kind: "invitation",
    email: "new@example.test",
    role: "operator",
    needsCode: false,
  });
  assertRefused(
    await browse().call("POST", "/invitations/accept", { token, password: "password123456" }),
    422,
    "password_common",
  );
  const browsers = Array.from({ length: 8 }, () => browse());
  const accepted = await Promise.all(
    browsers.map((each) => each.call("POST", "/invitations/accept", { token, password: PASSWORD })),
  );
  const won = accepted.filter(({ status }) => status === 201);
  assert.equal(won.length, 1);
  for (const answer of accepted) {
    if (answer.status !== 201) assertRefused(answer, 401, "link_invalid");
  }
  assert.partialDeepStrictEqual(won[0]?.body["me"], {
    name: "new@example.test",
    role: "operator",
    agents: ["coder"],
  });
  assertRefused(await browse().call("POST", "/links/look", { token }), 401, "link_invalid");
  assert.equal((await owner`select from x3sproxy.users`).count, 2);
  assert.equal((await browse().signIn("NEW@example.test")).status, 200);
  const [created] = (await events("user.create")).slice(-1);
  assert.partialDeepStrictEqual(created, { actor_kind: "link", target_name: "new@example.test" });
});

it("open invitations are listed without their links, replaced by a later one, and withdrawn", async (t) => {
  const { first, browse, owner } = await openPeople(t);
  const invite = (email: string) => first.call("POST", "/invitations", { email, role: "viewer" });
  const old = tokenOf(await invite("a@example.test"));
  const current = await invite("A@example.test");
  await invite("b@example.test");
  const list = await first.call("GET", "/invitations");
  assert.partialDeepStrictEqual(list.body, {
    invitations: [
      { email: "b@example.test", role: "viewer", agents: null, invitedBy: OWNER_EMAIL },
      { email: "a@example.test" },
    ],
  });
  assert.doesNotMatch(list.text, /x3slink|hash|token/);
  assertRefused(await browse().call("POST", "/links/look", { token: old }), 401, "link_invalid");
  const path = `/invitations/${stringAt(current, "invitation", "id")}`;
  assert.equal((await first.call("DELETE", path)).status, 204);
  assertRefused(await first.call("DELETE", path), 404, "invitation_not_found");
  const body = { token: tokenOf(current), password: PASSWORD };
  assertRefused(await browse().call("POST", "/invitations/accept", body), 401, "link_invalid");

  assertRefused(await invite(OWNER_EMAIL.toUpperCase()), 409, "user_exists");
  const admin = { email: "c@example.test", role: "admin", agents: ["coder"] };
  assertRefused(await first.call("POST", "/invitations", admin), 422, "agents_not_allowed");
  const late = tokenOf(await invite("late@example.test"));
  await owner`update x3sproxy.invitations set expires_at = now() - interval '1 second'`;
  assertRefused(await browse().call("POST", "/links/look", { token: late }), 401, "link_invalid");
  assert.deepEqual((await first.call("GET", "/invitations")).body, {
    invitations: [],
    total: 0,
    nextCursor: null,
  });
});

it("somebody who is a user of another workspace can't be made one of this", async (t) => {
  const { first, browse, owner, addWorkspace } = await openPeople(t);
  const elsewhere = await addWorkspace("elsewhere");
  await owner`
    insert into x3sproxy.users (id, workspace_id, email, password_hash, role)
    values (gen_random_uuid(), ${elsewhere}, 'taken@example.test', 'none', 'viewer')`;
  const invited = await first.call("POST", "/invitations", {
    email: "taken@example.test",
    role: "viewer",
  });
  const body = { token: tokenOf(invited), password: PASSWORD };
  assertRefused(await browse().call("POST", "/invitations/accept", body), 409, "email_taken");
});

it("a reset gives another password once, within 24 hours; a later link ends the one before", async (t) => {
  const { first, browse, join, owner, events } = await openPeople(t);
  const { id, email } = await join("worker@example.test", "viewer");
  const reset = () => first.call("POST", `/users/${id}/reset`, {});
  const old = tokenOf(await reset());
  const made = await reset();
  assert.match(stringAt(made, "url"), /^https:\/\/x3s\.example\.test\/reset#token=/);
  const hours = (Date.parse(stringAt(made, "expiresAt")) - Date.now()) / 3_600_000;
  assert.ok(hours > 23.9 && hours <= 24, String(hours));
  const accept = (token: string) =>
    browse().call("POST", "/resets/accept", { token, password: "quite another one" });
  assertRefused(await accept(old), 401, "link_invalid");
  const look = await browse().call("POST", "/links/look", { token: tokenOf(made) });
  assert.deepEqual(look.body, { kind: "reset", email, role: "viewer", needsCode: false });
  const answers = await Promise.all(Array.from({ length: 6 }, () => accept(tokenOf(made))));
  assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  assertRefused(await browse().signIn(email), 401, "sign_in_refused");
  assert.equal((await browse().signIn(email, "quite another one")).status, 200);
  assert.equal((await events("password.reset")).length, 1);

  const late = tokenOf(await reset());
  await owner`update x3sproxy.resets set expires_at = now() - interval '1 second'`;
  assertRefused(await accept(late), 401, "link_invalid");
  const unused = tokenOf(await reset());
  const browser = browse();
  await browser.signIn(email, "quite another one");
  await browser.call("PUT", "/me/password", { current: "quite another one", password: PASSWORD });
  assertRefused(await accept(unused), 401, "link_invalid");
});

it("a reset does not get past a second factor, unless its owner said so", async (t) => {
  const { first, browse, join, enrol } = await openPeople(t);
  const { id, email, browser } = await join("worker@example.test", "viewer");
  const { recoveryCodes, nextCode } = await enrol(browser);
  const password = "quite another one";
  const token = tokenOf(await first.call("POST", `/users/${id}/reset`, {}));
  const look = await browse().call("POST", "/links/look", { token });
  assert.equal(look.body["needsCode"], true);
  const accept = (body: object) =>
    browse().call("POST", "/resets/accept", { token, password, ...body });
  assertRefused(await accept({}), 401, "second_factor_needed");
  assertRefused(await accept({ code: "aaaa-aaaa-aaaa" }), 401, "proof_refused");
  assert.equal((await accept({ code: nextCode() })).status, 200);

  const whole = tokenOf(await first.call("POST", `/users/${id}/reset`, { secondFactor: true }));
  const answer = await browse().call("POST", "/resets/accept", { token: whole, password });
  assert.equal(answer.status, 200, answer.text);
  assert.partialDeepStrictEqual(answer.body["me"], {
    secondFactor: { enrolled: false, recoveryCodesLeft: 0 },
  });
  assertRefused(await browse().signIn(email, "wrong", recoveryCodes[0]), 401, "sign_in_refused");
  assert.equal((await browse().signIn(email, password)).status, 200);
});

it("a link is good for its own purpose only, and unknown ones are all alike", async (t) => {
  const { first, browse, setupToken, ownerId } = await openPeople(t);
  const invitation = tokenOf(
    await first.call("POST", "/invitations", { email: "a@example.test", role: "viewer" }),
  );
  const reset = tokenOf(await first.call("POST", `/users/${ownerId}/reset`, {}));
  const texts = new Set<string>();
  for (const [path, token] of [
    ["/invitations/accept", reset],
    ["/resets/accept", invitation],
    ["/invitations/accept", setupToken],
    ["/resets/accept", `x3slink_${"A".repeat(32)}`],
    ["/links/look", setupToken],
    ["/links/look", ""],
    ["/links/look", "x3slink_'; drop table users --"],
  ] as const) {
    const password = path === "/links/look" ? {} : { password: PASSWORD };
    const answer = await browse().call("POST", path, { token, ...password });
    assertRefused(answer, 401, "link_invalid");
    texts.add(answer.text);
  }
  assert.equal(texts.size, 1);
  assert.equal((await browse().call("POST", "/links/look", { token: reset })).status, 200);
});
