// Writes the ledger's sums every few seconds, outside of any request. While the database is away, the ledger goes on within its bound, and
// is written later. A batch is counted once, even if the answer to its write is lost.
import type { Clock } from "../platform/clock.ts";
import type { Pool } from "../db/index.ts";
import { StoreUnavailableError } from "../platform/errors.ts";
import { newId } from "../platform/ids.ts";
import { errorFields, logEnd, type Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { CallLedger, type CallRows, type EndedCall, type UseKind } from "./calls.ts";
import { Ledger, type EndedExchange, type OpenCalls, type SumsRow } from "./ledger.ts";

export interface Recorder {
  /** Adds ended exchanges. Quick; never throws. */
  add(ended: readonly (EndedExchange & EndedCall)[]): void;
  /** Begins to write. `collect` is called before each write: it adds the exchanges that still wait, and returns the open calls. */
  start(collect: () => readonly OpenCalls[]): void;
  /** Writes the rest, for at most 3 s, and stops. */
  close(): Promise<void>;
}

interface Batch {
  readonly number: number;
  readonly rows: SumsRow[];
  calls: CallRows;
  readonly sinceMs: number;
  failures: number;
}

const TICK_MS = 2000;
// Some 20 MB, and half an hour without a database when 300 agents are at work.
const MAX_ROWS = 20_000;
// The most that x3sproxy.add_activity takes.
const BATCH_ROWS = 1000;
const CLOSE_WITHIN_MS = 3000;
// A batch that the database refuses is dropped after this many tries, so that it doesn't hold up the next.
const MAX_FAILURES = 3;
const NO_CALLS: CallRows = { calls: [], contexts: [], uses: [] };

/** `pool`: of the proxy role, for this use alone. */
export function createRecorder(o: {
  pool: Pool;
  clock: Clock;
  log: Log;
  metrics: Metrics;
  maxRows?: number;
}): Recorder {
  const { pool, clock, log, metrics } = o;
  const writer = newId();
  // Both SQL functions remember a writer's last batch, so each gets a writer of its own.
  const callsWriter = newId();
  const ledger = new Ledger(o.maxRows ?? MAX_ROWS);
  const calls = new CallLedger();
  let collect: () => readonly OpenCalls[] = () => [];
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> | undefined;
  let pending: Batch | undefined;
  let batches = 0;
  let countedDrops = 0;
  /** When the ledger's oldest content came. */
  let sinceMs: number | undefined;
  let failing = false;
  let closed = false;

  metrics.beforeScrape(() => {
    metrics.activityDropped.inc(ledger.dropped - countedDrops);
    countedDrops = ledger.dropped;
    const oldestMs = pending?.sinceMs ?? sinceMs;
    const lagMs = oldestMs === undefined ? 0 : clock.monotonicMs() - oldestMs;
    metrics.activityLagSeconds.set(lagMs / 1000);
  });

  function noteAge(): void {
    if (ledger.size > 0 || calls.size > 0) sinceMs ??= clock.monotonicMs();
  }

  function gather(): void {
    // A little back in time: the maximum up to a minute's end belongs to that minute.
    ledger.note(collect(), clock.nowMs() - TICK_MS / 2);
    noteAge();
  }

  function nextBatch(): Batch | undefined {
    if (ledger.size === 0 && calls.size === 0) return undefined;
    const batch = {
      number: ++batches,
      rows: ledger.take(BATCH_ROWS),
      calls: calls.take(BATCH_ROWS),
      sinceMs: sinceMs ?? 0,
      failures: 0,
    };
    if (ledger.size === 0 && calls.size === 0) sinceMs = undefined;
    return batch;
  }

  /** Writes until nothing is left. Rejects at the first failure; that batch stays pending. */
  async function writeAll(): Promise<void> {
    while ((pending ??= nextBatch()) !== undefined) {
      const { number, rows, calls: called } = pending;
      try {
        const [answer] = await pool.query(
          (sql) => sql<{ unusual: Partial<Record<UseKind, number>> }[]>`
            select x3sproxy.add_activity(${writer}, ${number}, ${sql.json(rows)}),
              x3sproxy.add_calls(${callsWriter}, ${number}, ${sql.json(called.calls)}, ${sql.json(called.contexts)},
                ${sql.json(called.uses)}) as unusual`,
        );
        calls.written(called);
        for (const [kind, count] of Object.entries(answer?.unusual ?? {})) {
          metrics.unusualUses.inc({ kind }, count);
        }
      } catch (error) {
        if (error instanceof StoreUnavailableError || ++pending.failures < MAX_FAILURES) {
          throw error;
        }
        const count = rows.length;
        if (called !== NO_CALLS) {
          // A failure of the calls must not lose the sums.
          log.error("calls given up", { count, ...errorFields(error) });
          pending.calls = NO_CALLS;
          continue;
        }
        log.error("activity given up", { count, ...errorFields(error) });
        metrics.activityDropped.inc(requestsOf(rows));
      }
      pending = undefined;
    }
    failing = false;
  }

  const write = (): Promise<void> =>
    (writing ??= writeAll()
      .catch((error: unknown) => {
        // Log it once: the write is tried every two seconds.
        if (!failing) log.warn("activity not written", errorFields(error));
        failing = true;
      })
      .finally(() => (writing = undefined)));

  /** Runs on the even seconds of the wall clock, so that a minute is complete soon after its end. */
  function schedule(): void {
    timer = setTimeout(
      () => {
        gather();
        logEnd(write(), log, "activity not written");
        schedule();
      },
      TICK_MS - (clock.nowMs() % TICK_MS),
    ).unref();
  }

  return {
    add(ended) {
      ledger.add(ended);
      calls.add(ended);
      noteAge();
    },
    start(source) {
      collect = source;
      schedule();
    },
    async close() {
      if (closed) return;
      closed = true;
      clearTimeout(timer);
      gather();
      const { promise: late, resolve } = Promise.withResolvers<undefined>();
      const deadline = setTimeout(() => resolve(undefined), CLOSE_WITHIN_MS);
      // A write under way may have begun before the last exchanges came.
      await Promise.race([write().then(write), late]);
      clearTimeout(deadline);
      const left = requestsOf([...(pending?.rows ?? []), ...ledger.take(Infinity)]);
      if (left > 0) log.error("activity lost", { count: left });
    },
  };
}

function requestsOf(rows: readonly SumsRow[]): number {
  return rows.reduce((sum, { requests }) => sum + requests, 0);
}
