// The composition root: config → components → listen → drain. Everything is made and wired here, by hand: a list of components, each
// started after those that it needs, and stopped before them.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  createAgents,
  createCustomProviders,
  createEnvironments,
  createLeases,
  createNewAgents,
  createRegistrations,
  createScopeTrials,
} from "./agents/index.ts";
import { createGrants } from "./grants/index.ts";
import { createLimiter } from "./limits/index.ts";
import { createActivityViews, createCallViews, createRecorder } from "./activity/index.ts";
import { adminSocketPath, OWNER_KEY_FILE } from "./platform/admin-socket.ts";
import { createAdmin, plainOverNetwork } from "./admin/index.ts";
import {
  createAudit,
  createAuditProofs,
  createErasures,
  createSequencer,
  createServiceEvents,
  type LogSigner,
  type Sequencer,
} from "./audit/index.ts";
import { createBackups } from "./backup/index.ts";
import { openCertificate } from "./platform/certificate.ts";
import { systemClock, type Clock } from "./platform/clock.ts";
import { withComponents, type Components } from "./platform/components.ts";
import { watchOpenFiles } from "./platform/connection-bounds.ts";
import type { Config, ListenAddress } from "./platform/config.ts";
import { createChanges, createPool, prepareLogins, type Pool } from "./db/index.ts";
import { createDatabaseCheck, createHealth } from "./health.ts";
import { housekeepingJobs } from "./housekeeping.ts";
import { createIdentity } from "./identity/index.ts";
import { newProcessId } from "./platform/ids.ts";
import { bootstrapFiles, prepare } from "./installation.ts";
import { createJobRunner } from "./platform/jobs.ts";
import { findFree } from "./platform/listen.ts";
import type { Log } from "./platform/log.ts";
import { createMetrics, type Metrics } from "./platform/metrics.ts";
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
  type Vault,
} from "./vault/index.ts";
import {
  createPrimaryMetrics,
  createSupervisor,
  type Task,
  type WorkerAnswers,
} from "./workers/index.ts";

/** The running service. Its URLs are those that it listens on; clients may use others. */
export interface Service {
  readonly proxyUrl: string;
  readonly adminUrl: string;
  readonly metricsUrl: string;
  readonly dataDir: string;
  /** Whether Postgres runs with the service, in the data folder. */
  readonly embedded: boolean;
  /** The link that makes the first user; undefined once there is one. */
  readonly setupUrl: string | undefined;
  /** Whether nobody can sign in, because browsers would come by plain HTTP over a network. */
  readonly httpsNeeded: boolean;
  /** Drains within the deadline, then stops everything. */
  stop(): Promise<void>;
}

/** One of several worker processes. Only the first process reports to people. */
export interface WorkerService extends WorkerAnswers {
  readonly proxyUrl: string;
  readonly adminUrl: string;
  /** The same as a Service's. */
  stop(): Promise<void>;
  /** Cuts open calls at once. */
  cut(): void;
}

type PoolSize = { max: number; deadlineMs?: number };

const POOL_MAX = 4;
const ACTIVITY_POOL = { max: 1, deadlineMs: 3000 };
// The time for a worker's last steps after its drain, before it is killed.
const WORKER_CLOSE_MS = 20_000;

/** Starts everything and listens. If the operator has to change something, throws ConfigError, and nothing is left running. */
export function startService(config: Config, log: Log): Promise<Service> {
  return withComponents(log, (components) => build(config, log, components));
}

/** The same in a worker process. The first process has prepared the database. */
export function startWorker(config: Config, log: Log, task: Task): Promise<WorkerService> {
  const own = { ...config, ...task };
  return withComponents(log, (components) => build(own, log, components, task));
}

/**
 * Starts `config.workers` worker processes that serve. `relay` takes the lines of their logs, `complain` messages for people. Throws as
 * `startService` does, and WorkerFailure.
 */
export function startWorkers(
  config: Config,
  log: Log,
  talk: { relay: (lines: string) => void; complain: (text: string) => void },
): Promise<Service> {
  return withComponents(log, async (components) => {
    const metrics = createPrimaryMetrics();
    const supervisor = createSupervisor({
      ...{ count: config.workers, ...talk, clock: systemClock, log, metrics },
    });
    await startOpenFilesWatch(components, { metrics, log });
    const health = await components.start({
      name: "health",
      start: () =>
        createHealth({ metrics: { ...metrics, text: () => supervisor.metricsText() }, log }),
      stop: (it) => it.close(),
    });
    const metricsAddress = await health.listen(config.metricsAddress);
    const { masterKeys, ownerUrl } = await prepare(config, log, components);
    const setup = await bootstrapFiles(config, ownerUrl);
    if (masterKeys.warning !== undefined) log.warn(masterKeys.warning);
    const task: Task = {
      ownerUrl,
      workspaceId: setup.workspaceId,
      proxyAddress: await findFree(config.proxyAddress),
      adminAddress: await findFree(config.adminAddress),
    };
    await components.start({
      name: "workers",
      start: () => supervisor,
      stop: (it) => it.stop(config.deadlines.drainMs + WORKER_CLOSE_MS),
    });
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
        await components.stop();
        log.info("stopped");
      },
    };
  });
}

/** Components are stopped in reverse order. `worker`: this is one of several worker processes. */
async function build(
  config: Config,
  log: Log,
  components: Components,
  worker?: Task,
): Promise<Service & WorkerService> {
  const clock = systemClock;
  const metrics = createServiceMetrics(log);
  const certificate = config.tls && (await openCertificate(config.tls, { log, clock }));
  if (certificate !== undefined) {
    metrics.beforeScrape(() => metrics.certificateExpiry.set(certificate.validUntilMs() / 1000));
  }
  await startOpenFilesWatch(components, { metrics, log });
  // With workers, the first process answers for all.
  const health =
    worker === undefined
      ? await components.start({
          name: "health",
          start: () => createHealth({ metrics, log }),
          stop: (it) => it.close(),
        })
      : undefined;
  const metricsAddress = await health?.listen(config.metricsAddress);

  // The installation.
  const { masterKeys, ownerUrl } =
    worker === undefined
      ? await prepare(config, log, components)
      : {
          // A worker reads the keys by itself, so that they go over no channel. They may have changed since.
          masterKeys: await loadMasterKeys(config, { mayCreate: false }),
          ownerUrl: worker.ownerUrl,
        };
  const processId = newProcessId();
  await verifyMasterKeys(ownerUrl, masterKeys, { processId });
  // With workers, the first process logs it once.
  if (masterKeys.warning !== undefined && worker === undefined) log.warn(masterKeys.warning);
  const vault = await createVault(masterKeys, await openDerivation(ownerUrl, masterKeys));
  const logins = await prepareLogins(ownerUrl, (role) => vault.derive(`database login ${role}`));
  const signer = await openLogSigner(ownerUrl, masterKeys);
  const setup =
    worker === undefined
      ? await bootstrapFiles(config, ownerUrl)
      : { ...worker, setupToken: undefined };
  const { workspaceId } = setup;

  // Used by both planes.
  const max = Math.max(2, Math.ceil(POOL_MAX / config.workers));
  const startPool = (as: "control" | "proxy" | "activity", size: PoolSize): Promise<Pool> =>
    components.start({
      name: `${as} pool`,
      start: () => {
        const url = as === "control" ? logins.controlUrl : logins.proxyUrl;
        return createPool(url, { ...size, measured: { metrics, as } });
      },
      stop: (pool) => pool.close(),
    });
  const pool = await startPool("control", { max });
  const sequencer = createSequencer({ pool, signer, log });
  await components.start({
    name: "housekeeping",
    start: () => {
      const { checkpoints } = config;
      const keyRotation = createKeyRotation({
        ...{ pool, ownerUrl, ring: masterKeys, processId, homeId: workspaceId, clock, log },
      });
      const jobs = housekeepingJobs({
        ...{ pool, checkpoints, certificate, keyRotation, sequencer, clock, log, metrics },
      });
      const runner = createJobRunner(jobs, { log, metrics });
      runner.start();
      return runner;
    },
    stop: (runner) => runner.stop(),
  });
  await components.start({
    name: "service events",
    async start() {
      const version = productVersion();
      const serviceEvents = createServiceEvents({ pool, workspaceId, processId, version });
      await serviceEvents.start();
      return serviceEvents;
    },
    stop: (serviceEvents) => serviceEvents.stop(),
  });

  // The data plane's foundations.
  const proxyPool = await startPool("proxy", { max });
  const changes = await components.start({
    name: "changes",
    start: () => createChanges(logins.proxyUrl, { clock, log, metrics }),
    stop: (it) => it.close(),
  });
  const { redeployGraceMs, releaseEveryMs } = config;
  const grants = await components.start({
    name: "grants",
    start: () =>
      createGrants({
        ...{ pool: proxyPool, changes, vault, redeployGraceMs, releaseEveryMs, processId },
        ...{ clock, log, metrics },
      }),
    stop: (it) => it.close(),
  });
  const limiter = await components.start({
    name: "limits",
    start: () => createLimiter({ redisUrl: config.redisUrl, clock, log, metrics }),
    stop: (it) => it.close(),
  });
  const activityPool = await startPool("activity", ACTIVITY_POOL);
  const recorder = await components.start({
    name: "activity",
    start: () => createRecorder({ pool: activityPool, clock, log, metrics }),
    stop: (it) => it.close(),
  });

  // The control plane.
  const probe = await components.start({
    name: "key tests",
    start: () => createProbe(config, clock),
    stop: (it) => it.destroy(),
  });
  const backups = createBackups({ pool, ownerUrl, clock, log, metrics });
  const admin = await components.start({
    name: "admin side",
    start: () =>
      createAdmin({
        ...config,
        ...controlPlane({ config, pool, vault, sequencer, signer, clock, log }),
        keyTests: createKeyTests({
          ...{ pool, vault, clock, processId },
          callProvider: (call) => probe.call(call),
        }),
        ...{ backups, certificate, log, metrics, clock },
      }),
    stop: (it) => it.close(),
  });
  await components.start({ name: "backups", start: () => backups, stop: (it) => it.close() });

  // The data plane.
  const proxy = await components.start({
    name: "data plane",
    start: () =>
      createProxy({
        ...{ config, grants, limiter, vault, certificate, clock, log, metrics, processId },
        onEnded: (ended) => recorder.add(ended),
      }),
    stop: (it) => it.drain(),
  });
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
      await components.stop();
      log.info("stopped");
    },
  };
}

function createServiceMetrics(log: Log): Metrics {
  const metrics = createMetrics();
  let droppedLines = 0;
  metrics.beforeScrape(() => {
    metrics.logLinesDropped.inc(log.droppedLines() - droppedLines);
    droppedLines = log.droppedLines();
  });
  metrics.buildInfo.set({ version: productVersion(), node: process.version.slice(1) }, 1);
  return metrics;
}

async function startOpenFilesWatch(
  components: Components,
  o: Parameters<typeof watchOpenFiles>[0],
): Promise<void> {
  const name = "open files watch";
  await components.start({ name, start: () => watchOpenFiles(o), stop: (end) => end() });
}

/** The rooms that the admin side uses. None of them has to be stopped. */
function controlPlane(o: {
  config: Config;
  pool: Pool;
  vault: Vault;
  sequencer: Sequencer;
  signer: LogSigner;
  clock: Clock;
  log: Log;
}) {
  const { config, pool, vault, sequencer, signer, clock, log } = o;
  const { originOverrides } = config;
  const addressRule = createAddressRule(config.allowPrivateUpstreams);
  const originProblem = (origin: string): string | undefined => addressRule.originProblem(origin);
  return {
    identity: createIdentity({ pool, vault, clock }),
    secrets: createSecrets({ pool, vault, originOverrides, originProblem }),
    agents: createAgents({ pool, clock, vault }),
    registrations: createRegistrations({ pool, clock }),
    leases: createLeases({ pool, clock }),
    newAgents: createNewAgents({ pool }),
    customProviders: createCustomProviders({ pool, originProblem }),
    environments: createEnvironments({ pool }),
    audit: createAudit({ pool }),
    erasures: createErasures({ pool, sequencer }),
    auditProofs: createAuditProofs({ pool, signer, sequencer, clock, log }),
    activity: createActivityViews({ pool, clock }),
    calls: createCallViews({ pool, clock }),
    scopeTrials: createScopeTrials({ pool, clock }),
    masterKeys: createMasterKeys({ pool }),
  };
}

/** What to report about the service. `setup`: false in a worker, which reports nothing. */
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

/** The socket for this machine's command line. Undefined without an owner's API key, or if the path is too long. */
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
