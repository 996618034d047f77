// Writes to the audit that tokens have reached their end: every minute, by one process at a time, once a token.
import { createChore, type Pool } from "../db/index.ts";
import type { Log } from "../log.ts";

const EVERY_MS = 60_000;
// As many as one call of x3sproxy.record_expired_tokens takes.
const CHUNK = 500;

export interface ExpiredTokens {
  /** Records all that have ended; resolves to how many. 0 while another process is at it. */
  record(): Promise<number>;
  /** Does it now and every minute. */
  start(): void;
  close(): void;
}

/** `pool`: the control role's. */
export function createExpiredTokens({ pool, log }: { pool: Pool; log: Log }): ExpiredTokens {
  const chore = createChore({
    everyMs: EVERY_MS,
    partSize: CHUNK,
    failure: "ends of tokens not recorded",
    log,
    async doPart() {
      const rows = await pool.query(
        (sql) => sql<{ ended: number }[]>`select x3sproxy.record_expired_tokens() as ended`,
      );
      return rows[0]?.ended ?? 0;
    },
  });
  return { record: () => chore.run(), start: () => chore.start(), close: () => chore.close() };
}
