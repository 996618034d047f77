// Whatever comes, ends, leaves or expires in any order: the places are bounded and never idle while somebody waits, the room is bounded,
// whoever fills it keeps no other key out, and no key is passed over.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createFairQueue, type Waiting } from "../../src/fair-queue.ts";
import { inputs } from "../support/generated.ts";

const PLACES = 3;
const ROOM = 6;
const SEED = 20_261_130;

type Op =
  | { do: "enter"; key: string; waitMs: number; needsNoPlace: boolean }
  | { do: "end" | "leave"; which: number }
  | { do: "pass"; ms: number };

const which = fc.nat({ max: 30 });
const anOp: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 14,
    arbitrary: fc.record({
      do: fc.constant("enter" as const),
      // Half of all come from one.
      key: fc.constantFrom("a", "a", "a", "a", "b", "c", "d", "e"),
      waitMs: fc.integer({ min: 1, max: 20 }),
      needsNoPlace: fc.nat({ max: 9 }).map((n) => n === 0),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constantFrom("end" as const, "leave" as const), which }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("pass" as const), ms: fc.nat({ max: 10 }) }),
  },
);

interface One extends Waiting {
  readonly key: string;
  state: "outside" | "waits" | "begun" | "over" | "turned_away" | "left";
  /** How many of each other key have begun since it was its key's next one. */
  passedOver: Map<string, number>;
  end: () => void;
}

async function play(
  ops: readonly Op[],
): Promise<{ begun: number; refused: number; waited: number; gaveWay: number }> {
  const queue = createFairQueue({ places: PLACES, room: ROOM });
  const all: One[] = [];
  const count = { begun: 0, refused: 0, waited: 0, gaveWay: 0 };
  const gaveWay: One[] = [];
  let nowMs = 0;
  const inState = (state: One["state"]): One[] => all.filter((one) => one.state === state);
  const firstOf = (key: string): One | undefined => inState("waits").find((one) => one.key === key);

  function noteBegun(begun: One): void {
    count.begun += 1;
    for (const key of new Set(inState("waits").map((one) => one.key))) {
      const first = firstOf(key);
      if (first === undefined || key === begun.key) continue;
      const times = (first.passedOver.get(begun.key) ?? 0) + 1;
      assert.ok(times <= 1, `${begun.key} had two turns while ${key} waited`);
      first.passedOver.set(begun.key, times);
    }
  }

  function make(op: Op & { do: "enter" }): One {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const one: One = {
      key: op.key,
      untilMs: nowMs + op.waitMs,
      state: "outside",
      passedOver: new Map(),
      end: () => resolve(undefined),
      begin() {
        assert.ok(one.state === "outside" || one.state === "waits", `begun when ${one.state}`);
        if (one.state === "waits") {
          assert.equal(one, firstOf(one.key), "of one key, who came first begins first");
          noteBegun(one);
        } else count.begun += 1;
        one.state = op.needsNoPlace ? "over" : "begun";
        return op.needsNoPlace ? undefined : promise;
      },
      turnAway() {
        assert.equal(one.state, "waits");
        if (nowMs < one.untilMs) gaveWay.push(one);
        one.state = "turned_away";
      },
    };
    return one;
  }

  async function perform(op: Op): Promise<void> {
    switch (op.do) {
      case "enter": {
        const one = make(op);
        const others = inState("waits");
        const own = others.filter(({ key }) => key === op.key).length;
        all.push(one);
        const entered = queue.enter(op.key, one);
        for (const { key } of gaveWay.splice(0)) {
          const theirs = others.filter((it) => it.key === key).length;
          assert.ok(entered && others.length === ROOM, "turned away though there was room");
          assert.ok(theirs > own + 1 && theirs === mostOf(others), "turned away for one with more");
          count.gaveWay += 1;
        }
        if (entered) {
          if (one.state === "outside") {
            one.state = "waits";
            count.waited += 1;
          }
          return;
        }
        count.refused += 1;
        assert.equal(one.state, "outside");
        assert.ok(own >= ROOM - others.length, "refused though its share is not full");
        assert.ok(others.length < ROOM || own + 1 >= mostOf(others), "kept out by others' share");
        return;
      }
      case "end": {
        const begun = inState("begun");
        const one = begun[op.which % begun.length];
        if (one === undefined) return;
        one.state = "over";
        one.end();
        await Promise.resolve();
        await Promise.resolve();
        return;
      }
      case "leave": {
        const one = all[op.which % all.length];
        if (one === undefined) return;
        assert.equal(queue.leave(one.key, one), one.state === "waits");
        if (one.state === "waits") one.state = "left";
        return;
      }
      case "pass":
        nowMs += op.ms;
        queue.expire(nowMs);
        assert.ok(inState("waits").every((one) => one.untilMs > nowMs));
        assert.deepEqual(gaveWay, [], "turned away before its time");
        return;
    }
  }

  for (const op of ops) {
    await perform(op);
    const [begun, waiting] = [inState("begun").length, inState("waits").length];
    assert.ok(begun <= PLACES && waiting <= ROOM, `${begun} under way, ${waiting} wait`);
    assert.ok(begun === PLACES || waiting === 0, "a place is free while somebody waits");
  }
  for (let begun = inState("begun"); begun.length > 0; begun = inState("begun")) {
    await perform({ do: "end", which: 0 });
  }
  assert.deepEqual(inState("waits"), []);
  return count;
}

/** How many the key has that has the most of them. */
function mostOf(ones: readonly One[]): number {
  return Math.max(...[...Map.groupBy(ones, ({ key }) => key).values()].map(({ length }) => length));
}

test("whatever comes, no key keeps another from its turn", async () => {
  const sum = { begun: 0, refused: 0, waited: 0, gaveWay: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(anOp, { minLength: 10, maxLength: 150 }), async (ops) => {
      const count = await play(ops);
      sum.begun += count.begun;
      sum.refused += count.refused;
      sum.waited += count.waited;
      sum.gaveWay += count.gaveWay;
    }),
    inputs(SEED, 500),
  );
  assert.ok(sum.begun > 3_000 && sum.refused > 300 && sum.waited > 3_000, JSON.stringify(sum));
  assert.ok(sum.gaveWay > 30, JSON.stringify(sum));
});

test("to be turned away costs as much, however many keys wait", () => {
  const costOf = (room: number): number => {
    const queue = createFairQueue({ places: 1, room });
    const one: Waiting = {
      untilMs: Infinity,
      begin: () => new Promise(() => undefined),
      turnAway: () => undefined,
    };
    for (let n = 0; n <= room; n++) queue.enter(`fills it ${n}`, { ...one });
    const times = Array.from({ length: 9 }, (_, run) => {
      const startMs = performance.now();
      for (let n = 0; n < 2_000; n++) assert.equal(queue.enter(`more ${run} ${n}`, one), false);
      return performance.now() - startMs;
    });
    return Math.min(...times);
  };
  costOf(16);
  const times = costOf(4_096) / costOf(16);
  assert.ok(times < 10, `${times} times as much`);
});
