// Deletes what has had its time: once an hour, by one process at a time, a few rows a statement.
import type { Pool } from "../db/index.ts";
import { errorFields, type Log } from "../log.ts";

const EVERY_MS = 3_600_000;
// With fewer rows than this x3sproxy.prune_activity has deleted all that there were to delete.
const CHUNK_ROWS = 5000;
const PAUSE_MS = 100;

export interface Retention {
  /** Deletes all that is older than 35 days or of a workspace that is no more; resolves to how many minutes. 0 while another process is at it. */
  prune(): Promise<number>;
  /** Prunes now and once an hour. */
  start(): void;
  close(): void;
}

/** `pool`: of the control role. */
export function createRetention({ pool, log }: { pool: Pool; log: Log }): Retention {
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  const prune = async (): Promise<number> => {
    let total = 0;
    for (;;) {
      const rows = await pool.query(
        (sql) => sql<{ pruned: number }[]>`select x3sproxy.prune_activity()::float8 as pruned`,
      );
      const pruned = rows[0]?.pruned ?? 0;
      total += pruned;
      if (pruned < CHUNK_ROWS || closed) return total;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS).unref());
    }
  };
  const run = (): void => {
    prune().catch((error: unknown) => {
      if (!closed) log.warn("activity not pruned", errorFields(error));
    });
  };
  return {
    prune,
    start() {
      timer = setInterval(run, EVERY_MS).unref();
      run();
    },
    close() {
      closed = true;
      clearInterval(timer);
    },
  };
}
