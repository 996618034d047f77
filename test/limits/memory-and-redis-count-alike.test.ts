// The script in Redis against the memory of a process: the same calls at the same times, the same answers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@redis/client";
import fc from "fast-check";
import {
  ENTER,
  keysOf,
  ENTRY_MS,
  limitArguments,
  REASONS,
  SETTLE,
} from "../../src/limits/redis-script.ts";
import { startRedis } from "../support/redis.ts";
import { createCounter, limitedGrant, type LimitedGrant } from "./limited.ts";

const maybe = (max: number) => fc.option(fc.integer({ min: 1, max }), { nil: null });
const rates = fc.record({ requestsPerMinute: maybe(200), bytesPerMinute: maybe(60_000) });
// These stay as they are: Redis learns of a stream that is older than its limit when its entry is renewed.
const streams = fc.record({ openStreams: maybe(5), openWebsockets: maybe(3) });
const steps = fc.array(
  fc.record({
    pauseMs: fc.oneof(fc.constant(0), fc.nat(3000)),
    websocket: fc.boolean(),
    agentId: fc.constantFrom("a", "b"),
    /** Which of the limits hold from here on. */
    rates: fc.nat(1),
    /** Which of the open calls ends before, if there are so many, and its bytes. */
    ends: fc.nat(9),
    bytes: fc.nat(20_000),
  }),
  { minLength: 5, maxLength: 40 },
);

test("the same calls at the same times get the same answers", async (t) => {
  const redis = await startRedis(t);
  const client = createClient({ url: redis.url, RESP: 2 });
  client.on("error", () => undefined);
  await client.connect();
  t.after(() => client.destroy());
  let count = 0;
  let refusals = 0;

  await fc.assert(
    fc.asyncProperty(
      fc.tuple(fc.tuple(rates, rates), streams),
      fc.tuple(fc.tuple(rates, rates), streams),
      steps,
      async ([agentRates, agentStreams], [workspaceRates, workspaceStreams], all) => {
        const counter = createCounter();
        const workspaceId = `workspace-${count++}`;
        let nowMs = 1_700_000_000_000;
        const run = (script: string, grant: LimitedGrant, args: string[]): Promise<unknown> => {
          // By the clock of the test.
          const time = `{${Math.floor(nowMs / 1000)}, ${(nowMs % 1000) * 1000}}`;
          const held = script.replace("redis.call('TIME')", time);
          assert.notEqual(held, script);
          return client.sendCommand(["EVAL", held, "7", ...keysOf(grant), ...args]);
        };
        const entryMs = String(ENTRY_MS * 1000);
        const newest = new Map<string, LimitedGrant>();
        let newestOfAll: LimitedGrant | undefined;
        const open: { entry: string; agentId: string; end: (bytes: number) => void }[] = [];
        for (const [i, step] of all.entries()) {
          counter.advance(step.pauseMs);
          nowMs += step.pauseMs;
          const [ending] = open.splice(step.ends, 1);
          const known = newest.get(ending?.agentId ?? "");
          if (ending !== undefined && known !== undefined && newestOfAll !== undefined) {
            ending.end(step.bytes);
            const { workspaceLimits } = newestOfAll;
            const limits = limitArguments({ limits: known.limits, workspaceLimits });
            const args = [String(step.bytes), entryMs, ...limits, `-${ending.entry}`];
            await run(SETTLE, known, args);
          }
          const grant = limitedGrant({
            workspaceId,
            agentId: step.agentId,
            agent: { ...agentRates[step.rates], ...agentStreams },
            workspace: { ...workspaceRates[step.rates], ...workspaceStreams },
          });
          newest.set(step.agentId, grant);
          newestOfAll = grant;
          const entered = counter.enter(grant, step);
          const args = [`entry-${i}`, entryMs, step.websocket ? "1" : "0"];
          const answer = await run(ENTER, grant, [...args, ...limitArguments(grant)]);
          const [code, waitMs] = answer as number[];
          assert.equal(entered.reason, REASONS[Number(code) - 1], `step ${i}`);
          if (entered.reason === undefined) {
            open.push({ entry: `entry-${i}`, agentId: step.agentId, end: entered.end });
          } else {
            refusals++;
            const waitS = Math.max(1, Math.ceil(Number(waitMs) / 1000));
            assert.equal(entered.retryAfterS, waitS, `step ${i}`);
          }
        }
      },
    ),
    { numRuns: 200 },
  );
  assert.ok(refusals > 100, "both had something to refuse");
});

test("an entry that nobody renews lapses, and one that is renewed does not", async (t) => {
  const redis = await startRedis(t);
  const grant = limitedGrant({ agent: { openStreams: 1 } });
  const at = (script: string, nowS: number): string =>
    script.replace("redis.call('TIME')", `{${nowS}, 0}`);
  const enter = async (entry: string, nowS: number): Promise<unknown> => {
    const args = [entry, String(ENTRY_MS), "0", ...limitArguments(grant)];
    return redis.command("EVAL", at(ENTER, nowS), "7", ...keysOf(grant), ...args);
  };
  const renew = async (entry: string, nowS: number): Promise<unknown> => {
    const args = ["0", String(ENTRY_MS), ...limitArguments(grant), `+${entry}`];
    return redis.command("EVAL", at(SETTLE, nowS), "7", ...keysOf(grant), ...args);
  };
  assert.deepEqual(await enter("first", 1000), [0]);
  assert.deepEqual(await enter("second", 1059), [2, 1000]);
  await renew("first", 1059);
  assert.deepEqual(await enter("second", 1118), [2, 1000]);
  assert.deepEqual(await enter("second", 1119), [0]);
  const [, , open = ""] = keysOf(grant);
  const leftMs = Number(await redis.command("PTTL", open));
  assert.ok(leftMs > 0 && leftMs <= ENTRY_MS + 1000, "a key that nobody uses goes");
});
