import assert from "node:assert/strict";
import { it, type TestContext } from "node:test";
import { createPool } from "../../src/db/index.ts";
import { createAttempts, type Attempt } from "../../src/identity/attempts.ts";
import { openIdentity } from "./fixture.ts";

/** Two processes' limits on one database. `age` lets all that was counted be longer ago. */
async function openLimits(t: TestContext) {
  const { controlUrl, owner, workspaceId } = await openIdentity(t);
  const pools = [createPool(controlUrl), createPool(controlUrl)];
  t.after(() => Promise.all(pools.map((pool) => pool.close())));
  const limits = pools.map((pool) => createAttempts({ pool }));
  const noted: string[] = [];
  /** Begins a try; gives it, or the seconds to wait. */
  const begin = async (
    by: string,
    account: string,
    i = 0,
    device?: string,
  ): Promise<Attempt | number> => {
    try {
      const attempts = limits[i % 2];
      assert.ok(attempts !== undefined);
      return await attempts.begin({ workspaceId, by, account, device }, async (sql) => {
        await sql`select 1`;
        noted.push(account);
      });
    } catch (error) {
      const { status, code, retryAfterS } = error as Record<string, unknown>;
      assert.deepEqual([status, code], [429, "too_many_attempts"]);
      return Number(retryAfterS);
    }
  };
  const fail = async (by: string, account: string, device?: string): Promise<number> => {
    const attempt = await begin(by, account, 0, device);
    if (typeof attempt === "number") return attempt;
    await attempt.settle("failed");
    return 0;
  };
  const age = async (interval: string): Promise<void> => {
    await owner`
      update x3sproxy.account_attempts set touched_at = touched_at - ${interval}::interval,
        next_at = next_at - ${interval}::interval,
        refusal_noted_at = refusal_noted_at - ${interval}::interval`;
  };
  return { owner, workspaceId, pool: pools[0] ?? assert.fail(), begin, fail, age, noted };
}

let networks = 0;
const newNetwork = (): string => `network ${networks++}`;

it("of 60 at one moment at one account from one network over two processes five go on", async (t) => {
  const { begin } = await openLimits(t);
  const outcomes = await Promise.all(
    Array.from({ length: 60 }, (_, i) => begin("one", "someone", i)),
  );
  const waits = outcomes.filter((outcome) => typeof outcome === "number");
  assert.deepEqual([waits.length, new Set(waits)], [55, new Set([1])]);
});

it("whatever strangers do there or elsewhere, the same account is open to another network, and another account to theirs", async (t) => {
  const { begin, fail } = await openLimits(t);
  const waits = await Promise.all(Array.from({ length: 40 }, () => fail("one", "someone")));
  assert.ok(waits.filter((waitS) => waitS > 0).length >= 30, waits.join());
  for (let i = 0; i < 20; i++) await fail(newNetwork(), "someone");
  for (let i = 0; i < 20; i++) await fail("one", `account ${i}`);
  for (const [by, account] of [
    ["home", "someone"],
    ["one", "another"],
  ] as const) {
    assert.equal(typeof (await begin(by, account)), "object", `${by} ${account}`);
  }
});

it("the delay doubles from a second to a quarter of an hour, and no further", async (t) => {
  const { fail, age } = await openLimits(t);
  for (let i = 0; i < 5; i++) assert.equal(await fail("one", "someone"), 0);
  for (const waitS of [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]) {
    assert.equal(await fail("one", "someone"), waitS);
    assert.equal(await fail("one", "someone"), waitS, "asking does not make it longer");
    await age(`${waitS} seconds`);
    assert.equal(await fail("one", "someone"), 0);
  }
});

it("one that succeeds ends the delay; one that stays undecided leaves things as they were", async (t) => {
  const { begin, fail, age } = await openLimits(t);
  for (let i = 0; i < 6; i++) {
    await fail("one", "someone");
    await age("2 seconds");
  }
  const undecided = await begin("one", "someone");
  assert.ok(typeof undecided === "object");
  await undecided.settle("undecided");
  await age("10 seconds");
  const right = await begin("one", "someone");
  assert.ok(typeof right === "object");
  await right.settle("succeeded");
  for (let i = 0; i < 5; i++) assert.equal(await fail("one", "someone"), 0);

  for (let i = 0; i < 12; i++) {
    const attempt = await begin("busy", "another");
    assert.ok(typeof attempt === "object", "what was no wrong guess uses nothing up");
    await attempt.settle(i % 2 === 0 ? "undecided" : "succeeded");
  }
});

it("strangers on the user's own network do not keep a device out that has been signed in", async (t) => {
  const { begin, fail } = await openLimits(t);
  const right = await begin("home", "someone", 0, "laptop");
  assert.ok(typeof right === "object");
  assert.equal(right.known, false);
  await right.settle("succeeded");
  for (let i = 0; i < 8; i++) await fail("home", "someone");
  for (let i = 0; i < 8; i++) await fail("home", "someone", `made up ${i}`);
  assert.ok((await fail("home", "someone")) > 0, "strangers wait");
  const again = await begin("elsewhere", "someone", 0, "laptop");
  assert.ok(typeof again === "object");
  assert.equal(again.known, true);
  await again.settle("succeeded");
  for (let i = 0; i < 5; i++) assert.equal(await fail("home", "someone", "laptop"), 0);
  assert.ok((await fail("home", "someone", "laptop")) > 0, "so do its own guesses");
  assert.equal(await fail("abroad", "another", "laptop"), 0, "it is known for one account");
});

it("of all refusals the first is noted, then one in an hour, and one after each try that went on", async (t) => {
  const { begin, fail, age, noted } = await openLimits(t);
  await Promise.all(Array.from({ length: 60 }, (_, i) => begin("one", "someone", i)));
  assert.deepEqual(noted, ["someone"], "over two processes");
  await begin("home", "another");
  assert.deepEqual(noted, ["someone"]);
  await age("2 seconds");
  assert.equal(await fail("one", "someone"), 0);
  for (let i = 0; i < 5; i++) await fail("one", "someone");
  assert.deepEqual(noted, ["someone", "someone"], "a try went on in between");
  for (let i = 0; i < 11; i++) {
    await age("900 seconds");
    await fail("one", "someone");
  }
  noted.length = 0;
  for (let i = 0; i < 5; i++) await fail("one", "someone");
  assert.deepEqual(noted, ["someone"]);
});

it("what is noted of an account is as much as one network could cause, however many there are", async (t) => {
  const { workspaceId, pool, age } = await openLimits(t);
  const attempts = createAttempts({ pool });
  let noted = 0;
  const fail = () =>
    pool.inWorkspace(workspaceId, (sql) =>
      attempts.paced("someone", sql, () => {
        noted += 1;
        return Promise.resolve();
      }),
    );
  for (let i = 0; i < 60; i++) await fail();
  assert.equal(noted, 5);
  await age("1 second");
  for (let i = 0; i < 60; i++) await fail();
  assert.equal(noted, 6);
});

it("what can't be noted is not taken for noted", async (t) => {
  const { controlUrl, workspaceId } = await openIdentity(t);
  const pool = createPool(controlUrl);
  t.after(() => pool.close());
  const attempts = createAttempts({ pool });
  const of = { workspaceId, by: "one", account: "someone" };
  for (let i = 0; i < 5; i++) await attempts.begin(of, () => Promise.reject(new Error("no")));
  await assert.rejects(
    attempts.begin(of, () => Promise.reject(new Error("not written"))),
    /not written/,
  );
  let written = 0;
  const write = () => {
    written++;
    return Promise.resolve();
  };
  for (let i = 0; i < 3; i++) await assert.rejects(attempts.begin(of, write), { status: 429 });
  assert.equal(written, 1);
});

it("what is no longer needed is swept; the table holds hashes alone", async (t) => {
  const { owner, begin, fail, age } = await openLimits(t);
  for (let i = 0; i < 8; i++) await fail(`old ${i}`, `account ${i}`);
  for (let i = 0; i < 5; i++) await fail("busy", "someone");
  for (const outcome of ["succeeded", "undecided"] as const) {
    const attempt = await begin("home", "someone@example.test", 0, "laptop");
    assert.ok(typeof attempt === "object");
    await attempt.settle(outcome);
  }
  const count = async () => (await owner`select from x3sproxy.account_attempts`).count;
  assert.equal(await count(), 8 + 1 + 1, "of one that succeeded the device alone is left");
  await age("61 minutes");
  await fail("new", "account new");
  assert.equal(await count(), 1 + 1 + 1, "few tries are forgotten in an hour");
  await age("25 hours");
  await fail("newer", "account new");
  assert.equal(await count(), 1 + 1, "the known device is kept for longer");
  await age("90 days");
  await fail("newest", "account new");
  assert.equal(await count(), 1);
  const rows = await owner`select to_jsonb(a)::text as text from x3sproxy.account_attempts a`;
  assert.ok(!/account |someone|laptop/.test(rows.map((row) => String(row["text"])).join()));
});
