// How many connections each listener takes, from how many files the process may have open. What one listener holds never takes from
// another, from the upstreams or from the database: what is over a bound is closed at once, counted and logged. Must never let one
// source have all of a bound, unless it speaks for many.
import { readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import type { Server, Socket } from "node:net";
import { devNull } from "node:os";
import { clientNetwork, isWithin, parseAddress } from "./addresses.ts";
import type { Cidr } from "./config.ts";
import { errorFields, type Log } from "./log.ts";
import type { ConnectionMetrics, ListenerName } from "./metric-labels.ts";

/** For the database, the log, name resolution, files that are read now and then, and what Node itself has open. */
const RESERVED = 128;
/** Where the system does not tell. */
const ASSUMED = 4096;
/** Of a bound, what a single source may have. */
const SOURCE_SHARE = 1 / 2;
const SAID_EVERY_MS = 10_000;
const LOOK_EVERY_MS = 1_000;
const NONE_LEFT: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE"]);

/** Connections that each listener takes; the data plane as many to upstreams besides. */
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
    // Another system than Linux.
  }
  return ASSUMED;
}

export interface Bounding {
  readonly listener: ListenerName;
  /** Sources that speak for many. So does this machine itself. */
  readonly trustedProxies: readonly Cidr[];
  readonly metrics: ConnectionMetrics;
  readonly log: Log;
}

/** Holds a server to its bound; call it before the server listens. */
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
  // Of a server that listens it says that a connection could not be taken; the next one perhaps can.
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
 * Looks each second whether a file can still be opened. When none can, the system closes connections as they come, without a word
 * to anybody. Returns what ends it.
 */
export function watchOpenFiles({ metrics, log }: Pick<Bounding, "metrics" | "log">): () => void {
  const say = createSparing(log, {});
  const look = async (): Promise<void> => {
    try {
      const file = await open(devNull);
      await file.close();
    } catch (error) {
      if (!NONE_LEFT.has((error as NodeJS.ErrnoException).code)) throw error;
      metrics.openFilesExhausted.inc();
      say("no file descriptor is left: connections are turned away; raise ulimit -n");
    }
  };
  const timer = setInterval(() => {
    look().catch((error: unknown) => log.error("open files not looked at", errorFields(error)));
  }, LOOK_EVERY_MS).unref();
  return () => clearInterval(timer);
}

/** A line of the log for the first time that something happens, and then at most every 10 s one for all times since. */
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
