// The composition root: config → build → listen → drain. Everything is made and wired here, by hand, and closed in reverse.
import { existsSync, readFileSync } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  createAccess,
  createAgents,
  createCustomProviders,
  createEnvironments,
  createExpiredTokens,
  createLeases,
  createLimiter,
  createRegistrations,
  createScopeTrials,
  createUnusedTokens,
} from "./access/index.ts";
import {
  createActivityViews,
  createCallViews,
  createRecorder,
  createRetention,
} from "./activity/index.ts";
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
  recordMigrations,
} from "./audit/index.ts";
import {
  checkBackup,
  checkHeader,
  createBackups,
  lookAtAudit,
  restore,
  type AuditState,
  type OpenBackup,
  type Restored,
} from "./backup/index.ts";
import { openCertificate } from "./certificate.ts";
import { systemClock } from "./clock.ts";
import type { Config, ListenAddress } from "./config.ts";
import { createChanges, createPool, migrate, prepareLogins, startEmbedded } from "./db/index.ts";
import { ConfigError } from "./errors.ts";
import { createFigures } from "./figures.ts";
import { createDatabaseCheck, createHealth } from "./health.ts";
import { bootstrap, createIdentity } from "./identity/index.ts";
import { newProcessId } from "./ids.ts";
import { findFree } from "./listen.ts";
import { errorFields, type Log } from "./log.ts";
import { createMetrics } from "./metrics.ts";
import { builtInProviders } from "./providers/index.ts";
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
  type KeyRing,
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

type Close = () => Promise<void> | void;

const POOL_MAX = 4;
const ACTIVITY_POOL = { max: 1, deadlineMs: 3000 };
// A worker's: of the two pools, the activity, the notifications and their heartbeat, and one to start by.
const CONNECTIONS_EACH = 8;
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
    const { contentType } = metrics;
    const health = createHealth({ metrics: { contentType, text: () => supervisor.metricsText() } });
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

/** The database as this version needs it, and the key that it was sealed under. */
async function prepare(
  config: Config,
  log: Log,
  closers: Close[],
): Promise<{ masterKeys: KeyRing; ownerUrl: string }> {
  checkOverrides(config);
  const masterKeys = await loadMasterKeys(config, { mayCreate: !hasCluster(config) });
  const ownerUrl = config.databaseUrl ?? (await startOwnDatabase(config, log, closers));
  await migrate(ownerUrl);
  await verifyMasterKeys(ownerUrl, masterKeys);
  return { masterKeys, ownerUrl };
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
  // With workers it is the first process that tells how all are.
  const health = worker === undefined ? createHealth({ metrics }) : undefined;
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

  const { redeployGraceMs } = config;
  const access = createAccess({
    ...{ pool: proxyPool, changes, vault, redeployGraceMs, processId, clock, log, metrics },
  });
  closers.push(() => access.close());
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
  const probe = createProbe(config);
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
    ...{ config, access, limiter, vault, certificate, clock, log, metrics, processId },
    onEnded: (ended) => recorder.add(ended),
  });
  closers.push(() => proxy.drain());
  recorder.start(() => {
    proxy.flush();
    return proxy.takeOpenCounts();
  });
  process.prependOnceListener("exit", () => proxy.flush()); // before the log's own last flush

  const proxyAddress = await proxy.listen(config.proxyAddress);
  const adminAddress = await admin.listen(config.adminAddress);
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

/** Brings the database to this version without serving; returns the names of the migrations applied. */
export async function migrateOnly(config: Config, log: Log): Promise<string[]> {
  const closers: Close[] = [];
  try {
    // The embedded default has its key before its database, so that a lost key is noticed.
    await loadMasterKeys(config, { mayCreate: !hasCluster(config) });
    const ownerUrl = config.databaseUrl ?? (await startOwnDatabase(config, log, closers));
    const applied = await migrate(ownerUrl);
    await recordMigrations(ownerUrl);
    return applied;
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

/**
 * Restores a backup into the database of `config`, which has to be empty, and looks at the audit afterwards. Until all of the backup was
 * read and everything fits, no database is touched. Throws ConfigError, ContainerError, and what `open` throws; then nothing was changed.
 */
export async function restoreBackup(
  config: Config,
  log: Log,
  o: { open: OpenBackup; suspendAgents: boolean; onProgress?: (bytes: number) => void },
): Promise<{ restored: Restored; audit: AuditState }> {
  const closers: Close[] = [];
  try {
    const { header } = await checkBackup(o.open);
    const masterKeys = await loadMasterKeys(config, { mayCreate: false });
    await checkHeader(header, masterKeys);
    const ownerUrl = config.databaseUrl ?? (await startOwnDatabase(config, log, closers));
    const restored = await restore({ ownerUrl, header, ...o });
    await verifyMasterKeys(ownerUrl, masterKeys);
    const { publicKey } = await openLogSigner(ownerUrl, masterKeys);
    return { restored, audit: await lookAtAudit(ownerUrl, publicKey) };
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

function checkOverrides(config: Config): void {
  for (const name of config.originOverrides.keys()) {
    if (builtInProviders.has(name)) continue;
    const setting = `X3SPROXY_ORIGIN_${name.toUpperCase().replaceAll("-", "_")}`;
    throw new ConfigError(
      `${setting}: there is no built-in provider "${name}"; known are ${[...builtInProviders.keys()].join(", ")}`,
    );
  }
}

function productVersion(): string {
  const manifest = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

function hasCluster(config: Config): boolean {
  return existsSync(join(config.dataDir, "postgres"));
}

async function startOwnDatabase(config: Config, log: Log, closers: Close[]): Promise<string> {
  const settings: Record<string, string> =
    config.workers === 1 ? {} : { max_connections: String(50 + CONNECTIONS_EACH * config.workers) };
  const embedded = await startEmbedded({ dataDir: config.dataDir, log, settings });
  closers.push(() => embedded.stop());
  return embedded.ownerUrl;
}

/** Makes the workspace and, for the CLI on this machine, the owner API key. */
async function bootstrapFiles(
  config: Config,
  ownerUrl: string,
): Promise<{ workspaceId: string; setupToken: string | undefined }> {
  const path = join(config.dataDir, "admin-api-key");
  const { workspaceId, apiKey, setupToken } = await bootstrap(ownerUrl, {
    makeApiKey: config.databaseUrl === undefined && !existsSync(path),
  });
  if (apiKey !== undefined) {
    await mkdir(config.dataDir, { recursive: true, mode: 0o700 });
    await writePrivateFile(path, `${apiKey}\n`);
  }
  await recordMigrations(ownerUrl);
  return { workspaceId, setupToken };
}

async function writePrivateFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}`;
  // Of a start that broke off: in a container the process id is often the same again.
  await rm(temporary, { force: true });
  const file = await open(temporary, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

function urlOf({ host, port }: ListenAddress, scheme = "http"): string {
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
