// What is nobody's refusal is 500 internal_error to the client, and one line of the log for each call, by which it is found.
import assert from "node:assert/strict";
import { test } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { openTarget, type Answer } from "../support/attack.ts";
import { get } from "../support/limits.ts";

/** From now on the database answers each look-up of a token with what no grant can be read from. */
async function breakGrants(ownerUrl: string): Promise<void> {
  await withOwner(ownerUrl, async (sql) => {
    await sql`
      create or replace function x3sproxy.resolve_token(token_hash bytea) returns jsonb
      language sql stable as $$ select '{"workspaceId": "not an id"}'::jsonb $$`;
  });
}

test("a grant that can't be read: each call has a line with its exchange's id, also those that share a look-up", async (t) => {
  const { plane, sent } = await openTarget(t);
  const tokens = [await plane.deploy("one"), await plane.deploy("two")];
  await breakGrants(plane.ownerUrl);
  const answers = await Promise.all(
    [...tokens, ...tokens, ...tokens].map((token) => get(plane, token)),
  );
  const idOf = (answer: Answer): string => {
    assert.equal(answer.status, 500);
    assert.equal(answer.header("x3sproxy-refusal"), "internal_error");
    assert.ok(!answer.body.includes("workspaceId"), "nothing of the error is told");
    const id = answer.header("x-request-id");
    assert.ok(id !== undefined);
    return id;
  };
  const ids = answers.map(idOf);
  assert.equal(new Set(ids).size, answers.length);
  assert.equal(sent(), "");
  for (const id of ids) {
    await plane.exchange((line) => line["exchangeId"] === id);
    const lines = plane
      .logged()
      .filter((line) => line["exchangeId"] === id && line["msg"] !== "exchange");
    assert.deepEqual(
      lines.map(({ level, errorName }) => ({ level, errorName })),
      [{ level: 50, errorName: "ZodError" }],
    );
  }
  const errors = plane.logged().filter(({ level }) => level === 50);
  assert.equal(errors.length, ids.length, "and there is no other line");
});
