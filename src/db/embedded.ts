// The embedded server: a real Postgres in the data folder, for operators who have none. Ends with the service. Must listen on loopback
// only, and must never log a statement.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { open, stat, type FileHandle } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ConfigError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import { codeOf } from "../platform/unknown-values.ts";
import { openClient, withDeadline } from "./connection.ts";
import { claimDataFolder } from "./data-folder.ts";
import {
  prepareCluster,
  prepareHost,
  spawnProgram,
  SUPERUSER,
  type Host,
} from "./embedded-cluster.ts";
import { stopLeftover } from "./embedded-leftover.ts";

const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "50",
  timezone: "UTC",
  log_timezone: "UTC",
  // No statement or value may reach the log. This also leaves out errors, since their texts quote values.
  log_min_messages: "log",
  log_error_verbosity: "terse",
  log_statement: "none",
  log_min_error_statement: "panic",
  log_parameter_max_length: "0",
  log_parameter_max_length_on_error: "0",
  log_min_duration_statement: "-1",
};

const START_ATTEMPTS = 5;
const READY_WITHIN_MS = 60_000;
const READY_POLL_MS = 20;
const MAX_REFUSALS = 50;
const WRONG_PASSWORD = "28P01";
const FAST_SHUTDOWN_MS = 10_000;
const RESTART_AFTER_MS = 1000;
const MAX_LOG_BYTES = 1_000_000;

export interface Embedded {
  readonly ownerUrl: string;
  /** Shuts down fast; resolves when the server has ended and the data folder is unlocked. */
  stop(): Promise<void>;
}

/**
 * Starts the server in `<dataDir>/postgres`, and creates its files on the first start. `settings` (of postgresql.conf) override ours. Throws
 * ConfigError when the folder is in use or can't be used, or there are no programs for this platform.
 */
export async function startEmbedded(o: {
  dataDir: string;
  log: Log;
  settings?: Readonly<Record<string, string>>;
}): Promise<Embedded> {
  const cluster = join(o.dataDir, "postgres");
  const claim = claimDataFolder(o.dataDir);
  let current: ChildProcess | undefined;
  // The server ends with this process, unless the process is killed by SIGKILL.
  const endWithUs = (): void => void current?.kill("SIGINT");
  process.once("exit", endWithUs);
  const release = (): void => {
    process.off("exit", endWithUs);
    claim.release();
  };
  try {
    const host = await prepareHost(cluster);
    await stopLeftover(cluster);
    const password = await prepareCluster(o.dataDir, cluster, host);
    const logFile = await openLog(join(o.dataDir, "postgres.log"));
    const launch = (port: number): ChildProcess => {
      const settings = { ...SETTINGS, ...o.settings, port: String(port) };
      return (current = launchServer(host, cluster, settings, logFile));
    };
    const { child, port } = await startOnFreePort(launch, password).catch(
      async (error: unknown) => {
        await logFile.close();
        throw error;
      },
    );
    const stopServer = keepRunning(child, () => launch(port), o.log);
    return {
      ownerUrl: ownerUrl(port, password),
      async stop() {
        await stopServer();
        await logFile.close();
        release();
      },
    };
  } catch (error) {
    release();
    if (error instanceof ConfigError) throw error;
    const code = codeOf(error) ?? "unknown error";
    throw new ConfigError(
      `the embedded Postgres can't run in ${o.dataDir} (${code}): mend that, or set DATABASE_URL`,
    );
  }
}

function launchServer(
  host: Host,
  cluster: string,
  settings: Readonly<Record<string, string>>,
  logFile: FileHandle,
): ChildProcess {
  const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  // In its own session, so that Ctrl-C in the terminal reaches only us. We stop the server when we no longer need it.
  return spawnProgram(host, "postgres", cluster, args, {
    detached: true,
    stdio: ["ignore", "ignore", logFile.fd],
  });
}

/** Retries with another port when the server ends before it answers, since another process may have taken the port. */
async function startOnFreePort(
  launch: (port: number) => ChildProcess,
  password: string,
): Promise<{ child: ChildProcess; port: number }> {
  for (let attempt = 1; attempt <= START_ATTEMPTS; attempt++) {
    const port = await freePort();
    const child = launch(port);
    if (await isReady(child, ownerUrl(port, password))) return { child, port };
    await delay(2 ** attempt * 50);
  }
  throw new ConfigError("the embedded Postgres doesn't start: see postgres.log in the data folder");
}

/** Waits until the server answers (true) or has ended (false). Throws when it can't be run or refuses our password. */
async function isReady(child: ChildProcess, url: string): Promise<boolean> {
  const ended = new AbortController();
  let failure: Error | undefined;
  child.once("exit", () => ended.abort());
  child.once("error", (error) => {
    failure = error;
    ended.abort();
  });
  const timeout = AbortSignal.timeout(READY_WITHIN_MS);
  const over = AbortSignal.any([ended.signal, timeout]);
  let refusals = 0;
  while (!over.aborted && refusals < MAX_REFUSALS) {
    const client = openClient(url, { max: 1, statementTimeoutMs: 0 });
    try {
      await withDeadline(1000, async () => client.sql`select 1`);
      return true;
    } catch (error) {
      // A few refusals may come from another server that took the port first; ours then ends.
      if (codeOf(error) === WRONG_PASSWORD) refusals++;
      await delay(READY_POLL_MS, undefined, { signal: over }).catch(() => undefined);
    } finally {
      client.destroy();
    }
  }
  if (failure !== undefined) throw failure;
  if (ended.signal.aborted) return false;
  child.kill("SIGQUIT");
  throw new ConfigError(
    timeout.aborted
      ? "the embedded Postgres doesn't answer: see postgres.log in the data folder"
      : "the embedded Postgres refuses the password in postgres-password: restore that file from a backup",
  );
}

/** Restarts the server on the same port whenever it ends by itself. Returns a function that stops it for good. */
function keepRunning(
  first: ChildProcess,
  launch: () => ChildProcess,
  log: Log,
): () => Promise<void> {
  let stopping = false;
  let timer: NodeJS.Timeout | undefined;
  let child = first;
  const watch = (): void => {
    const gone = (): void => {
      if (stopping || timer !== undefined) return;
      log.error("the embedded Postgres ended by itself and is started again");
      timer = setTimeout(() => {
        timer = undefined;
        child = launch();
        watch();
      }, RESTART_AFTER_MS);
    };
    child.once("exit", gone);
    child.once("error", gone);
  };
  watch();
  return async () => {
    stopping = true;
    clearTimeout(timer);
    await stopChild(child);
  };
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  // PostgreSQL manual, 18.5: SIGINT is a fast shutdown, SIGQUIT an immediate one.
  child.kill("SIGINT");
  const timer = setTimeout(() => child.kill("SIGQUIT"), FAST_SHUTDOWN_MS);
  await ended;
  clearTimeout(timer);
}

function ownerUrl(port: number, password: string): string {
  return `postgres://${SUPERUSER}:${password}@127.0.0.1:${port}/postgres`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function openLog(path: string): Promise<FileHandle> {
  const bytes = await stat(path).then(
    ({ size }) => size,
    () => 0,
  );
  return open(path, bytes > MAX_LOG_BYTES ? "w" : "a", 0o600);
}
