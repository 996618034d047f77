// The way to the database for everything that runs: no caller ever waits longer than the deadline, and a client that
// has stopped answering is thrown away for a new one. Must never retry by itself: a write might happen twice.
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

/** Every wait has a deadline of ours: past it, or when the server is away, rejects with StoreUnavailableError. */
export interface Pool {
  /**
   * For one statement. An error of the SQL itself is passed through. What it changes may be changed although it rejects, when the server
   * was slow: what must not be is a transaction's.
   */
  query<T>(fn: (sql: Sql) => Promise<T>): Promise<T>;
  /** What rejects has changed nothing, unless it was the answer to the commit that was lost. */
  transaction<T>(fn: (sql: TransactionSql) => Promise<T>): Promise<T>;
  /** A transaction with x3sproxy.workspace set (set_config local) for row-level security. */
  inWorkspace<T>(workspaceId: string, fn: (sql: TransactionSql) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

const DEFAULT_MAX = 4;
const DEFAULT_DEADLINE_MS = 4000;
// A server that became read-only (after a failover the name leads elsewhere), and a startup that was not answered, after
// which the package may have a connection that it never uses again.
const NEEDS_NEW_CLIENT = new Set(["25006", "CONNECT_TIMEOUT"]);

/**
 * Connects on first use. `max` connections; `deadlineMs` bounds each call, waiting for a connection included. `measured`: where, and
 * as what, it is in the metrics.
 */
export function createPool(
  url: string,
  o: { max?: number; deadlineMs?: number; measured?: { metrics: Metrics; as: PoolName } } = {},
): Pool {
  const max = o.max ?? DEFAULT_MAX;
  const meter = o.measured && createPoolMeter(o.measured.metrics, o.measured.as, max);
  const deadlineMs = o.deadlineMs ?? DEFAULT_DEADLINE_MS;
  // A little earlier than ours, so that a statement that is merely slow ends by itself and keeps its connection.
  const statementTimeoutMs = Math.ceil(deadlineMs * 0.9);
  let current: (Client & { answers: number }) | undefined;
  const retired = new Set<Client>();
  const servers = createServers();
  let closed = false;

  /** Takes a new client for new calls. By the time the old one is destroyed, each call on it has met its own deadline. */
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

export interface PoolMeter {
  /** A call begins; gives the time to hand to `ended`. */
  begun(): number;
  /** `error`: what the call failed with; `outcome`: what that amounts to. */
  ended(begunMs: number, outcome: "answered" | "late" | "unavailable", error?: unknown): void;
}

// Of Postgres: five characters (its manual, appendix A). Other errors are those of the work in the transaction, not of the database.
const SQLSTATE = /^[0-9A-Z]{5}$/;

/** `size`: how many connections the pool may have. */
export function createPoolMeter(metrics: Metrics, pool: PoolName, size: number): PoolMeter {
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
