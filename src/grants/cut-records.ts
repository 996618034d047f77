// That open calls were cut, for the audit: an event an agent, reason and sweep. Written afterwards, since a cut must not wait for the
// database, nor fail for it: kept and tried again while it is away, within bounds, and counted when lost.
import type { Clock } from "../clock.ts";
import type { Pool } from "../db/index.ts";
import type { RefusalReason } from "../errors.ts";
import { newId } from "../ids.ts";
import { errorFields, logEnd, type Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
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

/** One go at open calls. */
export interface Sweep {
  /** A call of this grant was cut. */
  add(grant: Grant, reason: RefusalReason): void;
  /** Nothing more is cut in it: it is written down. */
  end(): void;
}

export interface CutRecords {
  begin(): Sweep;
  /** Tries what waits once more, and ends. */
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
  // What was sent and may have been written: the same again until it is known to be.
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

  /** Lets go of what has waited for too long. */
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
