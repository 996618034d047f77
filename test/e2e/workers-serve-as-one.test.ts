// X3SPROXY_WORKERS: several processes of one service, which to everybody outside are one. What one is told holds in all, one that
// dies takes only its own calls with it, and nothing outlives the first.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { runService, type RunningService } from "../support/service.ts";
import { administer } from "./calls.ts";
import { endPostgres, processesIn } from "./checkout.ts";
import { callOnce, keepCalling, openStream, startUpstream, tally } from "./load.ts";

const FIRST_KEY = "sk-proj-FAKE-of-several-workers-0000-1111";
const SECOND_KEY = "sk-proj-FAKE-of-several-workers-0000-2222";
const WITHIN_MS = 1000;
const EVERY_MS = 10;
// Enough for each worker to get some.
const STREAMS = 16;
const skip = process.platform !== "linux" && "looks into /proc";

let database: TestDatabase;
let upstream: Awaited<ReturnType<typeof startUpstream>>;
let env: Record<string, string>;

before(async () => {
  database = await createTestDatabase();
  upstream = await startUpstream();
  env = {
    X3SPROXY_WORKERS: "2",
    X3SPROXY_DRAIN_TIMEOUT: "10s",
    X3SPROXY_ORIGIN_OPENAI: upstream.origin,
    X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
  };
});
after(async () => {
  await upstream.close();
  await database.drop();
});

test("two workers on a Postgres", { skip }, async (t) => {
  const service = await runService({ database, env });
  t.after(() => service.remove());
  const first = service.process.pid ?? 0;
  assert.equal((await childrenOf(first)).length, 2);
  await eventually(() =>
    /limits hold for each worker by itself.*"count":2/.test(stdoutOf(service)),
  );
  await service.setSecret("openai", FIRST_KEY);
  const token = await service.deploy("several");
  const doomed = await service.deploy("doomed");
  const calling = keepCalling(service.proxyUrl, token, EVERY_MS);
  const doomedCalling = keepCalling(service.proxyUrl, doomed, EVERY_MS);

  await eventually(() => calling.seen.length > 50);
  await service.setSecret("openai", SECOND_KEY);
  const rotatedMs = performance.now();
  const destroyedMs = await administer(service, "DELETE", "/agents/doomed");
  await eventually(() => calling.seen.some(({ startMs }) => startMs > destroyedMs + 1500));
  const refusals = late(await doomedCalling.stop(), destroyedMs + WITHIN_MS);
  assert.deepEqual(Object.keys(tally(refusals)), ["unknown_token"]);
  assert.deepEqual(Object.keys(tally(calling.seen)), ["200"]);
  const endings = late(calling.seen, rotatedMs + WITHIN_MS).map((it) => it.keyEnding);
  assert.deepEqual([...new Set(endings)], ["2222"]);
  for (const worker of [1, 2]) {
    await eventually(() => callsOf(service, worker) > 20, 5000);
    assert.ok(service.output.stdout.includes(`"worker":${worker},"msg":"listening"`));
  }

  // One of them dies under load.
  const streams = await Promise.all(
    Array.from({ length: STREAMS }, () => openStream(service.proxyUrl, token)),
  );
  let cut = 0;
  for (const { ended } of streams) void ended.then(() => cut++);
  const totalBefore = await exchangesOf(service);
  const killed = (await childrenOf(first))[0] ?? 0;
  const killedMs = performance.now();
  const seenBefore = calling.seen.length;
  process.kill(killed, "SIGKILL");
  await eventually(() => !isAlive(killed));
  const goneMs = performance.now();
  await eventually(async () => (await workersOf(service)) === 1);
  assert.equal(await readiness(service), 200, "one of two is enough");
  await eventually(async () => (await workersOf(service)) === 2);
  t.diagnostic(`two again after ${Math.round(performance.now() - killedMs)} ms`);
  assert.equal((await childrenOf(first)).length, 2);
  assert.match(service.output.stdout, /a worker ended by itself and is started again[^\n]*SIGKILL/);
  await eventually(() => calling.seen.length > seenBefore + 50);
  const seenSince = calling.seen.slice(seenBefore);
  t.diagnostic(`since the kill: ${JSON.stringify(tally(seenSince))}`);
  for (const { status, startMs } of seenSince) {
    assert.ok(status === 200 || (status === undefined && startMs < goneMs), "no other call breaks");
  }
  assert.ok((await exchangesOf(service)) >= totalBefore, "no counter goes back");
  assert.ok(cut > 0 && cut < STREAMS, "the streams of the one that died are cut, and no others");

  // Ending lets both finish.
  await calling.stop();
  for (const stream of streams) stream.leave();
  const last = await Promise.all(
    Array.from({ length: 6 }, () => openStream(service.proxyUrl, token, 1500)),
  );
  const pids = [first, ...(await childrenOf(first))];
  const exited = once(service.process, "exit");
  service.process.kill("SIGTERM");
  await eventually(async () => (await readiness(service)) === 503);
  for (const { ended } of last) assert.equal((await ended).whole, true);
  assert.deepEqual(await exited, [0, null]);
  for (const pid of pids) assert.equal(isAlive(pid), false);
});

test(
  "the embedded Postgres has room for them, and nothing outlives the first",
  { skip },
  async (t) => {
    const dataDir = await mkdtemp(join(tmpdir(), "x3sproxy-workers-"));
    t.after(async () => {
      await endPostgres(dataDir);
      await rm(dataDir, { recursive: true, force: true });
    });
    const service = await runService({ dataDir, env: { ...env, X3SPROXY_WORKERS: "3" } });
    t.after(() => service.remove());
    await service.setSecret("openai", FIRST_KEY);
    const token = await service.deploy("several");
    const streams = await Promise.all(
      Array.from({ length: 6 }, () => openStream(service.proxyUrl, token)),
    );
    const first = service.process.pid ?? 0;
    const workers = (await childrenOf(first)).filter((pid) => /serve/.test(commandOf(pid)));
    assert.equal(workers.length, 3);
    for (const pid of [first, ...workers]) assert.ok(!commandOf(pid).includes(dataDir));

    await service.kill();
    for (const { ended } of streams) assert.equal((await ended).whole, false);
    await eventually(() => workers.every((pid) => !isAlive(pid)), 2000);

    const again = await runService({ dataDir, env });
    t.after(() => again.remove());
    assert.equal((await callOnce(again.proxyUrl, token)).status, 200);
    assert.equal(await again.stop(), 0);
    assert.deepEqual(await processesIn(dataDir), []);
  },
);

test(
  "a start that fails is explained once, and one process is enough for one worker",
  { skip },
  async (t) => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    t.after(() => taken.close());
    const address = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
    await assert.rejects(
      runService({ database, env: { ...env, X3SPROXY_ADMIN_ADDR: address } }),
      ({ message }: Error) => {
        assert.equal(message.split("Can't listen on").length, 2, message);
        return true;
      },
    );
    for (const wrong of ["0", "-1", "two", "1000"]) {
      await assert.rejects(
        runService({ database, env: { X3SPROXY_WORKERS: wrong } }),
        /X3SPROXY_WORKERS: give a number from 1 to \d+, or auto/,
      );
    }
    const alone = await runService({ database, env: { X3SPROXY_WORKERS: "1" }, apiKey: "none" });
    t.after(() => alone.remove());
    assert.deepEqual(await childrenOf(alone.process.pid ?? 0), []);
    assert.ok(!alone.output.stdout.includes('"worker"'));
  },
);

function late<T extends { startMs: number }>(seen: readonly T[], afterMs: number): readonly T[] {
  const some = seen.filter(({ startMs }) => startMs > afterMs);
  assert.ok(some.length > 0);
  return some;
}

const stdoutOf = ({ output }: RunningService): string => output.stdout;

function callsOf({ output }: RunningService, worker: number): number {
  return output.stdout.split(`"worker":${worker},"msg":"exchange"`).length - 1;
}

async function figureOf({ metricsUrl }: RunningService, name: string): Promise<number> {
  const text = await (await fetch(`${metricsUrl}/metrics`)).text();
  const values = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))];
  return values.reduce((sum, [, value]) => sum + Number(value), 0);
}

const workersOf = (service: RunningService): Promise<number> =>
  figureOf(service, "x3sproxy_workers");

/** All calls of all workers so far, and fails unless the log knows as many. */
async function exchangesOf(service: RunningService): Promise<number> {
  const total = await figureOf(service, "x3sproxy_exchanges_total");
  const lines = (): number => service.output.stdout.split('"msg":"exchange"').length - 1;
  await eventually(() => lines() >= total);
  return total;
}

async function readiness({ metricsUrl }: RunningService): Promise<number> {
  return (await fetch(`${metricsUrl}/readyz`)).status;
}

async function childrenOf(parent: number): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  return pids.filter((pid) => isAlive(pid) && parentOf(pid) === parent).sort((a, b) => a - b);
}

function parentOf(pid: number): number | undefined {
  try {
    return Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1]);
  } catch {
    return undefined;
  }
}

function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
}

/** Whether any thread of it lives. The first is a zombie while others, who keep its sockets open, have yet to end. */
function isAlive(pid: number): boolean {
  try {
    const isZombie = /\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
    return !isZombie || readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    return false;
  }
}
