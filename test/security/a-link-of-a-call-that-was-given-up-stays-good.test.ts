import assert from "node:assert/strict";
import { test } from "node:test";
import { openPeople, PASSWORD, tokenOf } from "../admin/people.ts";
import { stringAt } from "../admin/fixture.ts";
import { createHurriedPool, type HurriedPool } from "../support/hurried-pool.ts";

test("of each kind: 503 while the database is slow, and good afterwards", async (t) => {
  const made = Promise.withResolvers<HurriedPool>();
  const people = await openPeople(t, {
    openPool(controlUrl) {
      const pool = createHurriedPool(controlUrl);
      made.resolve(pool);
      return pool;
    },
  });
  const { first, browse, join } = people;
  const pool = await made.promise;
  const workspace = await first.call("POST", "/workspaces", { name: "second" });
  const setup = /#token=(\w+)/.exec(stringAt(workspace, "url"))?.[1] ?? assert.fail();
  const invitation = { email: "invited@example.test", role: "viewer" };
  const invited = tokenOf(await first.call("POST", "/invitations", invitation));
  const { id } = await join("forgetful@example.test", "viewer");
  const reset = tokenOf(await first.call("POST", `/users/${id}/reset`));
  const links = [
    ["/setup", { token: setup, email: "second@example.test", password: PASSWORD }],
    ["/invitations/accept", { token: invited, password: PASSWORD }],
    ["/resets/accept", { token: reset, password: "a few other fake random words" }],
  ] as const;

  await pool.hurry();
  await Promise.all(
    links.map(async ([path, body]) => {
      const answer = await browse().call("POST", path, body);
      assert.equal(answer.status, 503, `${path}: ${answer.text}`);
    }),
  );
  await pool.relax();
  for (const [path, body] of links) {
    const look = await browse().call("POST", "/links/look", { token: body.token });
    assert.equal(look.status, 200, `${path}: ${look.text}`);
    const answer = await browse().call("POST", path, body);
    assert.ok(answer.status < 300, `${path}: ${answer.status} ${answer.text}`);
    const again = await browse().call("POST", path, body);
    assert.equal(again.status, 401, `${path}: ${again.text}`);
  }
});
