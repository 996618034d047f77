// A registration that somebody copied shows itself: whoever comes second is refused, and the audit says from where.
import assert from "node:assert/strict";
import { test } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { newBearer, REGISTRATION_PREFIX } from "../../src/platform/ids.ts";
import { createHouse } from "../grants/house.ts";
import { actorIn } from "../support/actor.ts";

const HERE = "192.0.2.1";
const THERE = "198.51.100.7";

test("once an hour for each that there is or was, and nothing of one that there never was", async (t) => {
  const house = await createHouse(t);
  const { agents, registrations, database } = house;
  const by = { ...actorIn(house.workspaceId), name: "ci" };
  const { grants } = await house.openGrants();
  const asOwner = <T>(act: Parameters<typeof withOwner<T>>[1]) =>
    withOwner<T>(database.ownerUrl, act);
  for (const name of ["traded", "revoked", "suspended", "expired", "redeployed", "destroyed"]) {
    await agents.deploy(by, { name });
  }
  const register = async (name: string) => registrations.create(by, name, 3_600_000);
  const made = {
    traded: await register("traded"),
    revoked: await register("revoked"),
    suspended: await register("suspended"),
    expired: await register("expired"),
    redeployed: await register("redeployed"),
    destroyed: await register("destroyed"),
  };
  const first = await grants.trade(made.traded.token, HERE);
  assert.ok(typeof first !== "string");
  await registrations.revoke(by, "revoked", made.revoked.registration.id);
  await agents.suspend(by, "suspended");
  await asOwner(
    (sql) => sql`
      update x3sproxy.registrations set created_at = created_at - interval '2 hours', expires_at = now() - interval '1 second'
      where id = ${made.expired.registration.id}`,
  );
  await agents.deploy(by, { name: "redeployed" });
  await agents.destroy(by, "destroyed");

  const tokens = [...Object.values(made).map(({ token }) => token)];
  const stranger = newBearer(REGISTRATION_PREFIX);
  const refused = async (): Promise<void> => {
    for (const token of [...tokens, stranger]) {
      assert.equal(await grants.trade(token, THERE), "registration_invalid");
    }
  };
  const events = () =>
    asOwner(
      (sql) => sql<Record<string, unknown>[]>`
        select target_name, result, actor_kind, actor_name, actor_id, address, method from x3sproxy.audit_events
        where action = 'registration.trade_refused' order by id`,
    );
  await refused();
  await refused();
  const expected = (name: keyof typeof made, result: string, target: string = name) => ({
    target_name: target,
    result,
    actor_kind: "link",
    actor_name: "registration by ci",
    actor_id: made[name].registration.id,
    address: THERE,
    method: "registration",
  });
  const once = [
    expected("traded", "spent"),
    expected("revoked", "spent"),
    expected("suspended", "suspended"),
    expected("expired", "expired"),
    expected("redeployed", "spent"),
    expected("destroyed", "spent", ""),
  ];
  assert.deepEqual([...(await events())], once);

  for (const table of ["registrations", "spent_registrations"]) {
    await asOwner(
      (sql) =>
        sql`update ${sql(`x3sproxy.${table}`)} set refusal_noted_at = refusal_noted_at - interval '61 minutes'`,
    );
  }
  await refused();
  assert.deepEqual([...(await events())], [...once, ...once]);

  // They are forgotten after a month.
  await asOwner(
    (sql) => sql`update x3sproxy.spent_registrations set spent_at = now() - interval '31 days'`,
  );
  await house.expiredTokens.record();
  const [left] = await asOwner(
    (sql) =>
      sql<[{ count: number }]>`select count(*)::int as count from x3sproxy.spent_registrations`,
  );
  assert.equal(left.count, 0);
});
