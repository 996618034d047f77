// The data plane for tests: the real proxy, access, vault and notifications on a database of their own, in this process.
import type { TestContext } from "node:test";
import { PassThrough } from "node:stream";
import {
  createAgents,
  createCustomProviders,
  createLeases,
  createRegistrations,
  type Deployment,
} from "../../src/agents/index.ts";
import { createGrants } from "../../src/grants/index.ts";
import { createLimiter } from "../../src/limits/index.ts";
import { openCertificate } from "../../src/certificate.ts";
import { createRecorder } from "../../src/activity/index.ts";
import { systemClock, type Clock } from "../../src/clock.ts";
import { readConfig, type Config } from "../../src/config.ts";
import { createChanges, createPool } from "../../src/db/index.ts";
import { bootstrap } from "../../src/identity/index.ts";
import { newProcessId } from "../../src/ids.ts";
import { createLog } from "../../src/log.ts";
import { createMetrics } from "../../src/metrics.ts";
import { createAddressRule, createProxy } from "../../src/proxy/index.ts";
import {
  createSecrets,
  createVault,
  loadMasterKeys,
  verifyMasterKeys,
} from "../../src/vault/index.ts";
import { eventually } from "./eventually.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { actorIn } from "./actor.ts";

/** What an upstream must see in place of the token. */
export const FAKE_KEY = "sk-FAKE-real-key-0123456789-abcdefghij";

export interface DataPlane {
  readonly port: number;
  readonly url: string;
  readonly workspaceId: string;
  readonly config: Config;
  readonly grants: ReturnType<typeof createGrants>;
  readonly agents: ReturnType<typeof createAgents>;
  readonly registrations: ReturnType<typeof createRegistrations>;
  readonly leases: ReturnType<typeof createLeases>;
  readonly secrets: ReturnType<typeof createSecrets>;
  readonly customProviders: ReturnType<typeof createCustomProviders>;
  readonly metrics: ReturnType<typeof createMetrics>;
  readonly database: TestDatabase;
  readonly ownerUrl: string;
  /** All log lines so far, parsed. */
  logged(): Record<string, unknown>[];
  /** The log line of the next exchange that satisfies `test` (among past ones, too). */
  exchange(test?: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>;
  /** Deploys an agent; returns its token. */
  deploy(name?: string, options?: Omit<Deployment, "name">): Promise<string>;
  /** Saves FAKE_KEY (or another) for a provider. */
  save(provider: string, value?: string, origin?: string): Promise<void>;
  drain(): Promise<void>;
}

/** Starts it. `env` goes to readConfig over defaults that allow loopback upstreams; all is closed when the test ends. */
export async function openDataPlane(
  t: TestContext,
  o: {
    env?: Record<string, string>;
    clock?: Clock;
    /** Another plane's, which drops it: this one comes second, as after a restart. */
    database?: TestDatabase;
    /** Gives the URL by which the data plane reaches the database: a TcpGate's, say. */
    through?: (proxyUrl: string) => Promise<string>;
  } = {},
): Promise<DataPlane> {
  const clock = o.clock ?? systemClock;
  const database = o.database ?? (await createTestDatabase());
  const config = readConfig({
    DATABASE_URL: database.ownerUrl,
    X3SPROXY_MASTER_KEY: database.masterKey,
    X3SPROXY_PROXY_ADDR: "127.0.0.1:0",
    X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8,::1/128",
    X3SPROXY_DRAIN_TIMEOUT: "1s",
    X3SPROXY_DRAIN_DELAY: "0s",
    ...o.env,
  });
  const lines: Record<string, unknown>[] = [];
  const sink = new PassThrough();
  let rest = "";
  sink.on("data", (chunk: Buffer) => {
    const parts = (rest + chunk.toString()).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts.map((part) => JSON.parse(part) as Record<string, unknown>));
    sink.emit("line");
  });
  const log = createLog({ level: "debug", destination: sink });
  const metrics = createMetrics();
  const certificate = config.tls && (await openCertificate(config.tls, { log, clock }));
  const masterKey = await loadMasterKeys(config, { mayCreate: false });
  await verifyMasterKeys(database.ownerUrl, masterKey);
  const vault = await createVault(masterKey);
  const { workspaceId } = await bootstrap(database.ownerUrl, { makeApiKey: false });
  const control = createPool(database.controlUrl);
  const proxyUrl = (await o.through?.(database.proxyUrl)) ?? database.proxyUrl;
  const pool = createPool(proxyUrl);
  const changes = createChanges(proxyUrl, { clock, log, metrics });
  const { redeployGraceMs, releaseEveryMs } = config;
  const processId = newProcessId();
  const grants = createGrants({
    ...{ pool, changes, vault, redeployGraceMs, releaseEveryMs, processId, clock, log, metrics },
  });
  const limiter = createLimiter({ redisUrl: config.redisUrl, clock, log, metrics });
  const rule = createAddressRule(config.allowPrivateUpstreams);
  const originProblem = (origin: string): string | undefined => rule.originProblem(origin);
  const agents = createAgents({ pool: control, clock, vault });
  const secrets = createSecrets({
    pool: control,
    vault,
    originOverrides: config.originOverrides,
    originProblem,
  });
  const customProviders = createCustomProviders({ pool: control, originProblem });
  const activityPool = createPool(proxyUrl, { max: 1 });
  const recorder = createRecorder({ pool: activityPool, clock, log, metrics });
  const proxy = createProxy({
    ...{ config, grants, limiter, vault, certificate, clock, log, metrics, processId },
    onEnded: (ended) => recorder.add(ended),
  });
  recorder.start(() => {
    proxy.flush();
    return proxy.takeOpenCounts();
  });
  const { port } = await proxy.listen(config.proxyAddress);
  // Until it listens, what it remembers is forgotten once more.
  await eventually(async () => (await metrics.notificationsHealthy.get()).values[0]?.value === 1);
  let drained: Promise<void> | undefined;
  const drain = (): Promise<void> => (drained ??= proxy.drain().then(() => recorder.close()));
  t.after(async () => {
    await drain();
    certificate?.close();
    await grants.close();
    await limiter.close();
    await changes.close();
    await Promise.all([pool.close(), activityPool.close(), control.close()]);
    if (o.database === undefined) await database.drop();
  });
  return {
    port,
    url: `${certificate === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    workspaceId,
    config,
    grants,
    agents,
    registrations: createRegistrations({ pool: control, clock }),
    leases: createLeases({ pool: control, clock }),
    secrets,
    customProviders,
    metrics,
    database,
    ownerUrl: database.ownerUrl,
    logged: () => lines,
    async exchange(test = () => true) {
      for (;;) {
        const found = lines.find((line) => line["msg"] === "exchange" && test(line));
        if (found !== undefined) return found;
        await new Promise((resolve) => sink.once("line", resolve));
      }
    },
    async deploy(name = "agent", options = {}) {
      return (await agents.deploy(actorIn(workspaceId), { name, ...options })).token;
    },
    async save(provider, value = FAKE_KEY, origin) {
      await secrets.set(actorIn(workspaceId), {
        provider,
        environment: "production",
        value,
        ...(origin === undefined ? {} : { origin }),
      });
    },
    drain,
  };
}

/** A data plane whose openai points to `origin`, with a key saved and an agent deployed. */
export async function openWithUpstream(
  t: TestContext,
  origin: string,
  env: Record<string, string> = {},
  clock: Clock = systemClock,
): Promise<DataPlane & { token: string }> {
  const plane = await openDataPlane(t, { env: { X3SPROXY_ORIGIN_OPENAI: origin, ...env }, clock });
  await plane.save("openai");
  return { ...plane, token: await plane.deploy() };
}
