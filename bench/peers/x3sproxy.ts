// The product as shipped: `x3sproxy serve` with its own Postgres, a saved key, a deployed agent, log lines into a file,
// metrics on. Node on the proxy's core, Postgres on the other.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "../../test/support/service.ts";
import { REAL_KEY } from "../messages.ts";
import { ROOT } from "../report/documents.ts";
import { end, LOAD_CORE, PROXY_CORE, start, treeOf, type Started } from "../processes.ts";
import type { Peer, Route, Site } from "./peer.ts";

const READY_WITHIN_MS = 60_000;

/** The provider that stands for each route, with an origin of ours. */
const PROVIDERS: Readonly<Record<Route, string>> = { plain: "openai", tls: "groq", h2: "together" };

export interface OwnPeer extends Peer {
  readonly dataDir: string;
  /** From the start of the process until it is ready, milliseconds. */
  readonly startMs: number;
  /** Deploys an agent over the admin API; gives its token. `scope`: what it may do, as REST takes it. */
  deploy(agent: string, scope?: object): Promise<string>;
  /** Saves a key for a provider over the admin API. */
  setSecret(provider: string): Promise<void>;
  /** Has every database session of the proxy do something. */
  askDatabase(): Promise<void>;
  /** The sum of a metric's samples whose labels contain `labels`. */
  metric(name: string, labels?: string): Promise<number>;
}

/** Starts it on the site's data folder. `nodeArguments` are for Node itself (a profile); `checkout`: whose x3sproxy it is. */
export async function startOwn(
  site: Site,
  o: {
    readonly name?: "x3sproxy" | "before";
    readonly checkout?: string;
    readonly nodeArguments?: readonly string[];
  } = {},
): Promise<OwnPeer> {
  const { name = "x3sproxy", checkout = ROOT, nodeArguments = [] } = o;
  const launcher = join(checkout, "bin/x3sproxy.js");
  const dataDir = join(site.folder, name);
  const [proxyPort = 0, adminPort = 0, metricsPort = 0] = await freePorts(3);
  const log = openLog(site, name);
  const startedAt = performance.now();
  const started = start([process.execPath, ...nodeArguments, launcher, "serve"], {
    core: PROXY_CORE,
    logFile: log,
    cwd: site.folder,
    env: {
      X3SPROXY_DATA_DIR: dataDir,
      X3SPROXY_PROXY_ADDR: `127.0.0.1:${proxyPort}`,
      X3SPROXY_ADMIN_ADDR: `127.0.0.1:${adminPort}`,
      X3SPROXY_METRICS_ADDR: `127.0.0.1:${metricsPort}`,
      X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8,::1",
      X3SPROXY_ORIGIN_OPENAI: `http://127.0.0.1:${site.upstreamPort}`,
      X3SPROXY_ORIGIN_GROQ: `https://localhost:${site.tlsPort}`,
      X3SPROXY_ORIGIN_TOGETHER: `https://localhost:${site.h2Port}`,
      NODE_EXTRA_CA_CERTS: site.caFile,
    },
  });
  await untilReady(`http://127.0.0.1:${metricsPort}/readyz`, started, logFile(site, name));
  const startMs = performance.now() - startedAt;
  for (const { pid, name: program } of treeOf(started.pid)) {
    if (program.startsWith("postgres"))
      execFileSync("taskset", ["-apc", String(LOAD_CORE), String(pid)]);
  }

  const apiKey = readFileSync(join(dataDir, "admin-api-key"), "utf8").trim();
  const call = async (method: string, path: string, body: unknown): Promise<unknown> => {
    const response = await fetch(`http://127.0.0.1:${adminPort}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  };
  const deploy = async (agent: string, scope: object = {}): Promise<string> => {
    const answer = await call("POST", `/agents/${agent}/deployments`, scope);
    return (answer as { token: string }).token;
  };
  const setSecret = async (provider: string): Promise<void> => {
    // Another checkout may be of a version that tests no keys and knows no such field.
    const untested = name === "x3sproxy" && { skipTest: true };
    await call("PUT", "/secrets", { provider, value: REAL_KEY, ...untested });
  };
  for (const provider of Object.values(PROVIDERS)) await setSecret(provider);
  const token = await deploy("bench");

  return {
    name,
    pid: started.pid,
    webSockets: true,
    dataDir,
    startMs,
    door: (route) => ({
      port: proxyPort,
      prefix: `/${PROVIDERS[route]}`,
      bearer: token,
      headers: [],
    }),
    deploy,
    setSecret,
    async metric(metric, labels = "") {
      const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
      return text
        .split("\n")
        .filter((line) => line.startsWith(metric) && line.includes(labels))
        .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
    },
    async askDatabase() {
      const url = `http://127.0.0.1:${metricsPort}/readyz`;
      await Promise.all(Array.from({ length: 100 }, async () => (await fetch(url)).text()));
    },
    end: () => end(started),
  };
}

/** A pipe with a reader on the other core, as container runtimes give their programs; the last of what came is kept. */
export function openLog(site: Site, name: string): string {
  const pipe = join(site.folder, `${name}.pipe`);
  if (!existsSync(pipe)) execFileSync("mkfifo", [pipe]);
  const reader = ["sh", "-c", 'exec tail -c 65536 "$0" >"$1"', pipe, logFile(site, name)];
  start(reader, { core: LOAD_CORE });
  return pipe;
}

/** Where what a program wrote into its pipe stands once it has ended. */
export function logFile(site: Site, name: string): string {
  return join(site.folder, `${name}.log`);
}

async function untilReady(url: string, started: Started, logPath: string): Promise<void> {
  const until = performance.now() + READY_WITHIN_MS;
  while (performance.now() < until && started.child.exitCode === null) {
    const ready = await fetch(url).then(
      ({ status }) => status === 200,
      () => false,
    );
    if (ready) return;
    await sleep(10);
  }
  await end(started);
  await sleep(200); // for the reader, which keeps the last of it
  const log = readFileSync(logPath, "utf8");
  throw new Error(`x3sproxy did not get ready: ${log.slice(-2000)}`);
}
