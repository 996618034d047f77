import assert from "node:assert/strict";
import { it } from "node:test";
import { FAKE_KEY, stringAt } from "./fixture.ts";
import { PASSWORD, assertRefused, openPeople, type Browser } from "./people.ts";

const ID = "00000000-0000-4000-8000-000000000000";
const FRESH: readonly (readonly [method: string, path: string, body?: unknown])[] = [
  ["PUT", "/secrets", { provider: "openai", value: FAKE_KEY }],
  ["POST", `/secrets/${ID}/rollback`, {}],
  ["POST", `/secrets/${ID}/activate`, { version: 2 }],
  ["POST", `/secrets/${ID}/discard`, { version: 2 }],
  ["DELETE", `/secrets/${ID}`],
  ["PUT", "/providers/acme", { origin: "https://api.acme.example" }],
  ["DELETE", "/providers/acme"],
  ["PUT", "/me/second-factor", { seed: "A".repeat(32), code: "000000" }],
  ["DELETE", "/me/second-factor"],
  ["POST", "/me/recovery-codes"],
  ["PATCH", `/users/${ID}`, { role: "viewer" }],
  ["DELETE", `/users/${ID}`],
  ["POST", `/users/${ID}/reset`, {}],
  ["POST", "/invitations", { email: "a@example.test", role: "viewer" }],
  ["DELETE", `/invitations/${ID}`],
  ["POST", "/api-keys", { name: "ci", role: "viewer" }],
  ["DELETE", `/api-keys/${ID}`],
  ["PATCH", "/workspace", { rotationDays: 30 }],
  ["POST", "/workspace/resume"],
];

const needsProof = async (browser: Browser): Promise<boolean> => {
  const answer = await browser.call("PATCH", "/workspace", {});
  if (answer.status === 200) return false;
  assertRefused(answer, 403, "proof_needed");
  return true;
};

it("when the last one is older than five minutes; reading and deploying go on", async (t) => {
  const { first, ageProofs, call } = await openPeople(t);
  await ageProofs("4 minutes 50 seconds");
  assert.equal(await needsProof(first), false);
  await ageProofs("5 minutes");
  for (const [method, path, body] of FRESH) {
    assertRefused(await first.call(method, path, body), 403, "proof_needed");
  }
  assert.equal((await first.call("GET", "/users")).status, 200);
  assert.equal((await first.call("POST", "/agents/coder/deployments", {})).status, 201);
  assert.equal((await call("PATCH", "/api/v1/workspace", {})).status, 200, "API keys are exempt");
});

it("a password or a code is one, for this session alone; a code only once", async (t) => {
  const { first, browse, enrol, ageProofs, events } = await openPeople(t);
  const { phone, nextCode } = await enrol(first);
  const other = browse();
  await other.signIn("first@example.test", PASSWORD, nextCode());
  await ageProofs("1 hour");
  const cookie = first.cookie();
  const proved = await first.call("POST", "/me/proof", { password: PASSWORD });
  assert.equal(proved.status, 200, proved.text);
  const age = Date.now() - Date.parse(stringAt(proved, "me", "session", "provedAt"));
  assert.ok(age < 60_000, `${age} ms`);
  assert.equal(first.cookie(), cookie);
  assert.deepEqual([await needsProof(first), await needsProof(other)], [false, true]);

  const code = nextCode();
  assert.equal((await other.call("POST", "/me/proof", { code })).status, 200);
  assert.equal(await needsProof(other), false);
  await ageProofs("1 hour");
  for (const body of [{ code }, { code: "000000" }, { password: "not the password" }]) {
    if (body.code === phone.code(Date.now())) continue;
    assertRefused(await other.call("POST", "/me/proof", body), 401, "proof_refused");
  }
  assert.equal(await needsProof(other), true);
  assert.equal((await events("user.proof")).length, 2);
  assert.equal((await events("user.proof_refused")).length, 3);
  for (const body of [{}, { password: PASSWORD, code }, { password: 1 }, [], null]) {
    assertRefused(await first.call("POST", "/me/proof", body), 422, "invalid_request");
  }
});

it("proofs are limited, too, and do not keep the user from signing in elsewhere", async (t) => {
  const { first, browse, owner } = await openPeople(t);
  const statuses: number[] = [];
  for (let i = 0; i < 6; i++) {
    const { status } = await first.call("POST", "/me/proof", { password: `wrong ${i}` });
    statuses.push(status);
    await owner`update x3sproxy.account_attempts set next_at = now() + interval '10 minutes' where tries >= 5`;
  }
  assert.deepEqual(statuses, [401, 401, 401, 401, 401, 429]);
  const right = await first.call("POST", "/me/proof", { password: PASSWORD });
  assertRefused(right, 429, "too_many_attempts");
  assert.ok(Number(right.headers.get("retry-after")) > 1);
  const change = { current: PASSWORD, password: "another good one" };
  assertRefused(await first.call("PUT", "/me/password", change), 429, "too_many_attempts");
  assert.equal((await browse().signIn("first@example.test")).status, 200);
});
