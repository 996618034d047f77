import assert from "node:assert/strict";
import { test } from "node:test";
import { createScripted, hashOf, isGrant, settle, type Scripted } from "./scripted.ts";

const TOKEN = hashOf("t");
const row = (version: number) => ({ agentId: "agent", workspaceId: "workspace", version });

async function warm(): Promise<Scripted> {
  const scripted = createScripted();
  const found = scripted.lookUps.find(TOKEN);
  scripted.queries[0]?.answer(row(1));
  await found;
  return scripted;
}

function versionOf(found: unknown): number {
  assert.ok(isGrant(found), "answered at once, from memory");
  assert.ok(!found.wiped());
  return found.row.version;
}

test("a hit after 45 s starts one query in the background and is answered at once", async () => {
  const { lookUps, queries, clock, asked, made } = await warm();
  clock.advance(44_999);
  versionOf(lookUps.find(TOKEN));
  assert.equal(asked(), 1);
  clock.advance(1);
  for (let i = 0; i < 100; i += 1) assert.equal(versionOf(lookUps.find(TOKEN)), 1);
  assert.equal(asked(), 2);
  queries[0]?.answer(row(2));
  await settle();
  assert.equal(versionOf(lookUps.find(TOKEN)), 2);
  assert.ok(made[0]?.wiped(), "the one before has left");
  clock.advance(44_999);
  assert.equal(versionOf(lookUps.find(TOKEN)), 2, "its own time counts");
  assert.equal(asked(), 2);
});

test("an entry that nobody uses is not refreshed", async () => {
  const { lookUps, clock, asked } = await warm();
  clock.advance(60_000);
  assert.equal(asked(), 1);
  assert.ok(lookUps.find(TOKEN) instanceof Promise);
});

test("a refresh that fails leaves the entry to its own expiry", async () => {
  const { lookUps, queries, clock } = await warm();
  clock.advance(45_000);
  versionOf(lookUps.find(TOKEN));
  queries[0]?.fail();
  await settle();
  clock.advance(14_999);
  assert.equal(versionOf(lookUps.find(TOKEN)), 1);
  clock.advance(1);
  assert.ok(!isGrant(lookUps.find(TOKEN)));
});

test("a refresh that finds the token gone ends it at once, without any notification", async () => {
  const { lookUps, queries, clock } = await warm();
  clock.advance(45_000);
  versionOf(lookUps.find(TOKEN));
  queries[0]?.answer(null);
  await settle();
  assert.equal(lookUps.find(TOKEN), "unknown_token");
});

test("refreshes under way are bounded", async () => {
  const { lookUps, queries, clock, asked } = createScripted();
  const all = Array.from({ length: 60 }, (_, i) => hashOf(`t${i}`));
  const found = all.map((hash) => lookUps.find(hash));
  for (let i = 0; queries.length > 0; i += 1) {
    queries[0]?.answer({ agentId: `agent-${i}`, workspaceId: "workspace", version: 1 });
    await settle();
  }
  await Promise.all(found.map(async (each) => each));
  clock.advance(45_000);
  for (const hash of all) versionOf(lookUps.find(hash));
  assert.equal(asked() - 60, 32);
  queries[0]?.answer(null);
  await settle();
  for (const hash of all) void lookUps.find(hash);
  assert.equal(asked() - 60, 33, "there is room for another");
});
