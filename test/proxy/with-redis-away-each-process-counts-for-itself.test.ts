// Redis is never a reason to refuse a call, or to let it wait.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { openDataPlane, type DataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createHttpUpstream, type HttpUpstream } from "../support/http-upstream.ts";
import { limitAgent, metric, refusalOf } from "../support/limits.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { freePorts } from "../support/service.ts";
import { head, openWireClient } from "../support/wire.ts";

const PASSWORD = "FAKE-redis-password-0123456789";
/** With the deadline of a quarter of a second, on a machine that is busy. */
const SOON_MS = 1500;

async function startUpstream(t: TestContext): Promise<HttpUpstream & { release(): void }> {
  const held: (() => void)[] = [];
  const upstream = await createHttpUpstream(({ url }, response) => {
    if (url === "/v1/held") held.push(() => response.end("ok"));
    else response.end("ok");
  });
  t.after(() => upstream.close());
  return Object.assign(upstream, { release: () => held.splice(0).forEach((end) => end()) });
}

async function open(t: TestContext, origin: string, redisUrl: string): Promise<DataPlane> {
  const env = { X3SPROXY_ORIGIN_OPENAI: origin, REDIS_URL: redisUrl };
  const plane = await openDataPlane(t, { env });
  await plane.save("openai");
  return plane;
}

const isShared = (plane: DataPlane, is: 0 | 1): Promise<unknown> =>
  eventually(async () => (await metric(plane, "limitsShared")) === is);

const told = (plane: DataPlane, message: RegExp): number =>
  plane.logged().filter((line) => message.test(String(line["msg"]))).length;

async function openLeases(redis: TestRedis, plane: DataPlane): Promise<number> {
  const keys = (await redis.command("KEYS", `x3sproxy:{${plane.workspaceId}}:*:open`)) as string[];
  const counts = await Promise.all(keys.map((key) => redis.command("ZCARD", key)));
  return counts.reduce<number>((sum, count) => sum + Number(count), 0);
}

async function assertNothingTold(plane: DataPlane): Promise<void> {
  const written = JSON.stringify(plane.logged()) + (await plane.metrics.text());
  assert.ok(!written.includes(PASSWORD) && !written.includes(encodeURIComponent(PASSWORD)));
}

test("it was never there: limits hold in memory, and one line says so", async (t) => {
  const upstream = await startUpstream(t);
  const [port = 0] = await freePorts(1);
  const plane = await open(t, upstream.origin, `redis://:${PASSWORD}@127.0.0.1:${port}`);
  const token = await plane.deploy("limited", { limits: { requestsPerMinute: 6 } });
  assert.equal(await refusalOf(plane, token), undefined);
  assert.equal(await refusalOf(plane, token), "rate_limited");
  assert.equal(await metric(plane, "limitsShared"), 0);
  assert.equal(await metric(plane, "limitsFallbacks"), 2);
  await eventually(() => told(plane, /not shared/) === 1);
  const redis = await startRedis(t, { password: PASSWORD, port });
  await isShared(plane, 1);
  assert.equal(told(plane, /not shared/), 1);
  assert.equal(await refusalOf(plane, token), undefined, "it knows nothing of what was before");
  assert.equal(await refusalOf(plane, token), "rate_limited");
  assert.equal(await metric(plane, "limitsFallbacks"), 2);
  assert.equal(await openLeases(redis, plane), 0);
  await assertNothingTold(plane);
});

test("a password that it does not take: the log has Redis' word for it, and no other", async (t) => {
  const upstream = await startUpstream(t);
  const redis = await startRedis(t, { password: "another" });
  const url = redis.url.replace("another", PASSWORD);
  const plane = await open(t, upstream.origin, url);
  await eventually(() => told(plane, /not shared/) === 1);
  assert.partialDeepStrictEqual(
    plane.logged().find((line) => /not shared/.test(String(line["msg"]))),
    { errorCode: "WRONGPASS" },
  );
  await assertNothingTold(plane);
});

test("it is killed under load: no call fails or waits, and it is taken up again", async (t) => {
  const upstream = await startUpstream(t);
  const redis = await startRedis(t, { password: PASSWORD });
  const plane = await open(t, upstream.origin, redis.url);
  await isShared(plane, 1);
  const token = await plane.deploy("limited", {
    limits: { requestsPerMinute: 1_000_000, openStreams: 100, bytesPerMinute: 1_000_000_000 },
  });
  const held = fetch(`${plane.url}/openai/v1/held`, {
    headers: { authorization: `Bearer ${token}` },
  });
  await eventually(() => upstream.requests === 1);
  assert.equal(await openLeases(redis, plane), 1);

  let goesOn = true;
  let calls = 0;
  let longestMs = 0;
  const load = Promise.all(
    Array.from({ length: 8 }, async () => {
      while (goesOn) {
        const startMs = performance.now();
        assert.equal(await refusalOf(plane, token), undefined);
        longestMs = Math.max(longestMs, performance.now() - startMs);
        calls++;
      }
    }),
  );
  const more = async (): Promise<void> => {
    const until = calls + 100;
    await eventually(() => calls >= until);
  };
  await more();
  const reached = calls;
  await redis.kill();
  await more();
  await isShared(plane, 0);
  const fallbacks = await metric(plane, "limitsFallbacks");
  assert.ok(fallbacks > 0 && reached > 0);
  assert.equal(told(plane, /not shared/), 1);
  await redis.start();
  await isShared(plane, 1);
  await more();
  goesOn = false;
  await load;
  assert.ok(longestMs < SOON_MS, `${longestMs} ms`);
  await eventually(async () => (await openLeases(redis, plane)) === 1, 2000);
  upstream.release();
  await (await held).text();
  await eventually(async () => (await openLeases(redis, plane)) === 0, 2000);
  await assertNothingTold(plane);
});

test("it hangs: one call waits for its deadline, the next do not, and what ended meanwhile is free", async (t) => {
  const upstream = await startUpstream(t);
  const redis = await startRedis(t);
  const plane = await open(t, upstream.origin, redis.url);
  await isShared(plane, 1);
  const token = await plane.deploy("limited", { limits: { openStreams: 2 } });
  const held = fetch(`${plane.url}/openai/v1/held`, {
    headers: { authorization: `Bearer ${token}` },
  });
  await eventually(() => upstream.requests === 1);
  redis.freeze();
  const startMs = performance.now();
  assert.equal(await refusalOf(plane, token), undefined);
  const waitedMs = performance.now() - startMs;
  assert.ok(waitedMs > 200 && waitedMs < SOON_MS, `${waitedMs} ms`);
  assert.equal(await metric(plane, "limitsShared"), 0);
  const nextMs = performance.now();
  for (let i = 0; i < 20; i++) assert.equal(await refusalOf(plane, token), undefined);
  assert.ok(performance.now() - nextMs < 20 * 200, "none of them waited");
  // It counts what is open here, too.
  await limitAgent(plane, "limited", { openStreams: 1 });
  await eventually(async () => (await refusalOf(plane, token)) === "too_many_streams");
  upstream.release();
  await (await held).text();
  await eventually(async () => (await refusalOf(plane, token)) === undefined);
  redis.thaw();
  await isShared(plane, 1);
  await eventually(async () => (await openLeases(redis, plane)) === 0, 5000);
});

test("a client leaves while it is asked: nothing goes up, and nothing stays open", async (t) => {
  const upstream = await startUpstream(t);
  const redis = await startRedis(t);
  const plane = await open(t, upstream.origin, redis.url);
  await isShared(plane, 1);
  const token = await plane.deploy("limited", { limits: { openStreams: 1 } });
  assert.equal(await refusalOf(plane, token), undefined);
  const before = upstream.requests;
  redis.freeze();
  const client = await openWireClient(plane.port);
  client.send(head(token, "/openai/v1/held"));
  await eventually(async () => {
    await plane.metrics.text(); // which reads the gauge anew
    return (await plane.metrics.openExchanges.get()).values[0]?.value === 1;
  });
  client.socket.destroy();
  const { outcome } = await plane.exchange((line) => line["path"] === "/v1/held");
  assert.equal(outcome, "client_left");
  assert.equal(upstream.requests, before);
  assert.equal(await refusalOf(plane, token), undefined);
  redis.thaw();
  await isShared(plane, 1);
  await eventually(async () => (await openLeases(redis, plane)) === 0, 5000);
});

test("it forgets our scripts, or refuses them: the next calls pass, and it is taken up again", async (t) => {
  const upstream = await startUpstream(t);
  const redis = await startRedis(t);
  const plane = await open(t, upstream.origin, redis.url);
  await isShared(plane, 1);
  const token = await plane.deploy("limited", { limits: { requestsPerMinute: 1_000_000 } });
  await redis.command("SCRIPT", "FLUSH");
  assert.equal(await refusalOf(plane, token), undefined);
  assert.equal(await metric(plane, "limitsFallbacks"), 1);
  await isShared(plane, 1);
  await redis.command("CONFIG", "SET", "maxmemory", "1");
  assert.equal(await refusalOf(plane, token), undefined);
  await isShared(plane, 0);
  const lines = told(plane, /not shared/);
  for (let i = 0; i < 10; i++) assert.equal(await refusalOf(plane, token), undefined);
  await redis.command("CONFIG", "SET", "maxmemory", "0");
  await isShared(plane, 1);
  assert.equal(told(plane, /not shared/), lines, "told once, however often it is tried");
});
