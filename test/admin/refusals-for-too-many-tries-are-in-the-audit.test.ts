// Enough to see an attack, and no more than it has tries: whoever floods the sign-in does not fill the audit.
import assert from "node:assert/strict";
import { it } from "node:test";
import type { Sql } from "postgres";
import { newAddress, openPeople, OWNER_EMAIL, PASSWORD } from "./people.ts";

const REFUSED = "too_many_attempts";

/** Lets an account that has to wait do so for ten minutes, so that the test need not be quick. */
const prolong = (owner: Sql) =>
  owner`update x3sproxy.account_attempts set next_at = now() + interval '10 minutes' where tries >= 5`;

it("a sign-in that is refused untried is noted once, however many follow from however many addresses", async (t) => {
  const { browse, events, openAnother, owner } = await openPeople(t);
  const another = await openAnother();
  const address = newAddress();
  for (let i = 0; i < 5; i++) await browse(address).signIn(OWNER_EMAIL, "wrong");
  await prolong(owner);
  const flood = await Promise.all(
    Array.from({ length: 60 }, (_, i) =>
      (i % 2 === 0 ? browse(address) : browse(address).at(another)).signIn(
        OWNER_EMAIL.toUpperCase(),
        PASSWORD,
      ),
    ),
  );
  assert.deepEqual(new Set(flood.map(({ status }) => status)), new Set([429]));
  const noted = await events("user.sign_in_refused");
  assert.deepEqual(
    noted.map(({ result }) => result),
    [...Array<string>(5).fill("password_wrong"), REFUSED],
  );
  const { actor_kind, actor_name, target_name, ...last } = noted.at(-1) ?? {};
  assert.equal(last["address"], address);
  assert.deepEqual([actor_kind, actor_name, target_name], ["user", OWNER_EMAIL, OWNER_EMAIL]);
});

it("failures from however many networks are noted as often as those from one; of nobody's account nothing is", async (t) => {
  const { browse, events, owner } = await openPeople(t);
  for (let i = 0; i < 8; i++) {
    assert.equal((await browse().signIn(OWNER_EMAIL, "wrong")).status, 401);
    assert.equal((await browse().signIn("nobody@example.test", "wrong")).status, 401);
    await prolong(owner);
  }
  const noted = await events("user.sign_in_refused");
  assert.deepEqual(
    noted.map(({ result, target_name }) => [result, target_name]),
    Array.from({ length: 5 }, () => ["password_wrong", OWNER_EMAIL]),
  );
  assert.equal((await browse().signIn(OWNER_EMAIL)).status, 200);
  const elsewhere = await owner`select distinct workspace_id from x3sproxy.audit_events`;
  assert.equal(elsewhere.count, 1);
});

it("so is a proof that is refused untried", async (t) => {
  const { first, events, owner } = await openPeople(t);
  const prove = (password: string) =>
    first.call("POST", "/me/proof", { password }, { "x-forwarded-for": newAddress() });
  for (let i = 0; i < 5; i++) assert.equal((await prove("wrong")).status, 401);
  await prolong(owner);
  const flood = await Promise.all(Array.from({ length: 10 }, () => prove(PASSWORD)));
  assert.deepEqual(new Set(flood.map(({ status }) => status)), new Set([429]));
  assert.deepEqual(
    (await events("user.proof_refused")).map(({ result }) => result),
    [...Array<string>(5).fill("refused"), REFUSED],
  );
});
