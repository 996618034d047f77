// Ends the tokens that nobody uses, where a workspace says after how many days: every few minutes, by one process at a time.
import { createChore, type Pool } from "../db/index.ts";
import type { Log } from "../log.ts";

const EVERY_MS = 5 * 60_000;
// As many as one call of x3sproxy.expire_unused_tokens ends.
const CHUNK = 500;

export interface UnusedTokens {
  /** Ends all that are due; resolves to how many. 0 while another process is at it. */
  expire(): Promise<number>;
  /** Does it now and every five minutes. */
  start(): void;
  close(): void;
}

/** `pool`: the control role's. */
export function createUnusedTokens({ pool, log }: { pool: Pool; log: Log }): UnusedTokens {
  const chore = createChore({
    everyMs: EVERY_MS,
    partSize: CHUNK,
    failure: "unused tokens not ended",
    log,
    onDone: (count) => {
      if (count > 0) log.info("ended unused tokens", { count });
    },
    async doPart() {
      const rows = await pool.query(
        (sql) => sql<{ ended: number }[]>`select x3sproxy.expire_unused_tokens() as ended`,
      );
      return rows[0]?.ended ?? 0;
    },
  });
  return { expire: () => chore.run(), start: () => chore.start(), close: () => chore.close() };
}
