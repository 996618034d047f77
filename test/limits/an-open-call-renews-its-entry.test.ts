import assert from "node:assert/strict";
import { test } from "node:test";
import { createLimiter } from "../../src/limits/index.ts";
import { keysOf, ENTRY_MS } from "../../src/limits/redis-script.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis.ts";
import { limitedGrant } from "./limited.ts";
import { createManualClock } from "../grants/manual-clock.ts";

test("each third of the time after which it lapses, until the call ends", async (t) => {
  const redis = await startRedis(t);
  const clock = createManualClock();
  const metrics = createMetrics();
  const log = createLog({ level: "silent" });
  const limiter = createLimiter({ redisUrl: redis.url, clock, log, metrics });
  t.after(() => limiter.close());
  await eventually(async () => (await metrics.limitsShared.get()).values[0]?.value === 1);
  const grant = limitedGrant({
    agent: { openStreams: 9 },
    workspace: { openStreams: 9, openWebsockets: 9 },
  });
  const call = { requestBytes: 0, responseBytes: 0 };
  const plain = await limiter.enter(grant, { ...call, websocket: false });
  const socket = await limiter.enter(grant, { ...call, websocket: true });
  assert.ok(!("reason" in plain) && !("reason" in socket));

  const [, , agentOpen = "", , , workspaceOpen = "", websockets = ""] = keysOf(grant);
  /** When each entry lapses, by key. */
  const entries = async (): Promise<number[][]> =>
    Promise.all(
      [agentOpen, workspaceOpen, websockets].map(async (key) => {
        const flat = (await redis.command("ZRANGE", key, "0", "-1", "WITHSCORES")) as string[];
        return flat.filter((_, i) => i % 2 === 1).map(Number);
      }),
    );
  const before = await entries();
  assert.deepEqual(
    before.map((key) => key.length),
    [2, 2, 1],
  );
  const first = Math.max(...before.flat());
  clock.advance(ENTRY_MS / 3);
  await eventually(async () => (await entries()).flat().every((ms) => ms > first));
  assert.deepEqual(
    (await entries()).map((key) => key.length),
    [2, 2, 1],
  );

  plain.end();
  socket.end();
  await eventually(async () => (await entries()).flat().length === 0);
  clock.advance(ENTRY_MS);
  await limiter.close();
  assert.deepEqual((await entries()).flat(), [], "what has ended is not renewed");
});

test("what a stream carries is charged while it is open, to all processes", async (t) => {
  const redis = await startRedis(t);
  const open = async () => {
    const metrics = createMetrics();
    const limiter = createLimiter({
      ...{ redisUrl: redis.url, metrics },
      clock: createManualClock(),
      log: createLog({ level: "silent" }),
    });
    t.after(() => limiter.close());
    await eventually(async () => (await metrics.limitsShared.get()).values[0]?.value === 1);
    return limiter;
  };
  const [one, other] = [await open(), await open()];
  const grant = limitedGrant({ agent: { bytesPerMinute: 6000 } });
  const call = { websocket: false, requestBytes: 0, responseBytes: 0 };
  const stream = await one.enter(grant, call);
  assert.ok(!("reason" in stream));
  call.responseBytes = 3000;
  const idle = { websocket: false, requestBytes: 0, responseBytes: 0 };
  const refused = await eventually(async () => {
    const entered = await other.enter(grant, idle);
    if ("reason" in entered) return entered;
    entered.end();
    return undefined;
  }, 5000);
  assert.equal(refused.reason, "too_many_bytes");
  assert.ok(refused.retryAfterS >= 18 && refused.retryAfterS <= 20);
  stream.end();
});
