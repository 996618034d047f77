// Limits on guessing passwords and codes, in the database, so that they hold over all processes together. A try is counted before
// its outcome is known. Tries count for an account and a network together, or for a device on which the user has signed in before:
// what strangers do must not lock out anybody else.
import { hash } from "node:crypto";
import type { Pool, Sql, TransactionSql } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";

/** `undecided`: neither right nor wrong, as when a code is still missing or the service was too busy. */
export type Outcome = "succeeded" | "failed" | "undecided";

export interface Attempt {
  /** Whether the device is one on which this account has been signed in to. */
  readonly known: boolean;
  /** Says how it ended, within a transaction or by itself. */
  settle(outcome: Outcome, sql?: TransactionSql): Promise<void>;
}

export interface Attempts {
  /**
   * Counts a try. With a device, one that succeeds makes it known for that account. Throws RequestError 429 `too_many_attempts` with
   * the time to wait; then nothing was counted, and `note`, which writes that down, was called if it was the first refusal after a
   * try that went on, or the first for an hour: in the transaction, confined to the workspace, that remembers it.
   */
  begin(of: Try, note: (sql: TransactionSql) => Promise<void>): Promise<Attempt>;
  /**
   * Calls `note` unless as much was noted of the account lately: five times at once, then at most each quarter of an hour. However many
   * strangers fail from however many networks, they don't fill the audit.
   */
  paced(account: string, sql: TransactionSql, note: () => Promise<void>): Promise<void>;
}

interface Try {
  /** Where the account is. */
  readonly workspaceId: string;
  readonly account: string;
  /** Whose tries at the account count together. */
  readonly by: string;
  /** What only a browser of the user's has; undefined: there is none. */
  readonly device?: string | undefined;
}

/** `pool`: the control role's. */
export function createAttempts({ pool }: { pool: Pool }): Attempts {
  return {
    async begin({ workspaceId, account, by, device }, note) {
      const ofPlace = digest("place", account, by);
      const ofDevice = device === undefined ? null : digest("device", account, device);
      const { subject, waitS } = await pool.inWorkspace(workspaceId, async (sql) => {
        const row = await count(sql, ofPlace, ofDevice);
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
        await sql`select x3sproxy.settle_attempt(${subject}, ${ofDevice}, ${outcome})`;
      };
      return {
        known: !subject.equals(ofPlace),
        settle: (outcome, sql) =>
          sql === undefined ? pool.query((own) => settle(own, outcome)) : settle(sql, outcome),
      };
    },

    async paced(account, sql, note) {
      const { waitS } = await count(sql, digest("noted", account), null);
      if (waitS === 0) await note();
    },
  };
}

async function count(sql: TransactionSql, subject: Buffer, known: Buffer | null) {
  const [row] = await sql<{ subject: Buffer; waitS: number; note: boolean }[]>`
    select subject, wait_s as "waitS", note from x3sproxy.begin_attempt(${subject}, ${known})`;
  if (row === undefined) throw new Error("begin_attempt gave no row");
  return row;
}

function digest(...parts: readonly string[]): Buffer {
  return hash("sha256", JSON.stringify(parts), "buffer");
}
