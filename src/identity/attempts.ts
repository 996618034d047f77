// Limits on guessing passwords and codes. They are in the database, so that they hold for all processes together. An attempt is counted
// before its outcome is known, for the account together with the network, or with a device on which the user has signed in before. The
// attempts of others must never lock a user out.
import { hash } from "node:crypto";
import type { Pool, Sql, TransactionSql } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";

/** `undecided`: neither right nor wrong, for example when a code is missing or the service was busy. */
export type Outcome = "succeeded" | "failed" | "undecided";

export interface Attempt {
  /** Whether someone has signed in to this account on this device before. */
  readonly known: boolean;
  /** Records the outcome, in the given transaction or on its own. */
  settle(outcome: Outcome, sql?: TransactionSql): Promise<void>;
}

export interface Attempts {
  /**
   * Counts an attempt. If it succeeds, its device becomes known for that account. Throws RequestError 429 `too_many_attempts` with the
   * time to wait, and then counts nothing. `note` records the refusal in the same transaction, confined to the workspace: it is called
   * for the first refusal after an allowed attempt, and then at most once an hour.
   */
  begin(of: AttemptBy, note: (sql: TransactionSql) => Promise<void>): Promise<Attempt>;
  /**
   * Calls `note`, but for each account at most five times at once and then every quarter of an hour, so that failures from many networks
   * can't fill the audit.
   */
  paced(account: string, sql: TransactionSql, note: () => Promise<void>): Promise<void>;
}

interface AttemptBy {
  /** The workspace of the account. */
  readonly workspaceId: string;
  readonly account: string;
  /** Attempts at an account with the same `by` count together: a network or a session. */
  readonly by: string;
  /** The device secret of the browser, if it has one. */
  readonly device?: string | undefined;
}

/** `pool`: of the control role. */
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
