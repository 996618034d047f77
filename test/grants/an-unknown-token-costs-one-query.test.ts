import assert from "node:assert/strict";
import { test } from "node:test";
import { createScripted, hashOf, isGrant, settle } from "./scripted.ts";

const UNKNOWN = hashOf("unknown");

test("an unknown token is asked for once in 5 s, however often it comes", async () => {
  const { lookUps, queries, clock, asked, metric } = createScripted();
  const first = lookUps.find(UNKNOWN);
  clock.advance(1_000);
  queries[0]?.answer(null);
  assert.equal(await first, "unknown_token");
  clock.advance(3_999); // 4,999 ms after the query was started
  for (let i = 0; i < 100; i += 1) assert.equal(lookUps.find(UNKNOWN), "unknown_token");
  assert.equal(asked(), 1);
  clock.advance(1);
  assert.ok(lookUps.find(UNKNOWN) instanceof Promise);
  assert.equal(asked(), 2);
  assert.equal(await metric("negative"), 100);
  assert.equal(await metric("miss"), 2);
});

test("any change makes an unknown token worth asking for again", async () => {
  const { lookUps, queries, cache } = createScripted();
  for (const change of [() => cache.forget("anything"), () => cache.forgetAll()]) {
    const found = lookUps.find(UNKNOWN);
    queries[0]?.answer(null);
    assert.equal(await found, "unknown_token");
    assert.equal(lookUps.find(UNKNOWN), "unknown_token");
    change();
    const again = lookUps.find(UNKNOWN);
    assert.ok(again instanceof Promise);
    queries[0]?.answer(null);
    await again;
    change();
  }
});

test("a token is not taken for unknown when a change came while it was asked for", async () => {
  const { lookUps, queries, cache } = createScripted();
  const found = lookUps.find(UNKNOWN);
  cache.forget("some-agent");
  queries[0]?.answer(null);
  await settle();
  queries[0]?.answer({ agentId: "some-agent", workspaceId: "w", version: 1 });
  assert.ok(isGrant(await found));
});

test("the unknown ones that are remembered are bounded and push no live one out", async () => {
  const { lookUps, queries, asked } = createScripted();
  const live = hashOf("live");
  const found = lookUps.find(live);
  queries[0]?.answer({ agentId: "a", workspaceId: "w", version: 1 });
  await found;
  for (let i = 0; i < 6_000; i += 1) {
    const stranger = lookUps.find(hashOf(`stranger-${i}`));
    queries[0]?.answer(null);
    await stranger;
  }
  assert.equal(asked(), 6_001);
  assert.ok(isGrant(lookUps.find(live)));
  assert.equal(lookUps.find(hashOf("stranger-5999")), "unknown_token");
  assert.ok(lookUps.find(hashOf("stranger-0")) instanceof Promise, "the oldest was forgotten");
});
