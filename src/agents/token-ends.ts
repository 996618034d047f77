// The ends of tokens, as jobs, by one process at a time: writes to the audit, once a token, that it has reached its end; and ends tokens that
// nobody uses, where a workspace says after how many days.
import type { Pool } from "../db/index.ts";
import { inParts } from "../platform/jobs.ts";

/** The most that one call of x3sproxy.record_expired_tokens or x3sproxy.expire_unused_tokens takes. */
const PART = 500;

export interface ExpiredTokens {
  /** Records all that have ended, until `signal` says so; resolves to how many. 0 while another process is at it. */
  record(signal?: AbortSignal): Promise<number>;
}

export interface UnusedTokens {
  /** Ends all that are due, until `signal` says so; resolves to how many. 0 while another process is at it. */
  expire(signal?: AbortSignal): Promise<number>;
}

/** `pool`: the control role's. */
export function createExpiredTokens({ pool }: { pool: Pool }): ExpiredTokens {
  const recordPart = async (): Promise<number> => {
    const rows = await pool.query(
      (sql) => sql<{ ended: number }[]>`select x3sproxy.record_expired_tokens() as ended`,
    );
    return rows[0]?.ended ?? 0;
  };
  return { record: (signal) => inParts(recordPart, PART, signal) };
}

/** `pool`: the control role's. */
export function createUnusedTokens({ pool }: { pool: Pool }): UnusedTokens {
  const expirePart = async (): Promise<number> => {
    const rows = await pool.query(
      (sql) => sql<{ ended: number }[]>`select x3sproxy.expire_unused_tokens() as ended`,
    );
    return rows[0]?.ended ?? 0;
  };
  return { expire: (signal) => inParts(expirePart, PART, signal) };
}
