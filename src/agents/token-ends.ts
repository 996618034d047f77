// Writes to the audit that tokens have reached their end, by one process at a time, once a token.
import type { Pool } from "../db/index.ts";
import { inParts } from "../platform/jobs.ts";

// As many as one call of x3sproxy.record_expired_tokens takes.
const CHUNK = 500;

export interface ExpiredTokens {
  /** Records all that have ended; resolves to how many. 0 while another process is at it. */
  record(signal?: AbortSignal): Promise<number>;
}

/** `pool`: the control role's. */
export function createExpiredTokens({ pool }: { pool: Pool }): ExpiredTokens {
  const doPart = async (): Promise<number> => {
    const rows = await pool.query(
      (sql) => sql<{ ended: number }[]>`select x3sproxy.record_expired_tokens() as ended`,
    );
    return rows[0]?.ended ?? 0;
  };
  return { record: (signal) => inParts(doPart, CHUNK, signal) };
}

// Ends the tokens that nobody uses, where a workspace says after how many days, by one process at a time.

// As many as one call of x3sproxy.expire_unused_tokens ends.
const CHUNK = 500;

export interface UnusedTokens {
  /** Ends all that are due; resolves to how many. 0 while another process is at it. */
  expire(signal?: AbortSignal): Promise<number>;
}

/** `pool`: the control role's. */
export function createUnusedTokens({ pool }: { pool: Pool }): UnusedTokens {
  const doPart = async (): Promise<number> => {
    const rows = await pool.query(
      (sql) => sql<{ ended: number }[]>`select x3sproxy.expire_unused_tokens() as ended`,
    );
    return rows[0]?.ended ?? 0;
  };
  return { expire: (signal) => inParts(doPart, CHUNK, signal) };
}
