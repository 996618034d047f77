// A client of the `postgres` package, configured so that it can't hang. It uses our own sockets, so that a server that closes early is an
// error at once, and a destroyed client leaves nothing behind. Must never put the value of a parameter into an error.
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import postgres from "postgres";
import { ConfigError, StoreUnavailableError } from "../platform/errors.ts";
import { codeOf } from "../platform/unknown-values.ts";
import { DEFAULT_PORT, namedServers, readDatabaseUrl } from "./database-url.ts";
import { dial } from "./dial.ts";
import { createServers, type Servers } from "./dial.ts";
import { endWithConnection, releaseStacks } from "./transactions.ts";

/** A connection of the owner role. */
export type OwnerSql = postgres.Sql;
/** Runs statements inside or outside of a transaction. It can't begin one: see transactions.ts. */
export type Sql = postgres.ISql;
export type TransactionSql = postgres.TransactionSql;

export interface Client {
  readonly sql: OwnerSql;
  /** Rejects all running statements, closes every socket, and leaves no handle. */
  destroy(): void;
}

export interface ClientOptions {
  readonly max: number;
  /** The server ends a statement after this long, and a transaction left idle for twice as long; 0: never. */
  readonly statementTimeoutMs: number;
  /** Whether idle and old connections are closed. A listener's must stay open. */
  readonly recycle?: boolean;
  /** What is known about the servers, shared by several clients. */
  readonly servers?: Servers;
  readonly onNotify?: (channel: string, payload: string) => void;
  readonly onClose?: () => void;
}

const IDLE_S = 60;
const LIFETIME_S = 1800;
const MAX_BACKOFF_S = 0.5;
const OWNER_CONNECT_MS = 10_000;
// These override settings of the database or the role. The package reads times and bytes only in these formats; a statement has to see
// what was committed before it; and row-level security has to filter rows, not to fail the statement.
const OUR_SETTINGS = {
  DateStyle: "ISO",
  bytea_output: "hex",
  default_transaction_isolation: "read committed",
  row_security: "on",
} as const;

/** Creates a client. It connects when it is first used. */
export function openClient(url: string, o: ClientOptions): Client {
  const target = readDatabaseUrl(url);
  const known = target.servers.map((server) => ({ server, tls: target.tlsTo(server) }));
  const servers = o.servers ?? createServers();
  const ending = new AbortController();
  const sockets = new Set<Socket>();

  async function socket({ host, port }: { host: string[]; port: number[] }): Promise<Duplex> {
    const at = await servers.next(host.length, ending.signal);
    try {
      const chosen = { host: host[at] ?? "", port: port[at] ?? DEFAULT_PORT };
      const { server, tls } = known[at] ?? { server: chosen, tls: target.tlsTo(chosen) };
      const { signal } = ending;
      const made = await dial(server, { tls, signal, withinMs: target.connectTimeoutMs });
      sockets.add(made);
      const ended = servers.connected(at);
      made.once("close", () => {
        sockets.delete(made);
        ended();
      });
      return made;
    } catch (error) {
      servers.failed(at);
      return failingSocket(error as Error);
    }
  }

  const { user, password, database } = target;
  const options = {
    ...(known.length > 0 && {
      // The package can't parse IPv6 addresses and folders here, so it gets numbered names.
      host: known.map((_, at) => `server-${at}`).join(","),
    }),
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...(database !== undefined && { database }),
    max: o.max,
    prepare: true,
    fetch_types: false,
    types: { textArray } as Record<string, postgres.PostgresType>,
    connect_timeout: target.connectTimeoutMs / 1000,
    keep_alive: target.keepAliveS,
    ssl: false,
    // A standby lags behind, so it might still allow what was revoked. (The package's "read-write" would accept one.)
    target_session_attrs: "primary" as const,
    idle_timeout: o.recycle === false ? 0 : IDLE_S,
    max_lifetime: o.recycle === false ? 0 : LIFETIME_S,
    backoff: (retries: number) => Math.min(0.02 * 2 ** retries, MAX_BACKOFF_S),
    connection: {
      ...target.startup,
      ...OUR_SETTINGS,
      ...(o.statementTimeoutMs > 0 && {
        statement_timeout: o.statementTimeoutMs,
        idle_in_transaction_session_timeout: 2 * o.statementTimeoutMs,
      }),
    },
    onnotice: () => undefined,
    onnotify: o.onNotify ?? (() => undefined),
    onclose: o.onClose ?? (() => undefined),
    socket,
  };
  const sql = postgres(options);
  endWithConnection(sql);
  return {
    sql: releaseStacks(sql),
    destroy() {
      ending.abort();
      // Callers with running statements get their own rejections.
      sql.end({ timeout: 0 }).catch(() => undefined);
      for (const open of sockets) open.destroy();
    },
  };
}

/**
 * A stand-in for a socket that could not be opened. If it got a rejection, the package would lose a connection of its pool for good; on a
 * socket that fails before the first write it would hang.
 */
function failingSocket(error: Error): Duplex {
  const dead = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  setImmediate(() => setImmediate(() => dead.destroy(error)));
  return dead;
}

/**
 * Runs `work` on a separate connection of the owner role, and closes it. Throws ConfigError when the server can't be reached or refuses
 * the owner.
 */
export async function withOwner<T>(
  ownerUrl: string,
  work: (sql: OwnerSql) => Promise<T>,
): Promise<T> {
  const client = openClient(ownerUrl, { max: 1, statementTimeoutMs: 0 });
  try {
    await withDeadline(OWNER_CONNECT_MS, async () => client.sql`select 1`).catch((error: unknown) =>
      refuseStart(error, ownerUrl),
    );
    return await work(client.sql);
  } catch (error) {
    throw asUnavailable(error) ?? error;
  } finally {
    client.destroy();
  }
}

function refuseStart(error: unknown, ownerUrl: string): never {
  const code = codeOf(error) ?? "no answer";
  throw new ConfigError(
    code.startsWith("28")
      ? `DATABASE_URL: the server doesn't accept this user and password (${code})`
      : code === "3D000"
        ? "DATABASE_URL: the server has no such database"
        : code === "ERR_TLS_REFUSED"
          ? "DATABASE_URL: the server offers no TLS. If nobody else is on the way to it, say sslmode=disable"
          : `DATABASE_URL: the server${namedServers(ownerUrl)} can't be reached or used (${code})`,
  );
}

/** Runs `work`, and rejects with StoreUnavailableError after `deadlineMs`. `work` gets that rejection as well, so that it can stop. */
export async function withDeadline<T>(
  deadlineMs: number,
  work: (late: Promise<never>) => Promise<T>,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new StoreUnavailableError(`the database did not answer within ${deadlineMs} ms`));
  }, deadlineMs);
  timer.unref();
  try {
    return await Promise.race([work(late), late]);
  } finally {
    clearTimeout(timer);
  }
}

// Error codes of the operating system, the package and TLS.
const UNREACHABLE =
  /^(ABORT_ERR|E[A-Z]+|EAI_[A-Z]+|CONNECT(ION)?_[A-Z]+|SASL_SIGNATURE_MISMATCH|(ERR_SSL|ERR_TLS|CERT|DEPTH|SELF|UNABLE|HOSTNAME)_\w+)$/;
// Connection exceptions, invalid authorization, no such database, read-only (a standby), out of resources, cancelled or shut down, system
// error (PostgreSQL manual, appendix A).
const UNAVAILABLE_SQLSTATE = /^(08...|28...|3D000|25006|25P03|53...|57014|57P0.|58...|F0...)$/;

/** The error as a StoreUnavailableError; undefined when it is about the SQL and the server answered. */
export function asUnavailable(error: unknown): StoreUnavailableError | undefined {
  if (error instanceof StoreUnavailableError) return error;
  const code = codeOf(error);
  if (code === undefined || !(UNREACHABLE.test(code) || UNAVAILABLE_SQLSTATE.test(code))) {
    return undefined;
  }
  return new StoreUnavailableError(`the database is not available (${code})`);
}

/** Whether the error is Postgres's unique_violation (SQLSTATE 23505). */
export function isUniqueViolation(error: unknown): boolean {
  return codeOf(error) === "23505";
}

const TEXT_ARRAY_OID = 1009;

/**
 * text[] for the `postgres` package, without null elements. The package would otherwise ask for array types by a query on each new
 * connection, and a failure of that query can't be caught.
 */
const textArray = {
  to: TEXT_ARRAY_OID,
  from: [TEXT_ARRAY_OID],
  serialize(values: readonly string[]): string {
    return `{${values.map((value) => `"${value.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;
  },
  /** Reads the text form of a one-dimensional array (PostgreSQL manual, 8.15.6). */
  parse(text: string): string[] {
    const values: string[] = [];
    for (const [, quoted, bare] of text.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^,{}"]+)/gs)) {
      if (bare === "NULL") throw new Error("a null inside a text[]");
      values.push(bare ?? (quoted ?? "").replace(/\\(.)/gs, "$1"));
    }
    return values;
  },
};
