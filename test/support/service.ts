// The real product as a process of its own: started as a user starts it, spoken to over its sockets and its command
// line. Everything that it writes to its output is kept, for the tests that search it.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { TestDatabase } from "./database.ts";
import { inherited } from "./inherited.ts";

const LAUNCHER = fileURLToPath(new URL("../../bin/x3sproxy.js", import.meta.url));
const START_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 45_000;
// Below those that systems give to outgoing connections, one of which could have the port before its program does; above those that
// fetch refuses.
const LOWEST_PORT = 11_000;
const PORTS = 21_768;

export interface CommandResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningService {
  readonly proxyUrl: string;
  readonly adminUrl: string;
  readonly metricsUrl: string;
  readonly dataDir: string;
  /** The owner's API key that the first start wrote to the data folder. */
  readonly apiKey: string;
  readonly process: ChildProcess;
  /** What the service has written so far. */
  readonly output: { stdout: string; stderr: string };
  /** Runs the real command line against this service. */
  cli(args: readonly string[], input?: string): Promise<CommandResult>;
  /** The same with --json; fails unless the exit status is 0. */
  cliJson(args: readonly string[], input?: string): Promise<Record<string, unknown>>;
  /** Saves a real key by the command line. */
  setSecret(provider: string, key: string, ...options: string[]): Promise<void>;
  /** Deploys an agent by the command line; gives its token. */
  deploy(agent: string, ...options: string[]): Promise<string>;
  /** SIGTERM; gives the exit status. The data folder stays until `remove`. */
  stop(): Promise<number | null>;
  /** SIGKILL: a crash. */
  kill(): Promise<void>;
  /** Stops it if it still runs, and deletes the data folder that was made for it. */
  remove(): Promise<void>;
}

export interface ServiceOptions {
  /** Without one: the embedded server. */
  readonly database?: Pick<TestDatabase, "ownerUrl" | "masterKey">;
  /** An existing data folder, to start again with; it is not deleted. */
  readonly dataDir?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The owner's API key, where an earlier service on this database was given it. */
  readonly apiKey?: string;
  /** How many files it may have open (RLIMIT_NOFILE). */
  readonly openFiles?: number;
  /** Where `env` has it listen for metrics. */
  readonly metricsUrl?: string;
}

/** Starts the service on free ports and waits until it is ready. */
export async function runService(options: ServiceOptions = {}): Promise<RunningService> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "x3sproxy-service-")));
  const [proxyPort, adminPort, metricsPort] = await freePorts(3);
  const { HOME = "" } = process.env;
  const { database } = options;
  const env: Record<string, string> = {
    ...inherited(),
    HOME,
    X3SPROXY_DATA_DIR: dataDir,
    X3SPROXY_PROXY_ADDR: `127.0.0.1:${proxyPort}`,
    X3SPROXY_ADMIN_ADDR: `127.0.0.1:${adminPort}`,
    X3SPROXY_METRICS_ADDR: `127.0.0.1:${metricsPort}`,
    X3SPROXY_DRAIN_DELAY: "0s",
    ...(database === undefined
      ? {}
      : { DATABASE_URL: database.ownerUrl, X3SPROXY_MASTER_KEY: database.masterKey }),
    ...(options.apiKey === undefined ? {} : { X3SPROXY_API_KEY: options.apiKey }),
    ...options.env,
  };
  const serve = [process.execPath, LAUNCHER, "serve"];
  const limit = `ulimit -n ${options.openFiles ?? "$(ulimit -n)"}; exec "$@"`;
  const child = spawn("sh", ["-c", limit, "sh", ...serve], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = keepOutput(child);
  const exited = once(child, "exit");
  const killWithUs = () => void child.kill("SIGKILL");
  process.once("exit", killWithUs);
  void exited.then(() => process.off("exit", killWithUs));

  const metricsUrl = options.metricsUrl ?? `http://127.0.0.1:${metricsPort}`;
  try {
    await untilReady(`${metricsUrl}/readyz`, child, output);
  } catch (error) {
    child.kill("SIGKILL");
    if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
    throw error;
  }
  const apiKey = options.apiKey ?? (await readFile(join(dataDir, "admin-api-key"), "utf8")).trim();

  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    child.kill(signal);
    const late = setTimeout(() => child.kill("SIGKILL"), STOP_DEADLINE_MS);
    await exited;
    clearTimeout(late);
    return child.exitCode;
  };
  const cli: RunningService["cli"] = async (args, input = "") => {
    const command = spawn(process.execPath, [LAUNCHER, ...args], { env });
    const written = keepOutput(command);
    command.stdin.end(input);
    await once(command, "close");
    return { status: command.exitCode, ...written };
  };
  const cliJson: RunningService["cliJson"] = async (args, input) => {
    const { status, stdout, stderr } = await cli([...args, "--json"], input);
    assert.equal(status, 0, `x3sproxy ${args.join(" ")}: ${stderr}`);
    return JSON.parse(stdout) as Record<string, unknown>;
  };
  return {
    proxyUrl: `http://127.0.0.1:${proxyPort}`,
    adminUrl: `http://127.0.0.1:${adminPort}`,
    metricsUrl,
    dataDir,
    apiKey,
    process: child,
    output,
    cli,
    cliJson,
    async setSecret(provider, key, ...more) {
      await cliJson(["secret", "set", provider, "--skip-test", ...more], key);
    },
    async deploy(agent, ...more) {
      return String((await cliJson(["agent", "deploy", agent, ...more]))["token"]);
    },
    stop: () => end("SIGTERM"),
    async kill() {
      await end("SIGKILL");
    },
    async remove() {
      await end("SIGTERM");
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
    },
  };
}

function keepOutput(child: ChildProcess): { stdout: string; stderr: string } {
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.setEncoding("utf8").on("data", (text: string) => (output[name] += text));
  }
  return output;
}

async function untilReady(
  url: string,
  child: ChildProcess,
  output: { stderr: string },
): Promise<void> {
  const until = Date.now() + START_DEADLINE_MS;
  for (;;) {
    if (child.exitCode !== null || Date.now() > until) {
      throw new Error(`the service did not get ready: ${output.stderr.slice(-2000)}`);
    }
    const status = await fetch(url).then(
      (response) => response.status,
      () => undefined,
    );
    if (status === 200) return;
    await sleep(25);
  }
}

/** Ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = [];
  while (servers.length < count) {
    const server = createServer().listen(LOWEST_PORT + randomInt(PORTS), "127.0.0.1");
    try {
      await once(server, "listening");
      servers.push(server);
    } catch {
      // Somebody has it.
    }
  }
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
