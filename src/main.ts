// The composition root: config → components → listen → drain. Everything is made and wired here, by hand: a list of components, each
// started after those that it needs, and stopped before them.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createRecorder } from "./activity/index.ts";
import { createAdmin } from "./admin/index.ts";
import { createSequencer, createServiceEvents } from "./audit/index.ts";
import { createBackups } from "./backup/index.ts";
import { createControlPlane } from "./control-plane.ts";
import { createChanges, createPool, prepareLogins, type Pool } from "./db/index.ts";
import { createGrants } from "./grants/index.ts";
import { createDatabaseCheck, createHealth } from "./health.ts";
import { housekeepingJobs } from "./housekeeping.ts";
import { bootstrapFiles, prepare } from "./installation.ts";
import { createLimiter } from "./limits/index.ts";
import { adminSocketPath, OWNER_KEY_FILE } from "./platform/admin-socket.ts";
import { openCertificate } from "./platform/certificate.ts";
import { systemClock } from "./platform/clock.ts";
import { withComponents, type Components } from "./platform/components.ts";
import type { Config } from "./platform/config.ts";
import { newProcessId } from "./platform/ids.ts";
import { createJobRunner } from "./platform/jobs.ts";
import type { Log } from "./platform/log.ts";
import { createMetrics, type Metrics } from "./platform/metrics.ts";
import { createProbe, createProxy } from "./proxy/index.ts";
import { described, productVersion, startOpenFilesWatch, urlOf, type Service } from "./service.ts";
import {
  createKeyRotation,
  createKeyTests,
  createVault,
  loadMasterKeys,
  openDerivation,
  openLogSigner,
  verifyMasterKeys,
} from "./vault/index.ts";
import type { Task, WorkerAnswers } from "./workers/index.ts";

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
/** Starts everything and listens. If the operator has to change something, throws ConfigError, and nothing is left running. */
export function startService(config: Config, log: Log): Promise<Service> {
  return withComponents(log, (components) => build(config, log, components));
}

/** The same in a worker process. The first process has prepared the database. */
export function startWorker(config: Config, log: Log, task: Task): Promise<WorkerService> {
  const own = { ...config, ...task };
  return withComponents(log, (components) => build(own, log, components, task));
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
        ...createControlPlane({ config, pool, vault, sequencer, signer, clock, log }),
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

/** The socket for this machine's command line. Undefined without an owner's API key, or if the path is too long. */
function ownSocket({ dataDir }: Config): string | undefined {
  return existsSync(join(dataDir, OWNER_KEY_FILE)) ? adminSocketPath(dataDir) : undefined;
}
