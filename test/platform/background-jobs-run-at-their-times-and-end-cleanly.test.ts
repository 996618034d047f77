import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { test, type TestContext } from "node:test";
import { createJobRunner, inParts, type Job } from "../../src/platform/jobs.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { valueOf } from "../metrics/exposition.ts";
import { eventually } from "../support/eventually.ts";

const EACH = { withinMs: 60_000, failure: "it failed" } as const;

function open(t: TestContext, jobs: readonly Job[]) {
  const lines: { msg: string; part?: string; errorName?: string }[] = [];
  const log = createLog({
    level: "debug",
    destination: { write: (line) => lines.push(JSON.parse(line) as (typeof lines)[number]) },
  });
  const metrics = createMetrics();
  const runner = createJobRunner(jobs, { log, metrics });
  t.after(() => runner.stop());
  const failures = async (name: string): Promise<number> =>
    valueOf(await metrics.text(), "x3sproxy_job_failures_total", { name });
  return { runner, lines, log, failures };
}

test("a job runs at once, then at its times, and never overlaps with itself", async (t) => {
  let atWork = 0;
  const startsMs: number[] = [];
  const { runner } = open(t, [
    {
      ...{ name: "figures", everyMs: 20, ...EACH },
      async run() {
        startsMs.push(performance.now());
        assert.equal(++atWork, 1, "it overlaps");
        await delay(startsMs.length === 1 ? 60 : 1);
        atWork--;
      },
    },
  ]);
  runner.start();
  assert.equal(startsMs.length, 1, "at once");
  await eventually(() => startsMs.length >= 4);
  const [first = 0, second = 0, third = 0] = startsMs;
  assert.ok(second - first >= 59, "after the one that took long");
  assert.ok(third - second >= 15, `${third - second} ms`);
});

test("a failure is counted each time and said once until it works again, and holds up no other job", async (t) => {
  let tries = 0;
  let others = 0;
  const { runner, lines, log, failures } = open(t, [
    {
      ...{ name: "figures", everyMs: 5, ...EACH },
      run() {
        tries++;
        const fails = tries <= 3 || tries === 5;
        return fails ? Promise.reject(new TypeError("FAKE")) : Promise.resolve();
      },
    },
    { ...{ name: "token_ends", everyMs: 5, ...EACH }, run: () => Promise.resolve(others++) },
  ]);
  runner.start();
  await eventually(() => tries > 6 && others > 6);
  await log.flush();
  assert.deepEqual(
    lines.map(({ msg, part, errorName }) => [msg, part, errorName]),
    [
      ["it failed", "figures", "TypeError"],
      ["it failed", "figures", "TypeError"],
    ],
  );
  assert.equal(await failures("figures"), 4);
  assert.equal(await failures("token_ends"), 0);
});

test("a run that takes too long is told to end, and the next one goes on", async (t) => {
  let parts = 0;
  const runs: number[] = [];
  const { runner, lines, log } = open(t, [
    {
      ...{ name: "activity_pruning", everyMs: 5, ...EACH, withinMs: 150 },
      run: async (signal) =>
        runs.push(await inParts(() => Promise.resolve(++parts < 4 ? 10 : 0), 10, signal)),
    },
  ]);
  runner.start();
  await eventually(() => runs.length >= 2);
  await log.flush();
  assert.ok(lines.some(({ msg, part }) => msg.includes("too long") && part === "activity_pruning"));
  assert.equal(
    runs.reduce((sum, count) => sum + count),
    30,
  );
});

test("stopping ends what runs, then does what is to be done last, in order, whatever fails", async (t) => {
  const done: string[] = [];
  const last = (what: string) => () => Promise.resolve(done.push(what));
  const { runner, lines, log, failures } = open(t, [
    {
      ...{ name: "key_rotation", everyMs: 5, ...EACH },
      async run(signal) {
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        done.push("run");
        throw new Error("FAKE");
      },
      last: last("first"),
    },
    {
      ...{ name: "audit_sealing", everyMs: 60_000, ...EACH, failure: "not sealed" },
      run: () => Promise.resolve(),
      last: () => Promise.reject(new Error("FAKE")),
    },
    {
      ...{ name: "checkpoint_sending", everyMs: 60_000, ...EACH },
      run: () => Promise.resolve(),
      last: last("third"),
    },
  ]);
  runner.start();
  await delay(10);
  await runner.stop();
  assert.deepEqual(done, ["run", "first", "third"]);
  await log.flush();
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    ["not sealed"],
  );
  assert.equal(await failures("audit_sealing"), 1);
  await delay(20);
  assert.equal(done.length, 3, "nothing runs any more");
});
