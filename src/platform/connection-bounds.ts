// How many connections each listener accepts, from the number of files that the process may have open. The connections of one listener
// never take from another listener, the upstreams or the database: a connection over the bound is closed at once, counted and logged.
// Must never let one source use up a bound, unless it is a proxy for many clients.
import { readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import type { Server, Socket } from "node:net";
import { devNull } from "node:os";
import { clientNetwork, isWithin, parseAddress } from "./addresses.ts";
import type { Cidr } from "./addresses.ts";
import { errorFields, type Log } from "./log.ts";
import type { ConnectionMetrics, ListenerName } from "./metric-labels.ts";
import { codeOf } from "./unknown-values.ts";

/** Kept for the database, the log, name resolution, other files, and Node itself. */
const RESERVED = 128;
/** Used if the system does not tell its limit. */
const ASSUMED = 4096;
/** The share of a bound that a single source may use. */
const SOURCE_SHARE = 1 / 2;
const SAID_EVERY_MS = 10_000;
const LOOK_EVERY_MS = 1_000;
const NONE_LEFT: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE"]);

/** Connections that each listener accepts. The data plane may open as many to upstreams. */
export type ConnectionBounds = Readonly<Record<ListenerName, number>>;

/** The bounds that fit this process. */
export function connectionBounds(openFiles = openFilesLimit()): ConnectionBounds {
  const usable = Math.max(0, openFiles - RESERVED);
  const admin = within(16, usable / 8, 512);
  const metrics = within(8, usable / 32, 128);
  return { admin, metrics, proxy: Math.max(16, Math.floor((usable - admin - metrics) / 2)) };
}

function within(least: number, wanted: number, most: number): number {
  return Math.floor(Math.min(Math.max(least, wanted), most));
}

/** RLIMIT_NOFILE of this process (proc_pid_limits(5)). Node raises it to the hard limit as it starts. */
function openFilesLimit(): number {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(limits) ?? [];
    if (soft !== undefined) return soft === "unlimited" ? Number.MAX_SAFE_INTEGER : Number(soft);
  } catch {
    // Not Linux.
  }
  return ASSUMED;
}

export interface Bounding {
  readonly listener: ListenerName;
  /** Proxies for many clients. This machine itself counts as one. */
  readonly trustedProxies: readonly Cidr[];
  readonly metrics: ConnectionMetrics;
  readonly log: Log;
}

/** Limits the connections of a server. Call it before the server listens. */
export function boundConnections(server: Server, o: Bounding): void {
  const { listener, metrics, log } = o;
  const most = connectionBounds()[listener];
  const mostOfSource = Math.ceil(most * SOURCE_SHARE);
  const bySource = new Map<string, number>();
  const refused = {
    full: createSparing(log, { route: listener, reason: "full" }),
    source: createSparing(log, { route: listener, reason: "source" }),
  };
  const refuse = (reason: keyof typeof refused): void => {
    metrics.connectionsRefused.inc({ listener, reason });
    refused[reason]("connections refused");
  };
  for (const reason of ["full", "source"] as const) {
    metrics.connectionsRefused.inc({ listener, reason }, 0);
  }
  metrics.connectionsMax.set({ listener }, most);
  metrics.connections.set({ listener }, 0);

  server.maxConnections = most;
  server.on("drop", () => refuse("full"));
  server.on("connection", (socket: Socket) => {
    metrics.connections.inc({ listener });
    socket.once("close", () => metrics.connections.dec({ listener }));
    const { remoteAddress } = socket;
    if (remoteAddress === undefined || speaksForMany(remoteAddress, o.trustedProxies)) return;
    const source = clientNetwork(remoteAddress);
    const count = (bySource.get(source) ?? 0) + 1;
    bySource.set(source, count);
    socket.once("close", () => {
      const left = (bySource.get(source) ?? 1) - 1;
      if (left === 0) bySource.delete(source);
      else bySource.set(source, left);
    });
    if (count <= mostOfSource) return;
    refuse("source");
    socket.destroy();
  });
  // On a listening server this event means that one connection could not be accepted. The next one may be.
  const sayNotTaken = createSparing(log, { route: listener });
  server.on("error", (error: NodeJS.ErrnoException) => {
    if (server.listening) sayNotTaken(`a connection was not taken: ${error.code ?? error.name}`);
  });
}

function speaksForMany(text: string, trusted: readonly Cidr[]): boolean {
  const address = parseAddress(text);
  return address?.range() === "loopback" || isWithin(trusted, address);
}

/**
 * Checks each second whether a file can still be opened. If none can, the system closes new connections, and nobody is told. Returns a
 * function that ends the checks.
 */
export function watchOpenFiles({ metrics, log }: Pick<Bounding, "metrics" | "log">): () => void {
  const say = createSparing(log, {});
  const look = async (): Promise<void> => {
    try {
      const file = await open(devNull);
      await file.close();
    } catch (error) {
      if (!NONE_LEFT.has(codeOf(error))) throw error;
      metrics.openFilesExhausted.inc();
      say("no file descriptor is left: connections are turned away; raise ulimit -n");
    }
  };
  const timer = setInterval(() => {
    look().catch((error: unknown) => log.error("open files not looked at", errorFields(error)));
  }, LOOK_EVERY_MS).unref();
  return () => clearInterval(timer);
}

/** Logs the first occurrence at once, then at most every 10 s one line with the count since. */
function createSparing(log: Log, fields: { route?: string; reason?: string }) {
  let count = 0;
  let timer: NodeJS.Timeout | undefined;
  const say = (message: string): void => {
    timer = undefined;
    if (count === 0) return;
    log.warn(message, { ...fields, count });
    count = 0;
    timer = setTimeout(() => say(message), SAID_EVERY_MS).unref();
  };
  return (message: string): void => {
    count++;
    if (timer === undefined) say(message);
  };
}
