// The connection pool of a running service. No caller waits longer than the deadline, and a client that stopped answering is replaced.
// Also measures calls. Must never retry by itself, since a write might happen twice.
import { systemClock } from "../platform/clock.ts";
import { StoreUnavailableError } from "../platform/errors.ts";
import type { PoolName } from "../platform/metric-labels.ts";
import type { Metrics } from "../platform/metrics.ts";
import { codeOf } from "../platform/unknown-values.ts";
import {
  asUnavailable,
  type Client,
  openClient,
  type OwnerSql,
  type Sql,
  type TransactionSql,
  withDeadline,
} from "./connection.ts";
import { createServers } from "./dial.ts";
import { transact } from "./transactions.ts";

/** Rejects with StoreUnavailableError after the deadline, or when the server can't be reached. */
export interface Pool {
  /**
   * Runs one statement. Passes an SQL error through. When it rejects because the server was slow, the statement may still take effect:
   * use a transaction where that must not happen.
   */
  query<T>(fn: (sql: Sql) => Promise<T>): Promise<T>;
  /** Runs a transaction. When it rejects nothing was changed, unless only the answer to the commit was lost. */
  transaction<T>(fn: (sql: TransactionSql) => Promise<T>): Promise<T>;
  /** Runs a transaction confined to a workspace by row-level security (x3sproxy.workspace is set for the transaction). */
  inWorkspace<T>(workspaceId: string, fn: (sql: TransactionSql) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

const DEFAULT_MAX = 4;
const DEFAULT_DEADLINE_MS = 4000;
// The server became read-only (after a failover its name may lead to another server); or a connection's startup was not answered, after
// which the package may never use that connection again.
const NEEDS_NEW_CLIENT = new Set(["25006", "CONNECT_TIMEOUT"]);

/**
 * Connects on first use, with at most `max` connections. `deadlineMs`: the deadline of each call, including the wait for a connection.
 * `measured`: the metrics to report to, and the pool's name in them.
 */
export function createPool(
  url: string,
  o: { max?: number; deadlineMs?: number; measured?: { metrics: Metrics; as: PoolName } } = {},
): Pool {
  const max = o.max ?? DEFAULT_MAX;
  const meter = o.measured && createPoolMeter(o.measured.metrics, o.measured.as, max);
  const deadlineMs = o.deadlineMs ?? DEFAULT_DEADLINE_MS;
  // Shorter than our deadline, so that the server ends a slow statement and the connection stays usable.
  const statementTimeoutMs = Math.ceil(deadlineMs * 0.9);
  let current: (Client & { answers: number }) | undefined;
  const retired = new Set<Client>();
  const servers = createServers();
  let closed = false;

  /** Replaces the client for new calls. Destroys the old one once all calls on it have reached their deadline. */
  function retire(client: Client): void {
    if (current !== client) return;
    current = undefined;
    retired.add(client);
    setTimeout(() => {
      retired.delete(client);
      client.destroy();
    }, deadlineMs).unref();
  }

  async function run<T>(work: (sql: OwnerSql, late: Promise<never>) => Promise<T>): Promise<T> {
    if (closed) throw new StoreUnavailableError("the database pool is closed");
    const client = (current ??= {
      ...openClient(url, { max, statementTimeoutMs, servers }),
      answers: 0,
    });
    const answersBefore = client.answers;
    const begunMs = meter?.begun() ?? 0;
    try {
      const result = await withDeadline(deadlineMs, (late) => work(client.sql, late));
      client.answers++;
      meter?.ended(begunMs, "answered");
      return result;
    } catch (error) {
      const unavailable = asUnavailable(error);
      if (unavailable === undefined) {
        client.answers++;
        meter?.ended(begunMs, "answered", error);
        throw error;
      }
      meter?.ended(begunMs, unavailable === error ? "late" : "unavailable");
      const silent = unavailable === error && client.answers === answersBefore;
      if (silent || NEEDS_NEW_CLIENT.has(codeOf(error) ?? "")) retire(client);
      throw unavailable;
    }
  }

  const transaction: Pool["transaction"] = (fn) => run((sql, late) => transact(sql, fn, { late }));

  return {
    query: (fn) => run(fn),
    transaction,
    inWorkspace: (workspaceId, fn) =>
      transaction(async (sql) => {
        await sql`select set_config('x3sproxy.workspace', ${workspaceId}, true)`;
        return fn(sql);
      }),
    async close() {
      closed = true;
      for (const client of retired) client.destroy();
      await current?.sql.end({ timeout: 1 });
      current?.destroy();
    },
  };
}

interface PoolMeter {
  /** Counts a call that begins. Returns the time to pass to `ended`. */
  begun(): number;
  /** Counts a call that ended. `late`: by our deadline. `error`: the error of a failed call. */
  ended(begunMs: number, outcome: "answered" | "late" | "unavailable", error?: unknown): void;
}

// An SQLSTATE has five characters (PostgreSQL manual, appendix A). Other errors come from the work in the transaction.
const SQLSTATE = /^[0-9A-Z]{5}$/;

/** `size`: the maximum number of connections. */
function createPoolMeter(metrics: Metrics, pool: PoolName, size: number): PoolMeter {
  const seconds = metrics.querySeconds.of(pool);
  let underWay = 0;
  for (const reason of ["late", "unavailable", "rejected"]) {
    metrics.queryFailures.inc({ pool, reason }, 0);
  }
  metrics.poolSize.set({ pool }, size);
  metrics.beforeScrape(() => {
    metrics.poolInUse.set({ pool }, Math.min(underWay, size));
    metrics.poolWaiting.set({ pool }, Math.max(0, underWay - size));
  });
  return {
    begun() {
      underWay++;
      return systemClock.monotonicMs();
    },
    ended(begunMs, outcome, error) {
      underWay--;
      seconds.observe((systemClock.monotonicMs() - begunMs) / 1000);
      const isRejected = outcome === "answered" && SQLSTATE.test(codeOf(error) ?? "");
      const reason = isRejected ? "rejected" : outcome;
      if (reason !== "answered") metrics.queryFailures.inc({ pool, reason });
    },
  };
}
