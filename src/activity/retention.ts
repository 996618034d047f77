// Deletes what has had its time: once an hour, by one process at a time, a few rows a statement.
import { createChore, type Pool } from "../db/index.ts";
import type { Log } from "../log.ts";

const EVERY_MS = 3_600_000;
// With fewer rows than this x3sproxy.prune_activity has deleted all that there were to delete.
const CHUNK_ROWS = 5000;

export interface Retention {
  /** Deletes all that has had its time; resolves to how many rows. 0 while another process is at it. */
  prune(): Promise<number>;
  /** Prunes now and once an hour. */
  start(): void;
  close(): void;
}

/** `pool`: of the control role. */
export function createRetention({ pool, log }: { pool: Pool; log: Log }): Retention {
  const chore = createChore({
    everyMs: EVERY_MS,
    partSize: CHUNK_ROWS,
    failure: "activity not pruned",
    log,
    async doPart() {
      const rows = await pool.query(
        (sql) => sql<{ pruned: number }[]>`select x3sproxy.prune_activity()::float8 as pruned`,
      );
      return rows[0]?.pruned ?? 0;
    },
  });
  return { prune: () => chore.run(), start: () => chore.start(), close: () => chore.close() };
}
