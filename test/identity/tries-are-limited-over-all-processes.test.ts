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
  const begin = async (network: string, account: string, i = 0): Promise<Attempt | number> => {
    try {
      const attempts = limits[i % 2];
      assert.ok(attempts !== undefined);
      return await attempts.begin({ workspaceId, network, account, learns: true }, async (sql) => {
        await sql`select 1`;
        noted.push(account);
      });
    } catch (error) {
      const { status, code, retryAfterS } = error as Record<string, unknown>;
      assert.deepEqual([status, code], [429, "too_many_attempts"]);
      return Number(retryAfterS);
    }
  };
  const fail = async (network: string, account: string): Promise<number> => {
    const attempt = await begin(network, account);
    if (typeof attempt === "number") return attempt;
    await attempt.settle("failed");
    return 0;
  };
  const age = async (interval: string): Promise<void> => {
    await owner`
      update x3sproxy.network_attempts set touched_at = touched_at - ${interval}::interval,
        recent = array(select r - ${interval}::interval from unnest(recent) r order by r)`;
    await owner`
      update x3sproxy.account_attempts set touched_at = touched_at - ${interval}::interval,
        next_at = next_at - ${interval}::interval,
        refusal_noted_at = refusal_noted_at - ${interval}::interval`;
  };
  return { owner, begin, fail, age, noted };
}

let networks = 0;
const newNetwork = (): string => `network ${networks++}`;

it("of 60 at one moment from one network over two processes five go on", async (t) => {
  const { begin, age } = await openLimits(t);
  const outcomes = await Promise.all(
    Array.from({ length: 60 }, (_, i) => begin("one", `account ${i}`, i)),
  );
  const waits = outcomes.filter((outcome) => typeof outcome === "number");
  assert.equal(waits.length, 55);
  for (const waitS of waits) assert.ok(waitS > 50 && waitS <= 60, String(waitS));
  assert.notEqual(typeof (await begin("another", "account x")), "number");
  await age("30 seconds");
  const half = await begin("one", "account y");
  assert.ok(typeof half === "number" && half > 20 && half <= 30, "what was refused did not count");
  await age("30 seconds");
  for (let i = 0; i < 5; i++) assert.notEqual(typeof (await begin("one", `late ${i}`)), "number");
  assert.equal(typeof (await begin("one", "late")), "number");
});

it("of 60 at one moment at one account from as many networks five go on", async (t) => {
  const { begin } = await openLimits(t);
  const outcomes = await Promise.all(
    Array.from({ length: 60 }, (_, i) => begin(newNetwork(), "someone", i)),
  );
  const waits = outcomes.filter((outcome) => typeof outcome === "number");
  assert.deepEqual([waits.length, new Set(waits)], [55, new Set([1])]);
});

it("the delay of an account doubles from a second to a quarter of an hour, and no further", async (t) => {
  const { fail, age } = await openLimits(t);
  for (let i = 0; i < 5; i++) assert.equal(await fail(newNetwork(), "someone"), 0);
  for (const waitS of [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]) {
    assert.equal(await fail(newNetwork(), "someone"), waitS);
    assert.equal(await fail(newNetwork(), "someone"), waitS, "asking does not make it longer");
    await age(`${waitS} seconds`);
    assert.equal(await fail(newNetwork(), "someone"), 0);
  }
});

it("one that succeeds ends the delay; one that stays undecided leaves things as they were", async (t) => {
  const { begin, fail, age } = await openLimits(t);
  for (let i = 0; i < 6; i++) {
    await fail(newNetwork(), "someone");
    await age("2 seconds");
  }
  const undecided = await begin(newNetwork(), "someone");
  assert.ok(typeof undecided === "object");
  await undecided.settle("undecided");
  await age("10 seconds");
  const right = await begin("home", "someone");
  assert.ok(typeof right === "object");
  await right.settle("succeeded");
  for (let i = 0; i < 5; i++) assert.equal(await fail(newNetwork(), "someone"), 0);

  for (let i = 0; i < 12; i++) {
    const attempt = await begin("busy", `account ${i}`);
    assert.ok(typeof attempt === "object", "what was no wrong guess does not use the address up");
    await attempt.settle(i % 2 === 0 ? "undecided" : "succeeded");
  }
});

it("strangers who keep on guessing do not keep a user out at home", async (t) => {
  const { begin, fail } = await openLimits(t);
  const right = await begin("home", "someone");
  assert.ok(typeof right === "object");
  await right.settle("succeeded");
  for (let i = 0; i < 8; i++) await fail(newNetwork(), "someone");
  assert.ok((await fail(newNetwork(), "someone")) > 0, "strangers wait");
  for (let i = 0; i < 5; i++) assert.equal(await fail("home", "someone"), 0);
  assert.ok((await fail("home", "someone")) > 0, "so do guesses at home, by a count of their own");
});

it("of all refusals at an account the first is noted, then one in an hour, and one after each try that went on", async (t) => {
  const { begin, fail, age, noted } = await openLimits(t);
  await Promise.all(Array.from({ length: 60 }, (_, i) => begin(newNetwork(), "someone", i)));
  assert.deepEqual(noted, ["someone"], "from 55 networks over two processes");
  await begin("home", "another");
  assert.deepEqual(noted, ["someone"]);
  await age("2 seconds");
  assert.equal(await fail(newNetwork(), "someone"), 0);
  for (let i = 0; i < 5; i++) await fail(newNetwork(), "someone");
  assert.deepEqual(noted, ["someone", "someone"], "a try went on in between");

  for (let i = 0; i < 5; i++) await fail("busy", `account ${i}`);
  for (let i = 0; i < 5; i++) await fail("busy", "another");
  for (let i = 0; i < 5; i++) await fail("busy", "nobody");
  assert.deepEqual(noted.slice(2), ["another", "nobody"], "the network's refusals, too");
  await age("59 minutes");
  for (let i = 0; i < 10; i++) await fail("busy", `account ${i}`);
  noted.length = 0;
  for (let i = 0; i < 5; i++) await fail("busy", "another");
  assert.deepEqual(noted, []);
  await age("2 minutes");
  for (let i = 0; i < 10; i++) await fail("busy", `account ${i}`);
  noted.length = 0;
  for (let i = 0; i < 5; i++) await fail("busy", "another");
  assert.deepEqual(noted, ["another"], "an attack that lasts shows again");
});

it("what can't be noted is not taken for noted", async (t) => {
  const { controlUrl, workspaceId } = await openIdentity(t);
  const pool = createPool(controlUrl);
  t.after(() => pool.close());
  const attempts = createAttempts({ pool });
  const of = { workspaceId, network: "one", account: "someone", learns: true };
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

it("what is no longer needed is swept; the tables hold hashes alone", async (t) => {
  const { owner, begin, fail, age } = await openLimits(t);
  for (let i = 0; i < 8; i++) await fail(`old ${i}`, `account ${i}`);
  const right = await begin("home", "someone@example.test");
  assert.ok(typeof right === "object");
  await right.settle("succeeded");
  const count = async () =>
    Promise.all([
      owner`select from x3sproxy.network_attempts`.then(({ count: rows }) => rows),
      owner`select from x3sproxy.account_attempts`.then(({ count: rows }) => rows),
    ]);
  assert.deepEqual(await count(), [9, 10]);
  await age("2 minutes");
  await fail("new", "account 0");
  assert.deepEqual(await count(), [1, 10]);
  await age("25 hours");
  await fail("new", "account new");
  assert.deepEqual(await count(), [1, 2], "the known place is kept for longer");
  await age("90 days");
  await fail("new", "account new");
  assert.deepEqual(await count(), [1, 1]);
  const rows = await owner`select to_jsonb(a)::text as text from x3sproxy.account_attempts a`;
  assert.ok(!JSON.stringify(rows).includes("account"));
});
