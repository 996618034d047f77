// Records in the audit that open calls were cut: one event for each agent and reason of a sweep. A cut must not wait for the database, so
// its event is written afterwards. While the database is away, events are kept and retried, within bounds; lost ones are counted.
import type { Clock } from "../platform/clock.ts";
import type { Pool } from "../db/index.ts";
import type { RefusalReason } from "../platform/errors.ts";
import { newId } from "../platform/ids.ts";
import { errorFields, logEnd, type Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Grant } from "./grant.ts";

const BATCH = 100;
const MAX_WAITING = 5_000;
const TRY_AGAIN_MS = 1_000;
const KEPT_MS = 10 * 60_000;

interface Cut {
  readonly workspaceId: string;
  readonly agentId: string;
  readonly agentName: string;
  readonly reason: RefusalReason;
  count: number;
}

interface Waiting {
  readonly cut: Cut;
  /** Monotonic. */
  readonly sinceMs: number;
}

/** One sweep over the open calls. */
export interface Sweep {
  /** A call of this grant was cut. */
  add(grant: Grant, reason: RefusalReason): void;
  /** Ends the sweep: its events are written. */
  end(): void;
}

export interface CutRecords {
  begin(): Sweep;
  /** Retries what waits once more, and ends. */
  close(): Promise<void>;
}

/** `pool`: the proxy role's. `processId`: of this process, for events. */
export function createCutRecords(o: {
  pool: Pool;
  processId: string;
  clock: Clock;
  log: Log;
  metrics: Metrics;
}): CutRecords {
  const { pool, clock, log, metrics } = o;
  const writer = newId();
  let waiting: Waiting[] = [];
  // A batch that was sent and may have been written. It is sent unchanged until the database confirms it.
  let batch: Waiting[] = [];
  let batches = 0;
  let failing = false;
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> | undefined;
  let closed = false;

  function lose(count: number): void {
    if (count === 0) return;
    metrics.cutRecordsLost.inc(count);
    log.error("cuts are missing from the audit", { count });
  }

  /** Drops events that have waited for too long. */
  function kept(of: Waiting[]): Waiting[] {
    const nowMs = clock.monotonicMs();
    const left = of.filter(({ sinceMs }) => nowMs - sinceMs < KEPT_MS);
    lose(of.length - left.length);
    return left;
  }

  function write(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    return (writing ??= writeAll().finally(() => (writing = undefined)));
  }

  const writeSoon = (): void => logEnd(write(), log, "cuts can't be recorded");

  async function writeAll(): Promise<void> {
    for (;;) {
      if (batch.length === 0) {
        batch = waiting.splice(0, BATCH);
        batches++;
      }
      if (batch.length === 0) return;
      const cuts = JSON.stringify(batch.map(({ cut }) => cut));
      try {
        await pool.query(
          (sql) =>
            sql`select x3sproxy.record_cuts(${writer}, ${batches}, ${cuts}::text::jsonb, ${o.processId})`,
        );
        batch = [];
        failing = false;
      } catch (error) {
        if (!failing) log.warn("cuts can't be recorded", errorFields(error));
        failing = true;
        batch = kept(batch);
        waiting = kept(waiting);
        const left = batch.length + waiting.length;
        if (left > 0 && !closed) timer ??= setTimeout(writeSoon, TRY_AGAIN_MS).unref();
        return;
      }
    }
  }

  return {
    begin() {
      const cuts = new Map<string, Cut>();
      return {
        add({ workspaceId, agentId, agentName }, reason) {
          const key = `${agentId} ${reason}`;
          const cut = cuts.get(key);
          if (cut !== undefined) cut.count++;
          else {
            cuts.set(key, { workspaceId, agentId, agentName, reason, count: 1 });
          }
        },
        end() {
          if (cuts.size === 0) return;
          const sinceMs = clock.monotonicMs();
          const room = Math.max(0, MAX_WAITING - waiting.length);
          const added = [...cuts.values()].slice(0, room);
          lose(cuts.size - added.length);
          cuts.clear();
          for (const cut of added) waiting.push({ cut, sinceMs });
          if (timer === undefined) writeSoon();
        },
      };
    },
    async close() {
      closed = true;
      await writing;
      await write();
      lose(batch.length + waiting.length);
      batch = [];
      waiting = [];
    },
  };
}
