// Somebody who can write to the database puts the seed of a phone of theirs in the place of somebody else's.
import assert from "node:assert/strict";
import { it } from "node:test";
import { OWNER_EMAIL, PASSWORD, openPeople } from "../admin/people.ts";

it("neither for another user nor in another workspace", async (t) => {
  const { first, browse, join, enrol, owner, log, ownerId } = await openPeople(t);
  await enrol(first);
  const { browser, id } = await join("mallory@example.test", "viewer");
  const { nextCode } = await enrol(browser);
  await owner`
    update x3sproxy.second_factors target set
      (key_id, wrapped_key, ciphertext, newest_step) =
      (select key_id, wrapped_key, ciphertext, 0 from x3sproxy.second_factors where user_id = ${id})
    where user_id = ${ownerId}`;
  const answer = await browse().signIn(OWNER_EMAIL, PASSWORD, nextCode());
  assert.equal(answer.status, 500, answer.text);
  assert.deepEqual(answer.headers.getSetCookie(), []);
  assert.ok(log.some((line) => line.includes('"errorName":"SealError"')));
});
