// Ends the tokens that nobody uses, where a workspace says after how many days: every few minutes, by one process at a time.
import type { Pool } from "../db/index.ts";
import { errorFields, type Log } from "../log.ts";

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
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  const expire = async (): Promise<number> => {
    let total = 0;
    for (;;) {
      const rows = await pool.query(
        (sql) => sql<{ ended: number }[]>`select x3sproxy.expire_unused_tokens() as ended`,
      );
      const ended = rows[0]?.ended ?? 0;
      total += ended;
      if (ended < CHUNK || closed) return total;
    }
  };
  const run = (): void => {
    expire().then(
      (ended) => {
        if (ended > 0) log.info("ended unused tokens", { count: ended });
      },
      (error: unknown) => {
        if (!closed) log.warn("unused tokens not ended", errorFields(error));
      },
    );
  };
  return {
    expire,
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
