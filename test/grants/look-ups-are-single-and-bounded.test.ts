import assert from "node:assert/strict";
import { test } from "node:test";
import { createScripted, hashOf, isGrant, settle } from "./scripted.ts";

const ROW = { agentId: "agent", workspaceId: "workspace", version: 1 };

test("a token that many ask for at once is looked up once", async () => {
  const { lookUps, queries, asked, made } = createScripted();
  const found = Array.from({ length: 500 }, () => lookUps.find(hashOf("t")));
  assert.equal(asked(), 1);
  queries[0]?.answer(ROW);
  const grants = new Set(await Promise.all(found.map(async (each) => each)));
  assert.deepEqual([...grants], made);
  assert.equal(lookUps.find(hashOf("t")), made[0]);
});

test("at most 16 tokens that were never seen live are looked up at once, the others wait or are turned away", async () => {
  const { lookUps, queries, asked } = createScripted();
  const found = Array.from({ length: 5_000 }, (_, i) => lookUps.find(hashOf(`t${i}`)));
  assert.equal(asked(), 16);
  assert.equal(found.filter((each) => each === "overloaded").length, 5_000 - 16 - 2_048);
  const joined = lookUps.find(hashOf("t0"));
  assert.ok(joined instanceof Promise, "one that is under way can be joined");
  assert.equal(lookUps.find(hashOf("late")), "overloaded");
  while (queries.length > 0) {
    assert.ok(queries.length <= 16);
    for (const query of [...queries]) query.answer(null);
    await settle();
  }
  assert.equal(await joined, "unknown_token");
  const answers = await Promise.all(found.map(async (each) => each));
  assert.equal(answers.filter((each) => each === "unknown_token").length, 16 + 2_048);
  assert.equal(asked(), 16 + 2_048);
  assert.ok(lookUps.find(hashOf("late")) instanceof Promise, "there is room again");
});

test("a flood of unknown tokens does not keep a known one from being refreshed", async () => {
  const { lookUps, queries, clock } = createScripted();
  const known = lookUps.find(hashOf("known"));
  queries[0]?.answer(ROW);
  await known;
  for (let i = 0; i < 100; i += 1) void lookUps.find(hashOf(`t${i}`));
  clock.advance(50_000);
  assert.ok(isGrant(lookUps.find(hashOf("known"))));
  assert.ok(queries.some(({ tokenHash }) => tokenHash === "known"));
});

test("nobody joins an answer that has been given already", async () => {
  const { lookUps, queries, cache, asked } = createScripted();
  const found = lookUps.find(hashOf("t"));
  queries[0]?.answer(ROW);
  await found;
  cache.forget("agent");
  assert.ok(lookUps.find(hashOf("t")) instanceof Promise);
  assert.equal(asked(), 2);
});
