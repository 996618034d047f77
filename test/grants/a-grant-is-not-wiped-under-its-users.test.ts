import assert from "node:assert/strict";
import { test } from "node:test";
import { createScripted, hashOf, isGrant, settle } from "./scripted.ts";

const TOKEN = hashOf("t");
const ROW = { agentId: "agent", workspaceId: "workspace", version: 1 };

test("whoever waited for a grant can still use it when it is evicted in the same turn", async () => {
  const { lookUps, queries, cache, made } = createScripted();
  const usable: boolean[] = [];
  // As a handler does: several awaits deep, then at once.
  const use = async (): Promise<void> => {
    const found = await (async () => await lookUps.find(TOKEN))();
    assert.ok(isGrant(found));
    usable.push(!found.wiped());
  };
  const users = [use(), use(), use()];
  queries[0]?.answer(ROW);
  while (made.length === 0) await Promise.resolve();
  cache.forget("agent");
  await Promise.all(users);
  assert.deepEqual(usable, [true, true, true]);
  await settle();
  assert.ok(made[0]?.wiped(), "and a turn later it is wiped");
});

test("a grant is wiped when it is evicted, replaced or past its time", async () => {
  for (const end of ["forget", "forgetAll", "replace", "find late", "sweep"] as const) {
    const { lookUps, queries, cache, clock, made } = createScripted();
    const found = lookUps.find(TOKEN);
    queries[0]?.answer(ROW);
    await found;
    if (end === "forget") cache.forget("workspace");
    if (end === "forgetAll") cache.forgetAll();
    if (end === "replace") {
      const again = lookUps.load(TOKEN);
      queries[0]?.answer(ROW);
      await again;
    }
    if (end === "find late" || end === "sweep") {
      cache.sweep(clock.monotonicMs());
      clock.advance(59_999);
      cache.sweep(clock.monotonicMs());
      await settle();
      assert.ok(!made[0]?.wiped());
      clock.advance(1);
      if (end === "sweep") cache.sweep(clock.monotonicMs());
      else void lookUps.find(TOKEN);
    }
    await settle();
    assert.ok(made[0]?.wiped(), end);
  }
});

test("the grants that are remembered are bounded, and the one that leaves is wiped", async () => {
  const { lookUps, queries, made } = createScripted();
  for (let i = 0; i <= 20_000; i += 1) {
    const found = lookUps.find(hashOf(`t${i}`));
    queries[0]?.answer({ ...ROW, agentId: `agent-${i}` });
    await found;
  }
  await settle();
  assert.deepEqual(
    made.flatMap((grant, i) => (grant.wiped() ? [i] : [])),
    [0],
  );
});
