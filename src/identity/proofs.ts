// Checks the password or code by which a signed-in user proves again who it is. Attempts are limited as for a sign-in, but counted for
// the session alone: someone with a stolen session must not lock its user out of signing in, nor out of a proof in another session.
import { record, type Actor } from "../audit/index.ts";
import type { Pool, TransactionSql } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import type { Attempts } from "./attempts.ts";
import { actorFrom, userTarget, type Client, type Person } from "./caller.ts";
import { requesterOf, type PasswordHasher } from "./passwords.ts";
import type { SecondFactors } from "./second-factors.ts";

export type Proof = { readonly password: string } | { readonly code: string };

/** The user who gives a proof. */
interface Prover {
  readonly userId: string;
  /** Named in the audit. */
  readonly actor: Actor;
  /** Attempts with the same `by` count together. */
  readonly by: string;
}

export interface Proofs {
  /**
   * Checks the proof and runs `work` in the same transaction; a code is used up only when `work` succeeds. `prepare` does slow work, such
   * as hashing, before the transaction, and only when the limits allow the attempt. Throws RequestError: 401 `proof_refused`, 429
   * `too_many_attempts`, 503 `busy`.
   */
  withProof<T, P>(
    prover: Prover,
    proof: Proof,
    prepare: () => Promise<P>,
    work: (sql: TransactionSql, prepared: P) => Promise<T>,
  ): Promise<T>;
}

/** A signed-in user as a prover. */
export function proverFrom(person: Person, client: Client): Prover {
  return { userId: person.id, actor: actorFrom(person, client), by: person.session.id };
}

export function createProofs(o: {
  pool: Pool;
  attempts: Attempts;
  passwords: PasswordHasher;
  secondFactors: SecondFactors;
}): Proofs {
  const { pool, attempts, passwords, secondFactors } = o;

  /** Does the slow part of the check, and gives what the transaction has to check; undefined when the proof is refused already. */
  async function condition(
    { userId, actor: { workspaceId } }: Prover,
    proof: Proof,
  ): Promise<((sql: TransactionSql) => Promise<boolean>) | undefined> {
    if ("code" in proof) {
      return async (sql) => {
        // Lock the user's row first, as everywhere, to avoid deadlocks.
        await sql`select from x3sproxy.users where id = ${userId} for update`;
        const kind = await secondFactors.redeem(sql, { workspaceId, userId }, proof.code);
        return kind !== undefined;
      };
    }
    const [row] = await pool.inWorkspace(
      workspaceId,
      (sql) => sql<{ hash: string }[]>`
        select password_hash as hash from x3sproxy.users where id = ${userId}`,
    );
    if (
      !(await passwords.verify(proof.password, row?.hash, requesterOf({ id: userId }))) ||
      row === undefined
    )
      return undefined;
    const { hash } = row;
    return async (sql) => {
      const { count } = await sql`
        select from x3sproxy.users where id = ${userId} and password_hash = ${hash} for update`;
      return count === 1;
    };
  }

  return {
    async withProof(prover, proof, prepare, work) {
      const { userId, actor, by } = prover;
      const account = `proof ${userId}`;
      const { workspaceId } = actor;
      const attempt = await attempts.begin({ workspaceId, account, by }, (sql) =>
        note(sql, prover, "too_many_attempts"),
      );
      try {
        const holds = await condition(prover, proof);
        if (holds !== undefined) {
          const prepared = await prepare();
          const done = await pool.inWorkspace(workspaceId, async (sql) => {
            if (!(await holds(sql))) return undefined;
            const result = await work(sql, prepared);
            await attempt.settle("succeeded", sql);
            return { result };
          });
          if (done !== undefined) return done.result;
        }
      } catch (error) {
        await attempt.settle("undecided").catch(() => undefined); // if this fails, the attempt stays counted
        throw error;
      }
      await pool.inWorkspace(workspaceId, async (sql) => {
        await attempt.settle("failed", sql);
        await note(sql, prover, "refused");
      });
      throw new RequestError(401, "proof_refused", "The password or the code is wrong.");
    },
  };
}

/** Records a refusal in the audit, unless the user was deleted. */
async function note(
  sql: TransactionSql,
  { userId, actor }: Prover,
  result: "refused" | "too_many_attempts",
): Promise<void> {
  const [user] = await sql<{ id: string; email: string }[]>`
    select id, email from x3sproxy.users where id = ${userId}`;
  if (user === undefined) return;
  await record(sql, actor, { action: "user.proof_refused", target: userTarget(user), result });
}
