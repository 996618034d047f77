import assert from "node:assert/strict";
import { it } from "node:test";
import { stringAt, type Answer } from "./fixture.ts";
import { OWNER_EMAIL, PASSWORD, assertRefused, openPeople, type Browser } from "./people.ts";

const status = async (browser: Browser): Promise<number> =>
  (await browser.call("GET", "/me")).status;

it("after 30 minutes without use, and 12 hours after signing in whatever happens", async (t) => {
  const { first, browse, owner } = await openPeople(t);
  const second = browse();
  const { body } = await second.signIn(OWNER_EMAIL);
  const { id, endsAt } = (body["me"] as { session: { id: string; endsAt: string } }).session;
  const hours = (Date.parse(endsAt) - Date.now()) / 3_600_000;
  assert.ok(hours > 11.9 && hours <= 12, String(hours));

  await owner`update x3sproxy.sessions set last_seen_at = now() - interval '29 minutes' where id = ${id}`;
  assert.equal(await status(second), 200);
  await owner`update x3sproxy.sessions set last_seen_at = now() - interval '31 minutes' where id = ${id}`;
  assert.equal(await status(second), 401);
  assert.equal(await status(first), 200);
  await owner`update x3sproxy.sessions set ends_at = now() - interval '1 second' where id <> ${id}`;
  assert.equal(await status(first), 401);
  assert.equal((await browse().signIn(OWNER_EMAIL)).status, 200);
  assert.equal((await owner`select from x3sproxy.sessions`).count, 1, "ended ones are swept");
});

it("use is written down at most once a minute", async (t) => {
  const { first, owner } = await openPeople(t);
  const seen = async () => (await owner`select xmin, last_seen_at from x3sproxy.sessions`)[0];
  const before = await seen();
  for (let i = 0; i < 5; i++) await status(first);
  assert.deepEqual(await seen(), before);
  await owner`update x3sproxy.sessions set last_seen_at = now() - interval '61 seconds'`;
  await status(first);
  const [row] =
    await owner`select last_seen_at > now() - interval '10 seconds' as lately from x3sproxy.sessions`;
  assert.equal(row?.["lately"], true);
});

it("a password change ends all others and gives this one a new value and a new id", async (t) => {
  const { first, browse, owner, events, cookieName } = await openPeople(t);
  const other = browse();
  await other.signIn(OWNER_EMAIL);
  const before = first.cookie() ?? "";
  const secretBefore = first.secret() ?? "";
  const sessionOf = (answer: Answer) => stringAt(answer, "me", "session", "id");
  const idBefore = sessionOf(await first.call("GET", "/me"));
  const ends = await owner`select ends_at from x3sproxy.sessions where id = ${idBefore}`;

  const wrong = { current: "not the password", password: "another good one" };
  assertRefused(await first.call("PUT", "/me/password", wrong), 401, "proof_refused");
  for (const [password, code] of [
    ["eleven char", "password_too_short"],
    ["x1".repeat(513), "password_too_long"],
    ["password123456", "password_common"],
  ] as const) {
    const answer = await first.call("PUT", "/me/password", { current: PASSWORD, password });
    assertRefused(answer, 422, code);
  }
  assert.equal(first.cookie(), before);
  const changed = await first.call("PUT", "/me/password", {
    current: PASSWORD,
    password: "another good one",
  });
  assert.equal(changed.status, 200, changed.text);
  assert.notEqual(first.cookie(), before);
  assert.notEqual(first.secret(), secretBefore);
  assert.notEqual(sessionOf(changed), idBefore);
  assert.equal(await status(first), 200);
  assert.equal(await status(other), 401);
  const [oldCookie, oldSecret] = [
    { cookie: `${cookieName}=${before}` },
    { "x3sproxy-session": secretBefore },
  ];
  for (const old of [oldCookie, oldSecret, { ...oldCookie, ...oldSecret }]) {
    assert.equal((await first.call("GET", "/me", undefined, old)).status, 401);
  }
  const after = await owner`select ends_at from x3sproxy.sessions`;
  assert.deepEqual([...after], [...ends], "its twelve hours go on");
  assertRefused(await browse().signIn(OWNER_EMAIL), 401, "sign_in_refused");
  assert.equal((await browse().signIn(OWNER_EMAIL, "another good one")).status, 200);
  assert.equal((await events("password.change")).length, 1);
  assert.equal((await events("user.proof_refused")).length, 1);
});

it("one's own are listed, and ended one by one or all others at once", async (t) => {
  const { first, join, browse, events } = await openPeople(t);
  const { browser: neighbour } = await join("neighbour@example.test", "owner");
  const second = browse();
  const third = browse();
  await second.signIn(OWNER_EMAIL);
  await third.signIn(OWNER_EMAIL);
  type View = { id: string; current: boolean; address: string; userAgent: string };
  const list = async (browser: Browser) =>
    (await browser.call("GET", "/me/sessions")).body["sessions"] as View[];
  const mine = await list(second);
  assert.deepEqual(
    mine.map(({ current, address }) => [current, address]),
    [
      [false, third.address],
      [true, second.address],
      [false, first.address],
    ],
  );
  assert.equal(mine[0]?.userAgent, "a test's browser");

  const [theirs] = await list(neighbour);
  const foreign = await first.call("DELETE", `/me/sessions/${theirs?.id}`);
  assertRefused(foreign, 404, "session_not_found");
  assertRefused(await first.call("DELETE", "/me/sessions/x"), 404, "session_not_found");
  assert.equal(await status(neighbour), 200);

  assert.equal((await first.call("DELETE", `/me/sessions/${mine[0].id}`)).status, 204);
  assert.deepEqual([await status(third), await status(second)], [401, 200]);
  assert.equal((await first.call("DELETE", "/me/sessions")).status, 204);
  assert.deepEqual([await status(second), await status(first)], [401, 200]);
  assert.equal(await status(neighbour), 200);
  assert.equal((await events("session.end")).length, 2);
});

it("a deletion, a change of role and a reset end a user's sessions at once", async (t) => {
  const { first, join, browse } = await openPeople(t);
  const { id, email, browser } = await join("worker@example.test", "operator");
  assert.equal((await first.call("PATCH", `/users/${id}`, { role: "viewer" })).status, 200);
  assert.equal(await status(browser), 401);

  await browser.signIn(email);
  assert.equal(await status(browser), 200);
  const made = await first.call("POST", `/users/${id}/reset`, {});
  assert.equal(await status(browser), 200, "not before the link is used");
  const token = stringAt(made, "url").split("#token=")[1];
  const elsewhere = browse();
  const reset = await elsewhere.call("POST", "/resets/accept", {
    token,
    password: "quite another one",
  });
  assert.equal(reset.status, 200, reset.text);
  assert.deepEqual([await status(browser), await status(elsewhere)], [401, 200]);

  assert.equal((await first.call("DELETE", `/users/${id}`)).status, 200);
  assert.equal(await status(elsewhere), 401);
});
