import assert from "node:assert/strict";
import { it } from "node:test";
import postgres from "postgres";
import { eventually } from "../support/eventually.ts";
import { OWNER_EMAIL, PASSWORD, createPhone, openPeople, type Browser } from "./people.ts";

const ROUNDS = 12;

it("whatever is done to and by the same few users at one moment, nobody waits in a circle", async (t) => {
  const { first, browse, join, call, owner, openAnother, clock, log } = await openPeople(t);
  const another = await openAnother();
  const worker = await join("worker@example.test", "operator");
  const second = await join("second@example.test", "owner");
  const both = (browser: Browser, i: number): Browser =>
    i % 2 === 0 ? browser : browser.at(another);
  const statuses = new Map<number, number>();
  const codes = new Set<unknown>();
  for (let round = 0; round < ROUNDS; round++) {
    await owner`delete from x3sproxy.account_attempts`;
    const link = await call("POST", `/api/v1/users/${worker.id}/reset`, {
      secondFactor: round % 2 === 0,
    });
    const token = String(link.body["url"]).split("#token=")[1];
    const signedIn = browse();
    await signedIn.signIn(worker.email);
    const phone = createPhone();
    const change = { current: PASSWORD, password: PASSWORD };
    const answers = await Promise.all([
      ...[0, 1, 2].map((i) => both(browse(), i).signIn(worker.email)),
      ...[0, 1].map((i) => both(browse(), i).signIn(OWNER_EMAIL)),
      signedIn.call("PUT", "/me/password", change),
      both(signedIn, 1).call("PUT", "/me/second-factor", {
        seed: phone.seed,
        code: phone.code(clock.nowMs()),
      }),
      both(browse(), round).call("POST", "/resets/accept", { token, password: PASSWORD }),
      call("POST", `/api/v1/users/${worker.id}/reset`, {}),
      call("PATCH", `/api/v1/users/${worker.id}`, {
        role: round % 2 === 0 ? "viewer" : "operator",
      }),
      first.call("PATCH", `/users/${second.id}`, { role: round % 2 === 0 ? "admin" : "owner" }),
      both(first, 1).call("POST", "/me/proof", { password: PASSWORD }),
      signedIn.call("DELETE", "/me/sessions"),
    ]);
    for (const { status, body } of answers) {
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      codes.add(body["code"]);
      assert.ok(
        status !== 500 && body["code"] !== "store_unavailable",
        `round ${round}: ${log.filter((line) => line.includes('"level":50')).join("")}`,
      );
    }
    await owner`delete from x3sproxy.second_factors`;
  }
  assert.ok((statuses.get(200) ?? 0) > ROUNDS * 4, JSON.stringify([...statuses]));
  assert.ok(!log.some((line) => line.includes('"level":50')), [...codes].join());
});

it("a change of a user does not wait for who has become an owner while it was under way", async (t) => {
  const { join, call, database, ownerId } = await openPeople(t);
  const worker = await join("worker@example.test", "operator");
  const second = await join("second@example.test", "admin");
  const sql = postgres(database.ownerUrl, { max: 3, onnotice: () => undefined });
  t.after(() => sql.end());
  const [holder, other] = [await sql.reserve(), await sql.reserve()];
  const waiting = async (count: number): Promise<boolean> => {
    const rows = await sql`
      select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    return rows.length === count;
  };
  // The change holds its rows, and waits in its middle.
  await holder`begin`;
  await holder`select from x3sproxy.sessions where user_id = ${worker.id} for update`;
  const change = call("PATCH", `/api/v1/users/${worker.id}`, { role: "viewer" });
  await eventually(() => waiting(1));
  // Meanwhile there is another owner, held by somebody who goes on to the first.
  await sql`update x3sproxy.users set role = 'owner' where id = ${second.id}`;
  await other`begin`;
  await other`select from x3sproxy.users where id = ${second.id} for update`;
  const next = other`select from x3sproxy.users where id = ${ownerId} for update`.execute();
  await eventually(() => waiting(2));
  await holder`rollback`;
  assert.equal((await change).status, 200);
  await next;
  await other`rollback`;
  holder.release();
  other.release();
});
