// Limits on guessing passwords and codes, in the database, so that they hold over all processes together. A try is counted before
// its outcome is known. Nobody is locked out for good: the delay for strangers does not hold up an account's user at home.
import { hash } from "node:crypto";
import type { Pool, Sql, TransactionSql } from "../db/index.ts";
import { RequestError } from "../errors.ts";

/** `undecided`: neither right nor wrong, as when a code is still missing or the service was too busy. */
export type Outcome = "succeeded" | "failed" | "undecided";

export interface Attempt {
  /** Says how it ended, within a transaction or by itself. */
  settle(outcome: Outcome, sql?: TransactionSql): Promise<void>;
}

export interface Attempts {
  /**
   * Counts a try from a network at an account. With `learns`, one that succeeds makes the network known for that account. Throws
   * RequestError 429 `too_many_attempts` with the time to wait; then nothing was counted, and `note`, which writes that down, was
   * called if it was the account's first refusal after a try that went on, or the first for an hour: in the transaction, confined to
   * the workspace, that remembers it.
   */
  begin(of: Try, note: (sql: TransactionSql) => Promise<void>): Promise<Attempt>;
}

interface Try {
  /** Where the account is. */
  readonly workspaceId: string;
  readonly network: string;
  readonly account: string;
  readonly learns: boolean;
}

/** `pool`: the control role's. */
export function createAttempts({ pool }: { pool: Pool }): Attempts {
  return {
    async begin({ workspaceId, network, account, learns }, note) {
      const ofNetwork = digest("network", network);
      const ofAccount = digest("account", account);
      const ofPlace = digest("place", account, network);
      const { subject, waitS } = await pool.inWorkspace(workspaceId, async (sql) => {
        const [row] = await sql<{ subject: Buffer; waitS: number; note: boolean }[]>`
          select subject, wait_s as "waitS", note
          from x3sproxy.begin_attempt(${ofNetwork}, ${ofAccount}, ${ofPlace})`;
        if (row === undefined) throw new Error("begin_attempt gave no row");
        if (row.note) await note(sql);
        return row;
      });
      if (waitS > 0) {
        throw new RequestError(
          429,
          "too_many_attempts",
          `Too many attempts. Try again in ${waitS} ${waitS === 1 ? "second" : "seconds"}.`,
          { retryAfterS: waitS },
        );
      }
      const settle = async (sql: Sql, outcome: Outcome): Promise<void> => {
        await sql`
          select x3sproxy.settle_attempt(${ofNetwork}, ${subject}, ${ofPlace}, ${outcome}, ${learns})`;
      };
      return {
        settle: (outcome, sql) =>
          sql === undefined ? pool.query((own) => settle(own, outcome)) : settle(sql, outcome),
      };
    },
  };
}

function digest(...parts: readonly string[]): Buffer {
  return hash("sha256", JSON.stringify(parts), "buffer");
}
