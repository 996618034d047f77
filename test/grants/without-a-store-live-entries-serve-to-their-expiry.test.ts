import assert from "node:assert/strict";
import { test } from "node:test";
import { createScripted, hashOf, isGrant, settle } from "./scripted.ts";

const ROW = { agentId: "agent", workspaceId: "workspace", version: 1 };

test("what is remembered serves to its 60 s, everything else is refused as unavailable", async () => {
  const { lookUps, queries, clock } = createScripted();
  const found = lookUps.find(hashOf("known"));
  queries[0]?.answer(ROW);
  await found;
  const other = lookUps.find(hashOf("other"));
  queries[0]?.fail();
  assert.equal(await other, "store_unavailable");
  clock.advance(59_999);
  assert.ok(isGrant(lookUps.find(hashOf("known"))));
  for (const query of [...queries]) query.fail();
  await settle();
  clock.advance(1);
  assert.equal(lookUps.find(hashOf("known")), "store_unavailable");
});

test("while it fails, one query a second finds out and all others are answered at once", async () => {
  const { lookUps, queries, clock, asked, logged } = createScripted();
  const first = lookUps.find(hashOf("t"));
  queries[0]?.fail();
  assert.equal(await first, "store_unavailable");
  for (let second = 1; second <= 5; second += 1) {
    clock.advance(999);
    for (let i = 0; i < 50; i += 1)
      assert.equal(lookUps.find(hashOf(`t${i}`)), "store_unavailable");
    assert.equal(asked(), second);
    clock.advance(1);
    const probe = lookUps.find(hashOf("probe"));
    assert.ok(probe instanceof Promise);
    for (let i = 0; i < 50; i += 1)
      assert.equal(lookUps.find(hashOf(`t${i}`)), "store_unavailable");
    queries[0]?.fail();
    assert.equal(await probe, "store_unavailable");
  }
  assert.equal(logged.length, 1, "one line for an outage, not one a request");
});

test("one answer ends the outage", async () => {
  const { lookUps, queries, clock } = createScripted();
  void lookUps.find(hashOf("t"));
  queries[0]?.fail();
  await settle();
  clock.advance(1_000);
  const probe = lookUps.find(hashOf("t"));
  queries[0]?.answer(ROW);
  assert.ok(isGrant(await probe));
  assert.ok(lookUps.find(hashOf("new")) instanceof Promise);
});
