// A process lives without its database, and is given no work without it: at its start, while the server is away, and after that.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { createDatabaseCheck, createHealth } from "../../src/health.ts";
import { startEmbedded, type Pool } from "../../src/db/index.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { runCli } from "../cli/fixture.ts";
import { eventually } from "../support/eventually.ts";
import { freePorts, runService } from "../support/service.ts";
import { createSlowRelay } from "../support/slow-relay.ts";

interface State {
  readonly code: number;
  readonly status: string;
  readonly reason?: string;
}

async function stateAt(url: string): Promise<State | undefined> {
  const response = await fetch(url).catch(() => undefined);
  if (response === undefined) return undefined;
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.equal(response.headers.get("cache-control"), "no-store");
  const head = await fetch(url, { method: "HEAD" });
  // It may have changed between the two.
  if (head.status !== response.status) return stateAt(url);
  assert.equal(await head.text(), "");
  return { code: response.status, ...((await response.json()) as Omit<State, "code">) };
}

const OK = { code: 200, status: "ok" };
const READY = { code: 200, status: "ready" };
const notReady = (reason: string): State => ({ code: 503, status: "not ready", reason });

test("alive with and without a database, ready only with it, from its start on", async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), "x3sproxy-server-"));
  const startServer = () =>
    startEmbedded({ dataDir, log: createLog({ level: "error" }), settings: { fsync: "off" } });
  let server = await startServer();
  const relay = await createSlowRelay();
  const started: ReturnType<typeof runService>[] = [];
  t.after(async () => {
    // First: the relay closes only when nobody has a connection to it any more.
    for (const each of await Promise.allSettled(started)) {
      if (each.status === "fulfilled") await each.value.remove();
    }
    await relay.close();
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  });
  const portOf = ({ ownerUrl }: { ownerUrl: string }): number => Number(new URL(ownerUrl).port);
  relay.lead(portOf(server));
  const database = {
    ownerUrl: Object.assign(new URL(server.ownerUrl), { port: String(relay.port) }).href,
    masterKey: randomBytes(32).toString("base64"),
  };
  const [metricsPort] = await freePorts(1);
  const metricsUrl = `http://127.0.0.1:${metricsPort}`;

  relay.hold();
  const starting = runService({
    database,
    env: { X3SPROXY_METRICS_ADDR: `127.0.0.1:${metricsPort}` },
    metricsUrl,
  });
  started.push(starting);
  await eventually(async () => (await stateAt(`${metricsUrl}/healthz`)) !== undefined, 60_000);
  assert.deepEqual(await stateAt(`${metricsUrl}/healthz`), OK);
  assert.deepEqual(await stateAt(`${metricsUrl}/readyz`), notReady("starting"));
  relay.release();
  const service = await starting;
  assert.deepEqual(await stateAt(`${metricsUrl}/readyz`), READY);

  relay.lead(undefined);
  await server.stop();
  await eventually(async () => (await stateAt(`${metricsUrl}/readyz`))?.code === 503, 3000);
  assert.deepEqual(await stateAt(`${metricsUrl}/readyz`), notReady("database_unavailable"));
  assert.deepEqual(await stateAt(`${metricsUrl}/healthz`), OK);
  server = await startServer();
  relay.lead(portOf(server));
  await eventually(async () => (await stateAt(`${metricsUrl}/readyz`))?.code === 200, 5000);
  assert.deepEqual(await stateAt(`${metricsUrl}/healthz`), OK);
  assert.equal(await service.stop(), 0);

  relay.lead(undefined);
  await server.stop();
  const { status, stderr } = await runCli(["serve"], {
    environment: { DATABASE_URL: database.ownerUrl, X3SPROXY_MASTER_KEY: database.masterKey },
  });
  assert.equal(status, 1);
  assert.match(
    stderr,
    /^x3sproxy: DATABASE_URL: [^\n]+\n$/,
    "it says why, and somebody starts it again",
  );
  server = await startServer();
});

/** Health over a pool that the test answers for. */
async function openHealth(t: TestContext) {
  const waiting: ((error?: Error) => void)[] = [];
  let queries = 0;
  const pool = {
    query: () => {
      queries++;
      return new Promise<void>((resolve, reject) => {
        waiting.push((error) => (error === undefined ? resolve() : reject(error)));
      });
    },
  } as unknown as Pool;
  const clock = { nowMs: () => 0, monotonicMs: () => clock.ms, ms: 1000 };
  const health = createHealth({ metrics: createMetrics(), log: createLog({ level: "silent" }) });
  const { port } = await health.listen({ host: "127.0.0.1", port: 0 });
  t.after(() => health.close());
  const url = `http://127.0.0.1:${port}/readyz`;
  const answers = createDatabaseCheck(pool, clock);
  const begin = (): void =>
    health.begin(async () => ((await answers()) ? undefined : "database_unavailable"));
  return { health, begin, url, waiting, clock, queries: () => queries };
}

test("however many ask, the database is asked by one query at a time", async (t) => {
  const { begin, url, waiting, clock, queries } = await openHealth(t);
  begin();
  const ask = async (): Promise<number> => (await fetch(url)).status;
  const first = Array.from({ length: 50 }, ask);
  await eventually(() => waiting.length > 0);
  waiting[0]?.();
  assert.deepEqual(new Set(await Promise.all(first)), new Set([200]));
  assert.deepEqual(new Set(await Promise.all(Array.from({ length: 50 }, ask))), new Set([200]));
  assert.equal(queries(), 1);

  // It hangs. Nobody waits for it for long, and nobody asks a second time.
  clock.ms += 500;
  const startMs = performance.now();
  assert.equal(await ask(), 503);
  assert.ok(performance.now() - startMs < 4000);
  clock.ms += 500;
  assert.equal(await ask(), 503);
  assert.equal(queries(), 2);
  waiting[1]?.(new Error("too late"));
  assert.equal(await ask(), 503);
  clock.ms += 500;
  const again = ask();
  await eventually(() => waiting.length === 3);
  waiting[2]?.();
  assert.equal(await again, 200);
});

test("once it drains it is not ready, also when it was being asked", async (t) => {
  const { health, begin, url, waiting } = await openHealth(t);
  begin();
  const asked = fetch(url);
  await eventually(() => waiting.length > 0);
  health.drain();
  waiting[0]?.();
  for (const response of [await asked, await fetch(url)]) {
    assert.equal(response.status, 503);
    assert.deepEqual(await response.json(), { status: "not ready", reason: "draining" });
  }
});
