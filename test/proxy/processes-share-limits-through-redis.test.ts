// Two data planes on one database and one Redis are one: what an agent uses at one, it has used at the other.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { openDataPlane, type DataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createHttpUpstream, type HttpUpstream } from "../support/http-upstream.ts";
import { get, limitWorkspace, metric, refusalOf } from "../support/limits.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { createEcho, openWebSocket } from "../support/websocket-upstream.ts";

interface Ground {
  readonly one: DataPlane;
  readonly other: DataPlane;
  readonly redis: TestRedis;
}

async function open(
  t: TestContext,
  origin: string,
  o: { isCluster?: boolean } = {},
): Promise<Ground> {
  const redis = await startRedis(t, o);
  const env = { X3SPROXY_ORIGIN_OPENAI: origin, REDIS_URL: redis.url };
  const one = await openDataPlane(t, { env });
  await one.save("openai");
  const other = await openDataPlane(t, { env, database: one.database });
  for (const plane of [one, other]) {
    await eventually(async () => (await metric(plane, "limitsShared")) === 1);
  }
  return { one, other, redis };
}

/** Answers `ok`, 250 kB to /v1/large, and to /v1/held only when it is told to. */
async function startUpstream(t: TestContext): Promise<HttpUpstream & { release(): void }> {
  const held: (() => void)[] = [];
  const upstream = await createHttpUpstream(({ url }, response) => {
    if (url === "/v1/held") held.push(() => response.end("ok"));
    else response.end(url === "/v1/large" ? Buffer.alloc(250_000) : "ok");
  });
  t.after(() => upstream.close());
  return Object.assign(upstream, { release: () => held.splice(0).forEach((end) => end()) });
}

function call(plane: DataPlane, token: string, path: string): Promise<Response> {
  const headers = { authorization: `Bearer ${token}` };
  return fetch(`${plane.url}/openai/v1/${path}`, { headers });
}

test("requests of an agent, and of a workspace", async (t) => {
  const upstream = await startUpstream(t);
  const { one, other } = await open(t, upstream.origin);
  const token = await one.deploy("limited", { limits: { requestsPerMinute: 6 } });
  assert.equal(await refusalOf(one, token), undefined);
  const refused = await get(other, token);
  assert.equal(refused.header("x3sproxy-refusal"), "rate_limited");
  const waitS = Number(refused.header("retry-after"));
  assert.ok(waitS >= 1 && waitS <= 10, String(waitS));
  assert.equal(await refusalOf(one, token), "rate_limited");

  const [first, second] = [await one.deploy("first"), await one.deploy("second")];
  await limitWorkspace(one, { requestsPerMinute: 6 });
  assert.equal(await refusalOf(one, first), undefined);
  assert.equal(await refusalOf(other, second), "rate_limited");
});

test("under a rush at both, no more than the burst passes", async (t) => {
  const upstream = await startUpstream(t);
  const { one, other } = await open(t, upstream.origin);
  const token = await one.deploy("limited", { limits: { requestsPerMinute: 60 } });
  const startMs = performance.now();
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, i) => refusalOf(i % 2 === 0 ? one : other, token)),
  );
  const passed = answers.filter((reason) => reason === undefined).length;
  const most = 10 + Math.floor((performance.now() - startMs) / 1000);
  assert.ok(passed >= 10 && passed <= most, `${passed} of at most ${most}`);
  assert.equal(upstream.requests, passed);
});

test("open streams, which the end of a call frees", async (t) => {
  const upstream = await startUpstream(t);
  const { one, other } = await open(t, upstream.origin);
  const token = await one.deploy("limited", { limits: { openStreams: 1 } });
  for (let i = 0; i < 3; i++) {
    const held = call(one, token, "held");
    await eventually(() => upstream.requests === 2 * i + 1);
    assert.equal(await refusalOf(other, token), "too_many_streams");
    upstream.release();
    await (await held).text();
    await eventually(async () => (await refusalOf(other, token)) === undefined, 2000);
  }
});

test("a call that its client gives up is free at once", async (t) => {
  const upstream = await startUpstream(t);
  const { one, other } = await open(t, upstream.origin);
  const token = await one.deploy("limited", { limits: { openStreams: 1 } });
  const leaving = new AbortController();
  const headers = { authorization: `Bearer ${token}` };
  const held = fetch(`${one.url}/openai/v1/held`, { headers, signal: leaving.signal });
  await eventually(() => upstream.requests === 1);
  assert.equal(await refusalOf(other, token), "too_many_streams");
  leaving.abort();
  await assert.rejects(held);
  await eventually(async () => (await refusalOf(other, token)) === undefined, 2000);
});

test("bytes", async (t) => {
  const upstream = await startUpstream(t);
  const { one, other } = await open(t, upstream.origin);
  const token = await one.deploy("limited", { limits: { bytesPerMinute: 600_000 } });
  await (await call(one, token, "large")).arrayBuffer();
  await eventually(async () => (await refusalOf(other, token)) === "too_many_bytes", 2000);
  const waitS = Number((await get(other, token)).header("retry-after"));
  assert.ok(waitS > 10 && waitS <= 15, String(waitS));
});

test("WebSockets of a workspace", async (t) => {
  const upstream = await createEcho();
  t.after(() => upstream.close());
  const { one, other } = await open(t, upstream.origin);
  const token = await one.deploy("agent");
  await limitWorkspace(one, { openWebsockets: 1 });
  const connect = (plane: DataPlane) =>
    openWebSocket(`${plane.url}/openai/v1/realtime`, {
      headers: { authorization: `Bearer ${token}` },
    });
  const socket = await connect(one);
  await assert.rejects(connect(other));
  socket.close();
  await eventually(
    () =>
      connect(other).then(
        () => true,
        () => false,
      ),
    2000,
  );
});

test("calls of agents without limits never reach Redis", async (t) => {
  const upstream = await startUpstream(t);
  const { one, redis } = await open(t, upstream.origin);
  const scriptsRun = async (): Promise<number> =>
    Number(
      /cmdstat_evalsha:calls=(\d+)/.exec(
        String(await redis.command("INFO", "commandstats")),
      )?.[1] ?? 0,
    );
  const free = await one.deploy("free");
  const before = await scriptsRun();
  for (let i = 0; i < 20; i++) assert.equal(await refusalOf(one, free), undefined);
  assert.equal(await scriptsRun(), before);
  const limited = await one.deploy("limited", { limits: { openStreams: 5 } });
  for (let i = 0; i < 5; i++) assert.equal(await refusalOf(one, limited), undefined);
  await eventually(async () => (await scriptsRun()) === before + 10);
});

test("all keys of a workspace lie in one hash slot, as a cluster asks, and expire", async (t) => {
  const upstream = await startUpstream(t);
  const { one, other, redis } = await open(t, upstream.origin, { isCluster: true });
  const limits = { requestsPerMinute: 60, openStreams: 1, bytesPerMinute: 600 };
  const token = await one.deploy("limited", { limits });
  await limitWorkspace(one, { ...limits, openWebsockets: 5 });
  const held = call(one, token, "held");
  await eventually(() => upstream.requests === 1);
  assert.equal(await refusalOf(other, token), "too_many_streams");
  const keys = (await redis.command("KEYS", `x3sproxy:{${one.workspaceId}}*`)) as string[];
  assert.ok(keys.length >= 2, keys.join(" "));
  for (const key of keys) assert.notEqual(await redis.command("PTTL", key), -1, `${key} stays`);
  upstream.release();
  await (await held).text();
  await eventually(async () => (await refusalOf(other, token)) === undefined, 5000);
  assert.equal(await metric(one, "limitsFallbacks"), 0);
});
