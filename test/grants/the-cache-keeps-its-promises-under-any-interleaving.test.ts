// Tokens are revoked, changed, looked up, announced and forgotten in any order, answers come late, fail, or are of
// before a change. Whatever happens, a grant that is given out is one that the rules allow at that moment.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createScripted, hashOf, isGrant, settle, type Query } from "./scripted.ts";

const TTL_MS = 60_000;
const TOKENS = [
  { hash: hashOf("a"), agentId: "agent-1", workspaceId: "workspace-1" },
  { hash: hashOf("b"), agentId: "agent-1", workspaceId: "workspace-1" },
  { hash: hashOf("c"), agentId: "agent-2", workspaceId: "workspace-1" },
];

type Op =
  | { do: "find" | "ask" | "change" | "revoke" | "restore"; token: number }
  | { do: "answer"; query: number; stale: boolean }
  | { do: "fail"; query: number }
  | { do: "announce"; workspace: boolean }
  | { do: "gap" | "turn" | "sweep" }
  | { do: "hop"; times: number }
  | { do: "advance"; ms: number };

const token = fc.nat({ max: TOKENS.length - 1 });
const query = fc.nat({ max: TOKENS.length - 1 });
const is = <const T extends string>(...names: T[]) => fc.constantFrom(...names);
const anOp: fc.Arbitrary<Op> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: is("find", "find", "ask"), token }) },
  { weight: 6, arbitrary: fc.record({ do: is("answer"), query, stale: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: is("fail"), query }) },
  { weight: 4, arbitrary: fc.record({ do: is("change", "revoke", "restore"), token }) },
  { weight: 4, arbitrary: fc.record({ do: is("announce"), workspace: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: is("turn", "turn", "gap", "sweep") }) },
  { weight: 3, arbitrary: fc.record({ do: is("hop"), times: fc.integer({ min: 1, max: 6 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: is("advance"),
      ms: fc.constantFrom(10, 1_001, 4_000, 14_999, 45_000, 59_999, 60_000),
    }),
  },
);

async function play(ops: readonly Op[]): Promise<{ granted: number; refused: number }> {
  const { clock, cache, lookUps, queries, made } = createScripted();
  // The truth of each token: whether it was live in each of its versions, the newest version that was announced, and the
  // newest that a query has brought.
  const truth = TOKENS.map((each) => ({
    ...each,
    live: [true],
    announced: 0,
    brought: 0,
    learnt: 0,
  }));
  const unannounced: Truth[] = [];
  const snapshots = new Map<Query, number>();
  const waiting: Promise<void>[] = [];
  const count = { granted: 0, refused: 0 };
  type Truth = (typeof truth)[number];

  const of = (i: number): Truth => truth[i] ?? assert.fail("no such token");
  const behind = (asked: Query): Truth =>
    truth.find(({ hash }) => hash === asked.tokenHash) ?? assert.fail("asked for another token");
  const latest = ({ live }: Truth): number => live.length - 1;

  /** `announced`, `learnt`: as they were when it was asked for. */
  function check(it: Truth, found: unknown, { announced, learnt }: Truth): void {
    if (isGrant(found)) {
      count.granted += 1;
      const { version, announced: announcedBefore = 0 } = found.row;
      assert.equal(found.tokenHash, it.hash);
      assert.ok(!found.wiped(), "given out wiped");
      assert.ok(version >= Math.max(announced, announcedBefore), "overtaken by a change");
      assert.ok(version >= learnt, "older than what a query has brought");
      assert.ok(it.live[version], "given out though it is not live");
      assert.ok(clock.monotonicMs() - found.loadedAtMs < TTL_MS, "past its time");
    } else if (found === "unknown_token") {
      count.refused += 1;
      assert.ok(it.live.slice(announced).includes(false), "refused though it is live");
    } else {
      assert.equal(found, "store_unavailable");
    }
  }

  function find(it: Truth): void {
    const before = { ...it };
    const found = lookUps.find(it.hash);
    if (found instanceof Promise) waiting.push(found.then((late) => check(it, late, before)));
    else check(it, found, before);
    for (const asked of queries) {
      if (!snapshots.has(asked)) snapshots.set(asked, latest(behind(asked)));
    }
    assert.equal(
      new Set(queries.map((each) => each.tokenHash)).size,
      queries.length,
      "asked twice",
    );
  }

  function answer(asked: Query, stale: boolean): void {
    const it = behind(asked);
    const { agentId, workspaceId, announced } = it;
    const version = stale ? (snapshots.get(asked) ?? latest(it)) : latest(it);
    asked.answer(it.live[version] === true ? { agentId, workspaceId, version, announced } : null);
    it.brought = version;
  }

  async function pass(): Promise<void> {
    await settle();
    for (const it of truth) it.learnt = it.brought;
  }

  function announced(it: Truth): void {
    it.announced = latest(it);
  }

  async function perform(op: Op): Promise<void> {
    switch (op.do) {
      case "find":
        find(of(op.token));
        return;
      case "ask":
        find(of(op.token));
        for (const asked of [...queries]) answer(asked, false);
        return pass();
      case "change":
      case "revoke":
      case "restore": {
        const it = of(op.token);
        it.live.push(op.do === "change" ? it.live.at(-1) === true : op.do === "restore");
        unannounced.push(it);
        return;
      }
      case "announce": {
        const it = unannounced.shift();
        if (it === undefined) return;
        const id = op.workspace ? it.workspaceId : it.agentId;
        cache.forget(id);
        truth.filter((e) => e.agentId === id || e.workspaceId === id).forEach(announced);
        return;
      }
      case "gap":
        unannounced.length = 0;
        cache.forgetAll();
        truth.forEach(announced);
        return;
      case "answer":
      case "fail": {
        const asked = queries[op.query];
        if (asked === undefined) return;
        if (op.do === "fail") asked.fail();
        else answer(asked, op.stale);
        return;
      }
      case "hop":
        for (let i = 0; i < op.times; i += 1) await Promise.resolve();
        return;
      case "turn":
        return pass();
      case "sweep":
        cache.sweep(clock.monotonicMs());
        return;
      case "advance":
        await pass();
        clock.advance(op.ms);
        return;
    }
  }

  for (const op of ops) await perform(op);
  await settle();
  while (queries.length > 0) {
    for (const asked of [...queries]) answer(asked, false);
    await settle();
  }
  await Promise.all(waiting);
  cache.forgetAll();
  await settle();
  assert.ok(
    made.every((grant) => grant.wiped()),
    "a grant has left without being wiped",
  );
  return count;
}

test("under any interleaving no grant is stale, wiped, past its time or kept", async () => {
  let granted = 0;
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(anOp, { minLength: 5, maxLength: 100 }), async (ops) => {
      const count = await play(ops);
      granted += count.granted;
      refused += count.refused;
    }),
    { numRuns: 800 },
  );
  assert.ok(granted > 1_000 && refused > 100, `too few to mean anything: ${granted}, ${refused}`);
});
