// Tokens at their end: records those that have expired in the audit, once each, and ends those that nobody uses where a workspace says
// after how many days. Of several processes, one at a time does it.
import type { Pool } from "../db/index.ts";
import { inParts } from "../platform/jobs.ts";

/** How many tokens one call of either SQL function takes; sql/functions/tokens.sql has the same number. */
const PART = 500;

export interface EndedTokens {
  /** Records all tokens that have expired. Resolves to how many; 0 while another process does it. */
  recordExpired(signal?: AbortSignal): Promise<number>;
  /** Ends all tokens that are unused for too long. Resolves to how many; 0 while another process does it. */
  endUnused(signal?: AbortSignal): Promise<number>;
}

/** `pool`: the control role's. */
export function createEndedTokens({ pool }: { pool: Pool }): EndedTokens {
  const recordPart = async (): Promise<number> => {
    const [row] = await pool.query(
      (sql) => sql<{ ended: number }[]>`select x3sproxy.record_expired_tokens() as ended`,
    );
    return row?.ended ?? 0;
  };
  const endPart = async (): Promise<number> => {
    const [row] = await pool.query(
      (sql) => sql<{ ended: number }[]>`select x3sproxy.expire_unused_tokens() as ended`,
    );
    return row?.ended ?? 0;
  };
  return {
    recordExpired: (signal) => inParts(recordPart, PART, signal),
    endUnused: (signal) => inParts(endPart, PART, signal),
  };
}
