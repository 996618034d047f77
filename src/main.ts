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
  recordMigrations,
} from "./audit/index.ts";
import { openCertificate } from "./certificate.ts";
import { systemClock } from "./clock.ts";
import type { Config, ListenAddress } from "./config.ts";
import { createChanges, createPool, migrate, prepareLogins, startEmbedded } from "./db/index.ts";
import { ConfigError } from "./errors.ts";
import { createFigures } from "./figures.ts";
import { createHealth } from "./health.ts";
import { bootstrap, createIdentity } from "./identity/index.ts";
import { newProcessId } from "./ids.ts";
import { errorFields, type Log } from "./log.ts";
import { createMetrics } from "./metrics.ts";
import { builtInProviders } from "./providers/index.ts";
import { createAddressRule, createProbe, createProxy } from "./proxy/index.ts";
import {
  createKeyTests,
  createSecrets,
  createVault,
  loadMasterKey,
  openLogSigner,
  verifyMasterKey,
} from "./vault/index.ts";

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

type Close = () => Promise<void> | void;

const ACTIVITY_POOL = { max: 1, deadlineMs: 3000 };

/** Starts everything and listens. Throws ConfigError where the operator has to change something; then nothing is left running. */
export async function startService(config: Config, log: Log): Promise<Service> {
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
    return await build(config, log, closers, closeAll);
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
): Promise<Service> {
  checkOverrides(config);
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
  const masterKey = await loadMasterKey(config, { mayCreate: !hasCluster(config) });
  if (masterKey.warning !== undefined) log.warn(masterKey.warning);
  const ownerUrl = config.databaseUrl ?? (await startOwnDatabase(config, log, closers));
  const health = createHealth({ metrics, clock });
  closers.push(() => health.close());
  const metricsAddress = await health.listen(config.metricsAddress);
  await migrate(ownerUrl);
  await verifyMasterKey(ownerUrl, masterKey);
  const vault = await createVault(masterKey);
  const logins = await prepareLogins(ownerUrl, (role) => vault.derive(`database login ${role}`));
  const logSigner = await openLogSigner(ownerUrl, masterKey);
  const setup = await bootstrapFiles(config, ownerUrl);
  await recordMigrations(ownerUrl);
  const processId = newProcessId();

  const controlPool = createPool(logins.controlUrl, { measured: { metrics, as: "control" } });
  closers.push(() => controlPool.close());
  const sequencer = createSequencer({ pool: controlPool, signer: logSigner, log });
  closers.push(() => sequencer.close());
  sequencer.start();
  const serviceEvents = createServiceEvents({
    ...{ pool: controlPool, workspaceId: setup.workspaceId, processId, version: productVersion() },
  });
  await serviceEvents.start();
  closers.push(() => serviceEvents.stop());
  const proxyPool = createPool(logins.proxyUrl, { measured: { metrics, as: "proxy" } });
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
    log,
    metrics,
    clock,
  });
  closers.push(() => admin.close());
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
  health.begin(proxyPool);
  const listening = { proxy: proxyAddress, admin: adminAddress, metrics: metricsAddress };
  for (const [route, { host, port }] of Object.entries(listening)) {
    log.info("listening", { route, address: `${host}:${port}` });
  }
  const httpsNeeded = plainOverNetwork(config.dashboardUrl);
  if (httpsNeeded) {
    log.warn("nobody can sign in: X3SPROXY_DASHBOARD_URL is plain http over a network");
  }
  return {
    httpsNeeded,
    proxyUrl: urlOf(proxyAddress, certificate && "https"),
    adminUrl: urlOf(adminAddress, certificate && "https"),
    metricsUrl: urlOf(metricsAddress),
    dataDir: config.dataDir,
    embedded: config.databaseUrl === undefined,
    setupUrl:
      setup.setupToken === undefined
        ? undefined
        : `${config.dashboardUrl}/setup#token=${setup.setupToken}`,
    async stop() {
      health.drain();
      await closeAll();
      log.info("stopped");
    },
  };
}

/** Brings the database to this version without serving; returns the names of the migrations applied. */
export async function migrateOnly(config: Config, log: Log): Promise<string[]> {
  const closers: Close[] = [];
  try {
    // The embedded default has its key before its database, so that a lost key is noticed.
    await loadMasterKey(config, { mayCreate: !hasCluster(config) });
    const ownerUrl = config.databaseUrl ?? (await startOwnDatabase(config, log, closers));
    const applied = await migrate(ownerUrl);
    await recordMigrations(ownerUrl);
    return applied;
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
  const embedded = await startEmbedded({ dataDir: config.dataDir, log });
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
