// The composition root: config → build → listen → drain. Everything is made and wired here, by hand, and closed in reverse.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  createAgents,
  createCustomProviders,
  createEnvironments,
  createExpiredTokens,
  createLeases,
  createNewAgents,
  createRegistrations,
  createScopeTrials,
  createUnusedTokens,
} from "./agents/index.ts";
import { createGrants } from "./grants/index.ts";
import { createLimiter } from "./limits/index.ts";
import {
  createActivityViews,
  createCallViews,
  createRecorder,
  createRetention,
} from "./activity/index.ts";
import { adminSocketPath, OWNER_KEY_FILE } from "./admin-socket.ts";
import { createAdmin, plainOverNetwork } from "./admin/index.ts";
import {
  createAudit,
  createAuditProofs,
  createAuditRetention,
  createErasures,
  createSequencer,
  createServiceEvents,
  createCheckpointSending,
  destinationsOf,
} from "./audit/index.ts";
import { createBackups } from "./backup/index.ts";
import { openCertificate } from "./certificate.ts";
import { systemClock } from "./clock.ts";
import { watchOpenFiles } from "./connection-bounds.ts";
import type { Config, ListenAddress } from "./config.ts";
import { createChanges, createPool, prepareLogins } from "./db/index.ts";
import { createFigures } from "./figures.ts";
import { bootstrapFiles, prepare, type Close } from "./groundwork.ts";
import { createDatabaseCheck, createHealth } from "./health.ts";
import { createIdentity } from "./identity/index.ts";
import { newProcessId } from "./ids.ts";
import { findFree } from "./listen.ts";
import { errorFields, type Log } from "./log.ts";
import { createMetrics } from "./metrics.ts";
import { createAddressRule, createProbe, createProxy } from "./proxy/index.ts";
import {
  createKeyRotation,
  createKeyTests,
  createMasterKeys,
  createSecrets,
  createVault,
  loadMasterKeys,
  openDerivation,
  openLogSigner,
  verifyMasterKeys,
} from "./vault/index.ts";
import {
  createPrimaryMetrics,
  createSupervisor,
  type Task,
  type WorkerAnswers,
} from "./workers/index.ts";

/** The running service. URLs are those that it listens on, not those that others may reach it by. */
export interface Service {
  readonly proxyUrl: string;
  readonly adminUrl: string;
  readonly metricsUrl: string;
  readonly dataDir: string;
  /** Whether Postgres runs with the service, in the data folder. */
  readonly embedded: boolean;
  /** The link that makes the first user; undefined once there is one. */
  readonly setupUrl: string | undefined;
  /** Whether nobody can sign in, since browsers would come by plain http over a network. */
  readonly httpsNeeded: boolean;
  /** Ends open work within the drain deadline, then everything else. */
  stop(): Promise<void>;
}

/** One of several processes that serve; the first one of them speaks for all. */
export interface WorkerService extends WorkerAnswers {
  readonly proxyUrl: string;
  readonly adminUrl: string;
  /** As a Service does. */
  stop(): Promise<void>;
  /** Cuts what is open, at once. */
  cut(): void;
}

const POOL_MAX = 4;
const ACTIVITY_POOL = { max: 1, deadlineMs: 3000 };
// For what a worker does after its drain, before it is killed.
const WORKER_CLOSE_MS = 20_000;

/** Starts everything and listens. Throws ConfigError where the operator has to change something; then nothing is left running. */
export function startService(config: Config, log: Log): Promise<Service> {
  return starting(log, (closers, closeAll) => build(config, log, closers, closeAll));
}

/** The same in one of several processes: the first one has the task's database ready. */
export function startWorker(config: Config, log: Log, task: Task): Promise<WorkerService> {
  const own = { ...config, ...task };
  return starting(log, (closers, closeAll) => build(own, log, closers, closeAll, task));
}

/**
 * Starts everything that serves in processes of its own, `config.workers` of them. `relay` takes lines of their logs, `complain` what
 * people should read. Throws as `startService` does, and WorkerFailure.
 */
export function startWorkers(
  config: Config,
  log: Log,
  talk: { relay: (lines: string) => void; complain: (text: string) => void },
): Promise<Service> {
  return starting(log, async (closers, closeAll) => {
    const metrics = createPrimaryMetrics();
    const supervisor = createSupervisor({
      ...{ count: config.workers, ...talk, clock: systemClock, log, metrics },
    });
    closers.push(watchOpenFiles({ metrics, log }));
    const health = createHealth({
      metrics: { ...metrics, text: () => supervisor.metricsText() },
      log,
    });
    closers.push(() => health.close());
    const metricsAddress = await health.listen(config.metricsAddress);
    const { masterKeys, ownerUrl } = await prepare(config, log, closers);
    const setup = await bootstrapFiles(config, ownerUrl);
    if (masterKeys.warning !== undefined) log.warn(masterKeys.warning);
    const task: Task = {
      ownerUrl,
      workspaceId: setup.workspaceId,
      proxyAddress: await findFree(config.proxyAddress),
      adminAddress: await findFree(config.adminAddress),
    };
    closers.push(() => supervisor.stop(config.deadlines.drainMs + WORKER_CLOSE_MS));
    const urls = await supervisor.start(task);
    health.begin(async () => ((await supervisor.isReady()) ? undefined : "workers_unavailable"));
    log.info("workers serve", { count: config.workers });
    if (config.redisUrl === undefined) {
      log.warn(
        "limits hold for each worker by itself: agents may use this many times theirs; set REDIS_URL to share",
        {
          count: config.workers,
        },
      );
    }
    return {
      ...urls,
      ...described(config, log, setup),
      metricsUrl: urlOf(metricsAddress),
      async stop() {
        health.drain();
        await closeAll();
        log.info("stopped");
      },
    };
  });
}

async function starting<T>(
  log: Log,
  start: (closers: Close[], closeAll: () => Promise<void>) => Promise<T>,
): Promise<T> {
  const closers: Close[] = [];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) {
      // What can't be closed must not keep the rest, Postgres last, from it.
      await Promise.resolve()
        .then(close)
        .catch((error: unknown) => log.error("not closed cleanly", errorFields(error)));
    }
  };
  try {
    return await start(closers, closeAll);
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function build(
  config: Config,
  log: Log,
  closers: Close[],
  closeAll: () => Promise<void>,
  worker?: Task,
): Promise<Service & WorkerService> {
  const clock = systemClock;
  const metrics = createMetrics();
  let droppedLines = 0;
  metrics.beforeScrape(() => {
    metrics.logLinesDropped.inc(log.droppedLines() - droppedLines);
    droppedLines = log.droppedLines();
  });
  const certificate = config.tls && (await openCertificate(config.tls, { log, clock }));
  closers.push(() => certificate?.close());
  metrics.buildInfo.set({ version: productVersion(), node: process.version.slice(1) }, 1);
  if (certificate !== undefined) {
    metrics.beforeScrape(() => metrics.certificateExpiry.set(certificate.validUntilMs() / 1000));
  }
  closers.push(watchOpenFiles({ metrics, log }));
  // With workers it is the first process that tells how all are.
  const health = worker === undefined ? createHealth({ metrics, log }) : undefined;
  closers.push(() => health?.close());
  const metricsAddress = await health?.listen(config.metricsAddress);
  const { masterKeys, ownerUrl } =
    worker === undefined
      ? await prepare(config, log, closers)
      : {
          // A worker reads the keys by itself, so that they go over no channel; and they may differ by now.
          masterKeys: await loadMasterKeys(config, { mayCreate: false }),
          ownerUrl: worker.ownerUrl,
        };
  const processId = newProcessId();
  await verifyMasterKeys(ownerUrl, masterKeys, { processId });
  // With workers, the first process says it once for all.
  if (masterKeys.warning !== undefined && worker === undefined) log.warn(masterKeys.warning);
  const vault = await createVault(masterKeys, await openDerivation(ownerUrl, masterKeys));
  const logins = await prepareLogins(ownerUrl, (role) => vault.derive(`database login ${role}`));
  const logSigner = await openLogSigner(ownerUrl, masterKeys);
  const setup =
    worker === undefined
      ? await bootstrapFiles(config, ownerUrl)
      : { ...worker, setupToken: undefined };

  const max = Math.max(2, Math.ceil(POOL_MAX / config.workers));
  const controlPool = createPool(logins.controlUrl, { max, measured: { metrics, as: "control" } });
  closers.push(() => controlPool.close());
  const checkpointSending = createCheckpointSending({
    ...{ pool: controlPool, destinations: destinationsOf(config.checkpoints), log, metrics },
    intervalMs: config.checkpoints.intervalMs,
  });
  closers.push(() => checkpointSending.close());
  checkpointSending.start();
  const sequencer = createSequencer({ pool: controlPool, signer: logSigner, log });
  closers.push(() => sequencer.close());
  sequencer.start();
  const serviceEvents = createServiceEvents({
    ...{ pool: controlPool, workspaceId: setup.workspaceId, processId, version: productVersion() },
  });
  await serviceEvents.start();
  closers.push(() => serviceEvents.stop());
  const keyRotation = createKeyRotation({
    ...{ pool: controlPool, ownerUrl, ring: masterKeys, processId, clock, log },
    homeId: setup.workspaceId,
  });
  closers.push(() => keyRotation.close());
  keyRotation.start();
  const proxyPool = createPool(logins.proxyUrl, { max, measured: { metrics, as: "proxy" } });
  closers.push(() => proxyPool.close());
  const changes = createChanges(logins.proxyUrl, { clock, log, metrics });
  closers.push(() => changes.close());

  const { redeployGraceMs, releaseEveryMs } = config;
  const grants = createGrants({
    ...{ pool: proxyPool, changes, vault, redeployGraceMs, releaseEveryMs, processId },
    ...{ clock, log, metrics },
  });
  closers.push(() => grants.close());
  const limiter = createLimiter({ redisUrl: config.redisUrl, clock, log, metrics });
  closers.push(() => limiter.close());
  const activityPool = createPool(logins.proxyUrl, {
    ...ACTIVITY_POOL,
    measured: { metrics, as: "activity" },
  });
  closers.push(() => activityPool.close());
  const recorder = createRecorder({ pool: activityPool, clock, log, metrics });
  closers.push(() => recorder.close());
  const retention = createRetention({ pool: controlPool, log });
  closers.push(() => retention.close());
  retention.start();
  const unusedTokens = createUnusedTokens({ pool: controlPool, log });
  closers.push(() => unusedTokens.close());
  unusedTokens.start();
  const auditRetention = createAuditRetention({ pool: controlPool, log });
  closers.push(() => auditRetention.close());
  auditRetention.start();
  const expiredTokens = createExpiredTokens({ pool: controlPool, log });
  closers.push(() => expiredTokens.close());
  expiredTokens.start();
  const figures = createFigures({ pool: controlPool, clock, log, metrics });
  closers.push(() => figures.close());
  figures.start();
  const probe = createProbe(config, clock);
  closers.push(() => probe.destroy());
  const addressRule = createAddressRule(config.allowPrivateUpstreams);
  const originProblem = (origin: string): string | undefined => addressRule.originProblem(origin);
  const backups = createBackups({ pool: controlPool, ownerUrl, clock, log, metrics });
  const admin = await createAdmin({
    ...config,
    identity: createIdentity({ pool: controlPool, vault, clock }),
    secrets: createSecrets({
      pool: controlPool,
      vault,
      originOverrides: config.originOverrides,
      originProblem,
    }),
    agents: createAgents({ pool: controlPool, clock, vault }),
    registrations: createRegistrations({ pool: controlPool, clock }),
    leases: createLeases({ pool: controlPool, clock }),
    newAgents: createNewAgents({ pool: controlPool }),
    customProviders: createCustomProviders({ pool: controlPool, originProblem }),
    environments: createEnvironments({ pool: controlPool }),
    audit: createAudit({ pool: controlPool }),
    backups,
    erasures: createErasures({ pool: controlPool, sequencer }),
    auditProofs: createAuditProofs({
      ...{ pool: controlPool, signer: logSigner, sequencer, clock, log },
    }),
    certificate,
    activity: createActivityViews({ pool: controlPool, clock }),
    calls: createCallViews({ pool: controlPool, clock }),
    scopeTrials: createScopeTrials({ pool: controlPool, clock }),
    keyTests: createKeyTests({
      pool: controlPool,
      vault,
      clock,
      processId,
      callProvider: (call) => probe.call(call),
    }),
    masterKeys: createMasterKeys({ pool: controlPool }),
    log,
    metrics,
    clock,
  });
  closers.push(() => admin.close());
  closers.push(() => backups.close());
  const proxy = createProxy({
    ...{ config, grants, limiter, vault, certificate, clock, log, metrics, processId },
    onEnded: (ended) => recorder.add(ended),
  });
  closers.push(() => proxy.drain());
  recorder.start(() => {
    proxy.flush();
    return proxy.takeOpenCounts();
  });
  process.prependOnceListener("exit", () => proxy.flush()); // before the log's own last flush

  const proxyAddress = await proxy.listen(config.proxyAddress);
  const adminAddress = await admin.listen(config.adminAddress, ownSocket(config));
  const databaseAnswers = createDatabaseCheck(proxyPool, clock);
  health?.begin(async () => ((await databaseAnswers()) ? undefined : "database_unavailable"));
  const listening = { proxy: proxyAddress, admin: adminAddress, metrics: metricsAddress };
  for (const [route, address] of Object.entries(listening)) {
    if (address === undefined) continue;
    log.info("listening", { route, address: `${address.host}:${address.port}` });
  }
  return {
    ...described(config, log, worker === undefined && setup),
    proxyUrl: urlOf(proxyAddress, certificate && "https"),
    adminUrl: urlOf(adminAddress, certificate && "https"),
    metricsUrl: urlOf(metricsAddress ?? config.metricsAddress),
    isReady: databaseAnswers,
    figures: () => metrics.figures(),
    cut: () => proxy.cut(),
    async stop() {
      health?.drain();
      await closeAll();
      log.info("stopped");
    },
  };
}

/** What the first process tells of a service. `setup`: false in a worker, which has nothing to tell. */
function described(
  config: Config,
  log: Log,
  setup: { setupToken: string | undefined } | false,
): Pick<Service, "httpsNeeded" | "dataDir" | "embedded" | "setupUrl"> {
  const httpsNeeded = plainOverNetwork(config.dashboardUrl);
  if (httpsNeeded && setup !== false) {
    log.warn("nobody can sign in: X3SPROXY_DASHBOARD_URL is plain http over a network");
  }
  const token = setup === false ? undefined : setup.setupToken;
  return {
    httpsNeeded,
    dataDir: config.dataDir,
    embedded: config.databaseUrl === undefined,
    setupUrl: token === undefined ? undefined : `${config.dashboardUrl}/setup#token=${token}`,
  };
}

/** Where the command line of this machine comes by: where there is a key for it, and room for the path. */
function ownSocket({ dataDir }: Config): string | undefined {
  return existsSync(join(dataDir, OWNER_KEY_FILE)) ? adminSocketPath(dataDir) : undefined;
}

function productVersion(): string {
  const manifest = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

function urlOf({ host, port }: ListenAddress, scheme = "http"): string {
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
