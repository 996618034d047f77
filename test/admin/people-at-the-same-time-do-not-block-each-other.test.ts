import assert from "node:assert/strict";
import { it } from "node:test";
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
