// Prepares an installation before anything serves: its master keys, its database's schema, its first files. Also what runs without serving:
// migration alone, and restoring a backup.
import { existsSync } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { OWNER_KEY_FILE, removeStaleSocket } from "./platform/admin-socket.ts";
import { recordMigrations } from "./audit/index.ts";
import {
  checkBackup,
  checkHeader,
  verifyAudit,
  restore,
  type AuditState,
  type OpenBackup,
  type Restored,
} from "./backup/index.ts";
import { createComponents, type Components } from "./platform/components.ts";
import type { Config } from "./platform/config.ts";
import { revokePublicRights, migrate, startEmbedded } from "./db/index.ts";
import { ConfigError } from "./platform/errors.ts";
import { bootstrap } from "./identity/index.ts";
import type { Log } from "./platform/log.ts";
import { builtInProviders } from "./providers/index.ts";
import { loadMasterKeys, openLogSigner, verifyMasterKeys, type KeyRing } from "./vault/index.ts";

// The connections of a worker: two pools, activity, notifications with their heartbeat, and one for its start.
const CONNECTIONS_EACH = 8;

/** Prepares the database for this version, and loads its master keys. */
export async function prepare(
  config: Config,
  log: Log,
  components: Components,
): Promise<{ masterKeys: KeyRing; ownerUrl: string }> {
  checkOverrides(config);
  const masterKeys = await loadMasterKeys(config, { mayCreate: !hasCluster(config) });
  const ownerUrl = config.databaseUrl ?? (await startOwnDatabase(config, log, components));
  await migrate(ownerUrl);
  if (config.databaseUrl === undefined) await revokePublicRights(ownerUrl);
  await verifyMasterKeys(ownerUrl, masterKeys);
  return { masterKeys, ownerUrl };
}

/** Migrates the database without serving. Resolves to the names of the applied migrations. */
export async function migrateOnly(config: Config, log: Log): Promise<string[]> {
  const components = createComponents(log);
  try {
    // The embedded default makes its key before its database, so that a lost key is noticed.
    await loadMasterKeys(config, { mayCreate: !hasCluster(config) });
    const ownerUrl = config.databaseUrl ?? (await startOwnDatabase(config, log, components));
    const applied = await migrate(ownerUrl);
    await recordMigrations(ownerUrl);
    return applied;
  } finally {
    await components.stop();
  }
}

/**
 * Restores a backup into the database of `config`, which has to be empty, and verifies the audit afterwards. Touches no database before the
 * whole backup was read and checked. Throws ConfigError, ContainerError, and what `open` throws; then nothing was changed.
 */
export async function restoreBackup(
  config: Config,
  log: Log,
  o: { open: OpenBackup; suspendAgents: boolean; onProgress?: (bytes: number) => void },
): Promise<{ restored: Restored; audit: AuditState }> {
  const components = createComponents(log);
  try {
    const { header } = await checkBackup(o.open);
    const masterKeys = await loadMasterKeys(config, { mayCreate: false });
    await checkHeader(header, masterKeys);
    const ownerUrl = config.databaseUrl ?? (await startOwnDatabase(config, log, components));
    const restored = await restore({ ownerUrl, header, ...o });
    await verifyMasterKeys(ownerUrl, masterKeys);
    const { publicKey } = await openLogSigner(ownerUrl, masterKeys);
    return { restored, audit: await verifyAudit(ownerUrl, publicKey) };
  } finally {
    await components.stop();
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

function hasCluster(config: Config): boolean {
  return existsSync(join(config.dataDir, "postgres"));
}

async function startOwnDatabase(config: Config, log: Log, components: Components): Promise<string> {
  const settings: Record<string, string> =
    config.workers === 1 ? {} : { max_connections: String(50 + CONNECTIONS_EACH * config.workers) };
  const { ownerUrl } = await components.start({
    name: "embedded database",
    start: () => startEmbedded({ dataDir: config.dataDir, log, settings }),
    stop: (embedded) => embedded.stop(),
  });
  return ownerUrl;
}

/** Makes the first workspace and, for the CLI on this machine, the owner's API key. */
export async function bootstrapFiles(
  config: Config,
  ownerUrl: string,
): Promise<{ workspaceId: string; setupToken: string | undefined }> {
  const path = join(config.dataDir, OWNER_KEY_FILE);
  const { workspaceId, apiKey, setupToken } = await bootstrap(ownerUrl, {
    makeApiKey: config.databaseUrl === undefined && !existsSync(path),
  });
  if (apiKey !== undefined) {
    await mkdir(config.dataDir, { recursive: true, mode: 0o700 });
    await writePrivateFile(path, `${apiKey}\n`);
  }
  await removeStaleSocket(config.dataDir);
  await recordMigrations(ownerUrl);
  return { workspaceId, setupToken };
}

async function writePrivateFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}`;
  // Left by a start that broke off: in a container the process id is often the same again.
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
