// That open calls were cut, for the audit: an event an agent, reason and sweep. Written afterwards, since a cut must not wait for the
// database, nor fail for it: kept and tried again while it is away, within bounds, and counted when lost.
import type { Clock } from "../clock.ts";
import type { Pool } from "../db/index.ts";
import type { RefusalReason } from "../errors.ts";
import { errorFields, type Log } from "../log.ts";
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
  readonly sweep: number;
  count: number;
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
  let waiting: { cut: Cut; sinceMs: number }[] = [];
  let sweeps = 0;
  let again = false;
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> | undefined;
  let closed = false;

  function lose(count: number): void {
    if (count === 0) return;
    metrics.cutRecordsLost.inc(count);
    log.error("cuts are missing from the audit", { count });
  }

  function write(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    return (writing ??= writeAll().finally(() => (writing = undefined)));
  }

  async function writeAll(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, BATCH);
      const cuts = JSON.stringify(batch.map(({ cut }) => cut));
      try {
        await pool.query(
          (sql) => sql`
            select x3sproxy.record_cuts(${cuts}::text::jsonb, ${o.processId}, ${again})`,
        );
        waiting.splice(0, batch.length);
        again = false;
      } catch (error) {
        if (!again) log.warn("cuts can't be recorded", errorFields(error));
        again = true;
        const nowMs = clock.monotonicMs();
        const kept = waiting.filter(({ sinceMs }) => nowMs - sinceMs < KEPT_MS);
        lose(waiting.length - kept.length);
        waiting = kept;
        if (kept.length > 0 && !closed)
          timer ??= setTimeout(() => void write(), TRY_AGAIN_MS).unref();
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
            cuts.set(key, { workspaceId, agentId, agentName, reason, sweep: sweeps, count: 1 });
          }
        },
        end() {
          if (cuts.size === 0) return;
          sweeps++;
          const sinceMs = clock.monotonicMs();
          const room = Math.max(0, MAX_WAITING - waiting.length);
          const added = [...cuts.values()].slice(0, room);
          lose(cuts.size - added.length);
          cuts.clear();
          for (const cut of added) waiting.push({ cut, sinceMs });
          if (timer === undefined) void write();
        },
      };
    },
    async close() {
      closed = true;
      await writing;
      await write();
      lose(waiting.length);
      waiting = [];
    },
  };
}
