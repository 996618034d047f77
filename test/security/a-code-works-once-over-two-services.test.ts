// Two processes on one database, many tries at the same time: a code that was seen over a shoulder is worth nothing once it is used.
import assert from "node:assert/strict";
import { it } from "node:test";
import { createPool } from "../../src/db/index.ts";
import { createSecondFactors } from "../../src/identity/second-factors.ts";
import { openIdentity } from "../identity/fixture.ts";
import { OWNER_EMAIL, PASSWORD, createPhone, openPeople } from "../admin/people.ts";

const TRIES = 200;

it("of 200 tries at one moment over two pools exactly one wins, with a TOTP code and with a recovery code", async (t) => {
  const { setUp, controlUrl, vault, owner, workspaceId } = await openIdentity(t);
  assert.equal(await setUp("first@example.test"), "made");
  const nowMs = Date.now();
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
  const [user] = await owner<{ id: string }[]>`select id from x3sproxy.users`;
  const key = { workspaceId, userId: user?.id ?? "" };
  const phone = createPhone();
  const pools = [createPool(controlUrl), createPool(controlUrl)];
  t.after(() => Promise.all(pools.map((pool) => pool.close())));
  const processes = pools.map((pool) => ({ pool, factors: createSecondFactors({ vault, clock }) }));
  const one = processes[0];
  assert.ok(one !== undefined);
  const [code = ""] = await one.pool.inWorkspace(workspaceId, async (sql) => {
    const earlier = phone.code(nowMs - 30_000);
    assert.equal(await one.factors.enrol(sql, key, phone.seed, earlier), true);
    return one.factors.renewRecoveryCodes(sql, key);
  });
  for (const [tried, kind] of [
    [phone.code(nowMs), "totp"],
    [code, "recovery_code"],
  ] as const) {
    const redeem = (i: number): Promise<string | undefined> => {
      const { pool, factors } = processes[i % 2] ?? one;
      return pool.inWorkspace(workspaceId, (sql) => factors.redeem(sql, key, tried));
    };
    const outcomes = await Promise.all(Array.from({ length: TRIES }, (_, i) => redeem(i)));
    assert.deepEqual(
      outcomes.filter((outcome) => outcome !== undefined),
      [kind],
    );
  }
});

for (const kind of ["totp", "recovery code"]) {
  it(`of ten who sign in with one ${kind} at two services one gets in`, async (t) => {
    const { first, browse, enrol, openAnother } = await openPeople(t);
    const { nextCode, recoveryCodes } = await enrol(first);
    const another = await openAnother();
    const code = kind === "totp" ? nextCode() : (recoveryCodes[0] ?? "");
    // The account lets five through at once; each comes from an address of its own.
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) => {
        const browser = browse();
        return (i % 2 === 0 ? browser : browser.at(another)).signIn(OWNER_EMAIL, PASSWORD, code);
      }),
    );
    const statuses = answers.map(({ status }) => status).sort();
    assert.deepEqual(
      statuses.filter((status) => status === 200),
      [200],
      statuses.join(),
    );
  });
}
