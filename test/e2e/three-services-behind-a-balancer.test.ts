// Three machines: each service with a data folder of its own, on one Postgres and one Redis, behind a load balancer. To agents they
// are one; what is changed at one holds at all; each may be taken away.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { CHECK_EVERY_MS, startLoadBalancer } from "../support/load-balancer.ts";
import { startRedis } from "../support/redis.ts";
import { runService, type RunningService } from "../support/service.ts";
import { administer } from "./calls.ts";
import { keepCalling, openStream, startUpstream, tally, type Seen } from "./load.ts";

const FIRST_KEY = "sk-proj-FAKE-of-three-services-0000-1111";
const SECOND_KEY = "sk-proj-FAKE-of-three-services-0000-2222";
const WITHIN_MS = 1000;
const EVERY_MS = 15;
const REQUESTS_A_MINUTE = 30;
const STREAM_MS = 1500;

let database: TestDatabase;
let upstream: Awaited<ReturnType<typeof startUpstream>>;

before(async () => {
  database = await createTestDatabase();
  upstream = await startUpstream();
});
after(async () => {
  await upstream.close();
  await database.drop();
});

test("rotation, revocation, suspension, limits and drain hold at all three under load", async (t) => {
  const redis = await startRedis(t);
  const env = {
    X3SPROXY_ORIGIN_OPENAI: upstream.origin,
    X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
    X3SPROXY_DRAIN_TIMEOUT: "10s",
    REDIS_URL: redis.url,
  };
  const one = await runService({ database, env });
  t.after(() => one.remove());
  const others = await Promise.all(
    [0, 1].map(() => runService({ database, env, apiKey: one.apiKey })),
  );
  for (const other of others) t.after(() => other.remove());
  const [two, three] = others as [RunningService, RunningService];
  const services = [one, two, three];
  const url = await startLoadBalancer(t, services);
  await one.setSecret("openai", FIRST_KEY);
  const [lasting, doomed, stopped, limited] = await Promise.all([
    one.deploy("lasting"),
    two.deploy("doomed"),
    three.deploy("stopped"),
    one.deploy("limited", "--requests-per-minute", String(REQUESTS_A_MINUTE)),
  ]);

  const calling = keepCalling(url, lasting, EVERY_MS);
  // Each of the three is asked for itself, so that none can hide behind the others.
  const asked = (token: string) => services.map((it) => keepCalling(it.proxyUrl, token, 50));
  const rotating = asked(lasting);
  const dooming = asked(doomed);
  const stopping = asked(stopped);
  await eventually(() => calling.seen.length > 50 && all(dooming).length > 20);

  await two.setSecret("openai", SECOND_KEY);
  const rotatedMs = performance.now();
  const destroyedMs = await administer(three, "DELETE", "/agents/doomed");
  const suspendedMs = await administer(one, "POST", "/agents/stopped/suspend");
  await eventually(() => everyHas(stopping, suspendedMs + WITHIN_MS + 300));
  for (const [index, service] of services.entries()) {
    const begunAfter = (calls: readonly Calling[], atMs: number): Seen[] =>
      (calls[index]?.seen ?? []).filter(({ startMs }) => startMs > atMs + WITHIN_MS);
    const rotated = begunAfter(rotating, rotatedMs).map(({ keyEnding }) => keyEnding);
    assert.deepEqual([...new Set(rotated)], ["2222"], service.proxyUrl);
    const destroyed = Object.keys(tally(begunAfter(dooming, destroyedMs)));
    assert.deepEqual(destroyed, ["unknown_token"], service.proxyUrl);
    const suspended = Object.keys(tally(begunAfter(stopping, suspendedMs)));
    assert.deepEqual(suspended, ["agent_suspended"], service.proxyUrl);
  }
  await administer(two, "POST", "/agents/stopped/resume");
  await Promise.all([...rotating, ...dooming, ...stopping].map((it) => it.stop()));

  // Three count as one: never more than the minute's requests and what flows back meanwhile.
  const limitedMs = performance.now();
  const counting = keepCalling(url, limited, 20);
  await eventually(() => counting.seen.length > 150);
  const counted = tally(await counting.stop());
  const elapsedMs = performance.now() - limitedMs;
  const bound =
    Math.max(1, Math.ceil(REQUESTS_A_MINUTE / 6)) + (elapsedMs / 60_000) * REQUESTS_A_MINUTE + 1;
  t.diagnostic(`limited: ${JSON.stringify(counted)} in ${Math.round(elapsedMs)} ms`);
  assert.deepEqual(Object.keys(counted).sort(), ["200", "rate_limited"]);
  assert.ok((counted["200"] ?? 0) <= bound, `at most ${bound}`);

  // One of three goes: its streams end whole, and nobody notices.
  const streams = await Promise.all(
    Array.from({ length: 6 }, () => openStream(url, lasting, STREAM_MS)),
  );
  const seenBefore = calling.seen.length;
  const exited = once(two.process, "exit");
  two.process.kill("SIGTERM");
  assert.deepEqual(await exited, [0, null]);
  for (const { ended } of streams) assert.equal((await ended).whole, true);
  const goneMs = performance.now();
  await eventually(() => everyHas([calling], goneMs + 5 * CHECK_EVERY_MS));
  const seen = (await calling.stop()).slice(seenBefore);
  t.diagnostic(`while one of three was drained: ${JSON.stringify(tally(seen))}`);
  assert.deepEqual(Object.keys(tally(seen)), ["200"]);
  assert.deepEqual(Object.keys(tally(calling.seen)), ["200"]);
  for (const { output } of services) {
    assert.ok(output.stdout.split('"msg":"exchange"').length > 50, "each had its share");
  }
});

type Calling = ReturnType<typeof keepCalling>;

const all = (callings: readonly Calling[]): readonly Seen[] => callings.flatMap(({ seen }) => seen);

/** Whether each has an answer to a call begun after that. */
function everyHas(callings: readonly Calling[], afterMs: number): boolean {
  return callings.every(({ seen }) => seen.some(({ startMs }) => startMs > afterMs));
}
