// Who may ask the database, and who waits: strangers by their network, tokens that were live lately by their workspace. Over a database
// that answers when the test says so.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createScripted, hashOf, isGrant, settle, type Scripted } from "../grants/scripted.ts";
import { inputs } from "../support/generated.ts";

const SEED = 20_261_130;
const PLACES = 16;
const KNOWN_PLACES = 64;

/** Fills the strangers' places, and all the room that one network has, from `address`. */
function flood({ lookUps }: Scripted, address: (i: number) => string): number {
  for (let i = 0; ; i += 1) {
    if (lookUps.find(hashOf(`flood-${i}`), address(i)) === "overloaded") return i;
  }
}

async function makeLive({ lookUps, queries }: Scripted, name: string, workspaceId: string) {
  const found = lookUps.find(hashOf(name), "192.0.2.1");
  queries
    .find(({ tokenHash }) => tokenHash === name)
    ?.answer({ agentId: name, workspaceId, version: 1 });
  assert.ok(isGrant(await found));
}

test("a network that fills its share keeps no other out, and one of another waits for one turn", async () => {
  const address = fc.oneof(
    fc.tuple(fc.nat({ max: 223 }), fc.nat({ max: 255 })).map(([a, b]) => {
      const text = `198.${18 + (a % 2)}.${a}.${b}`;
      return { flooders: () => text, same: [text, `::ffff:${text}`] };
    }),
    fc.nat({ max: 0xffff }).map((n) => {
      const prefix = `2001:db8:${n.toString(16)}:1`;
      return {
        flooders: (i: number) => `${prefix}::${(i + 1).toString(16)}`,
        same: [`${prefix}:ffff::1`, `${prefix.toUpperCase()}:0:0:0:a`],
      };
    }),
  );
  await fc.assert(
    fc.asyncProperty(address, async ({ flooders, same }) => {
      const scripted = createScripted();
      const { lookUps, queries } = scripted;
      const room = flood(scripted, flooders);
      assert.equal(queries.length, PLACES);
      assert.ok(room > 2_000, `one address may have ${room} waiting`);
      for (const other of same) assert.equal(lookUps.find(hashOf("x"), other), "overloaded");
      for (const other of ["203.0.113.9", "2001:db9::1", undefined]) {
        const found = lookUps.find(hashOf(`first use ${other}`), other);
        assert.ok(found instanceof Promise, "there is room for another network");
      }
      for (let turn = 0; turn < 4; turn += 1) {
        queries[0]?.answer(null);
        await settle();
      }
      const asked = new Set<string>(queries.map(({ tokenHash }) => tokenHash));
      for (const other of ["203.0.113.9", "2001:db9::1", undefined]) {
        assert.ok(asked.has(`first use ${other}`), `it is the turn of ${other}`);
      }
    }),
    inputs(SEED, 10),
  );
});

test("tokens that were live lately are looked up at once while strangers wait, whatever has made them leave", async () => {
  for (const leave of ["change", "gap", "time"] as const) {
    const scripted = createScripted();
    const { cache, clock, lookUps, queries } = scripted;
    for (let i = 0; i < 30; i += 1) await makeLive(scripted, `live-${i}`, `workspace-${i % 3}`);
    flood(scripted, () => "198.51.100.1");
    if (leave === "change") for (let i = 0; i < 3; i += 1) cache.forget(`workspace-${i}`);
    else if (leave === "gap") cache.forgetAll();
    else clock.advance(60_000);
    const found = Array.from({ length: 30 }, (_, i) =>
      lookUps.find(hashOf(`live-${i}`), "198.51.100.1"),
    );
    assert.equal(queries.length, PLACES + 30);
    for (const query of queries.filter(({ tokenHash }) => tokenHash.startsWith("live-"))) {
      query.answer({ agentId: query.tokenHash, workspaceId: "workspace-0", version: 2 });
    }
    const grants = await Promise.all(found.map(async (each) => each));
    assert.ok(grants.every((grant) => isGrant(grant) && grant.row.version === 2));
  }
});

test("a place in the queue grants nothing: one that has ended since is unknown, and a stranger from then on", async () => {
  const scripted = createScripted();
  const { cache, lookUps, queries } = scripted;
  await makeLive(scripted, "ended", "workspace");
  flood(scripted, () => "198.51.100.1");
  cache.forget("ended");
  const found = lookUps.find(hashOf("ended"), "203.0.113.9");
  const query = queries.find(({ tokenHash }) => tokenHash === "ended");
  assert.ok(query !== undefined, "it comes before strangers once more");
  query.answer(null);
  assert.equal(await found, "unknown_token");
  cache.forget("anything");
  assert.ok(lookUps.find(hashOf("ended"), "203.0.113.9") instanceof Promise);
  assert.ok(!queries.some(({ tokenHash }) => tokenHash === "ended"), "it waits as strangers do");
});

test("a workspace of which all agents come at once keeps no other workspace's waiting", async () => {
  const scripted = createScripted();
  const { cache, lookUps, queries } = scripted;
  for (let i = 0; i < 500; i += 1) await makeLive(scripted, `many-${i}`, "large");
  await makeLive(scripted, "one", "small");
  cache.forgetAll();
  for (let i = 0; i < 500; i += 1) void lookUps.find(hashOf(`many-${i}`));
  void lookUps.find(hashOf("one"));
  assert.equal(queries.length, KNOWN_PLACES);
  for (let turn = 0; turn < 2; turn += 1) {
    queries[0]?.answer(null);
    await settle();
  }
  assert.ok(queries.some(({ tokenHash }) => tokenHash === "one"));
});

test("who waits for too long is turned away, and an outage is told to all who wait", async () => {
  const scripted = createScripted();
  const { clock, lookUps, queries } = scripted;
  flood(scripted, () => "198.51.100.1");
  const late = lookUps.find(hashOf("late"), "203.0.113.9");
  clock.advance(3_999);
  lookUps.tick();
  assert.equal(await Promise.race([late, Promise.resolve("waits")]), "waits");
  clock.advance(1);
  lookUps.tick();
  assert.equal(await late, "overloaded");
  const next = lookUps.find(hashOf("next"), "203.0.113.9");
  assert.ok(next instanceof Promise);
  for (const query of [...queries]) query.answer(null);
  await settle();
  queries.find(({ tokenHash }) => tokenHash === "next")?.answer(null);
  assert.equal(await next, "unknown_token", "the room was given back");

  flood(scripted, () => "198.51.100.1");
  const behind = lookUps.find(hashOf("behind"), "203.0.113.9");
  queries[0]?.fail();
  assert.equal(await behind, "store_unavailable");
});

test("what a flood asks for pushes out only what its own network has asked for", async () => {
  const { lookUps, queries, asked } = createScripted();
  const ask = async (name: string, address: string): Promise<void> => {
    const found = lookUps.find(hashOf(name), address);
    if (!(found instanceof Promise)) {
      assert.equal(found, "unknown_token");
      return;
    }
    queries[0]?.answer(null);
    assert.equal(await found, "unknown_token");
  };
  await ask("a misconfigured client's", "203.0.113.9");
  for (let i = 0; i < 12_000; i += 1) await ask(`flood-${i}`, "198.51.100.1");
  const before = asked();
  await ask("a misconfigured client's", "203.0.113.9");
  await ask("flood-11999", "198.51.100.1");
  assert.equal(asked(), before);
  await ask("flood-0", "198.51.100.1");
  assert.equal(asked(), before + 1);
});

test("an unknown token is 401 however fast everything changes, and one that is deployed meanwhile is found", async () => {
  const { cache, lookUps, queries } = createScripted();
  const changeAndAnswer = async (live: boolean): Promise<void> => {
    cache.forget("some-agent");
    queries[0]?.answer(live ? { agentId: "a", workspaceId: "w", version: 1 } : null);
    await settle();
  };
  const first = lookUps.find(hashOf("t"));
  await changeAndAnswer(false);
  await changeAndAnswer(false);
  // The last try is under way, and knows nothing of what comes now.
  cache.forget("a");
  const second = lookUps.find(hashOf("t"));
  queries[0]?.answer(null);
  assert.equal(await first, "unknown_token");
  await settle();
  queries[0]?.answer({ agentId: "a", workspaceId: "w", version: 1 });
  assert.ok(isGrant(await second));
});
