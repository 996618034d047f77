import assert from "node:assert/strict";
import { test } from "node:test";
import { createScripted, hashOf, isGrant, settle, type Scripted } from "./scripted.ts";

const TOKEN = hashOf("t");
const BEFORE = { agentId: "agent", workspaceId: "workspace", version: 1 };
const AFTER = { ...BEFORE, version: 2 };

const CHANGES: [string, (s: Scripted) => void][] = [
  ["its agent", ({ cache }) => cache.forget("agent")],
  ["its workspace", ({ cache }) => cache.forget("workspace")],
  ["a gap", ({ cache }) => cache.forgetAll()],
];

for (const [what, change] of CHANGES) {
  test(`${what}: what was found before is neither given out nor kept`, async () => {
    const scripted = createScripted();
    const { lookUps, queries, made } = scripted;
    const found = lookUps.find(TOKEN);
    change(scripted);
    const joined = lookUps.find(TOKEN);
    queries[0]?.answer(BEFORE);
    await settle();
    assert.equal(queries.length, 1, "looks again");
    assert.ok(made[0]?.wiped());
    queries[0]?.answer(AFTER);
    for (const each of [await found, await joined, lookUps.find(TOKEN)]) {
      assert.ok(isGrant(each) && each.row.version === 2);
    }
  });
}

test("a change of something else does not matter", async () => {
  const { lookUps, queries, cache, asked } = createScripted();
  const found = lookUps.find(TOKEN);
  for (let i = 0; i < 100; i += 1) cache.forget(`other-${i}`);
  queries[0]?.answer(BEFORE);
  assert.ok(isGrant(await found));
  assert.equal(asked(), 1);
});

test("a token whose changes never stop is refused after three tries, not given out stale", async () => {
  const { lookUps, queries, cache, asked } = createScripted();
  const found = lookUps.find(TOKEN);
  for (let i = 0; i < 3; i += 1) {
    cache.forget("agent");
    queries[0]?.answer(BEFORE);
    await settle();
  }
  assert.equal(await found, "store_unavailable");
  assert.equal(asked(), 3);
});

test("more changes than are remembered count as a change of everything", async () => {
  const { lookUps, queries, cache } = createScripted();
  const found = lookUps.find(TOKEN);
  cache.forget("agent");
  for (let i = 0; i < 10_000; i += 1) cache.forget(`other-${i}`);
  queries[0]?.answer(BEFORE);
  await settle();
  assert.equal(queries.length, 1, "looks again");
  queries[0]?.answer(AFTER);
  const grant = await found;
  assert.ok(isGrant(grant) && grant.row.version === 2);
});

test("it looks again only within the first 2.5 s, so that nobody waits for longer than 6.5 s", async () => {
  const { lookUps, queries, cache, clock, asked } = createScripted();
  const found = lookUps.find(TOKEN);
  clock.advance(999);
  cache.forget("agent");
  queries[0]?.answer(BEFORE);
  await settle();
  assert.equal(asked(), 2);
  clock.advance(1_501);
  cache.forget("agent");
  queries[0]?.answer(BEFORE);
  assert.equal(await found, "store_unavailable");
  assert.equal(asked(), 2);
});

test("an answer that took longer than a grant lives is not given out", async () => {
  const { lookUps, queries, clock } = createScripted();
  const found = lookUps.find(TOKEN);
  clock.advance(60_000);
  queries[0]?.answer(BEFORE);
  assert.equal(await found, "store_unavailable");
});
