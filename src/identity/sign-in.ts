// Signs users in and out. Must take the same time and give the same answer for an unknown user, a wrong password, and a wrong code
// after the right password.
import { record, type Actor } from "../audit/index.ts";
import type { Pool, TransactionSql } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import { createFairQueue, takeTurn } from "../platform/fair-queue.ts";
import type { Attempt, Attempts } from "./attempts.ts";
import {
  actorFrom,
  userTarget,
  type Client,
  type Person,
  type SessionCredential,
} from "./caller.ts";
import { normalizeEmail } from "./emails.ts";
import { busy, requesterOf, type PasswordHasher } from "./passwords.ts";
import type { SecondFactors } from "./second-factors.ts";
import { startSession } from "./sessions.ts";

// Anybody can try to sign in, so sign-ins get only some of the database connections.
const QUEUE = { places: 2, room: 4_096 };
const WAIT_MS = 8_000;

export interface SignIn {
  /**
   * Starts a session. `device`: a secret of the browser, which makes it a known device afterwards. Throws RequestError: 401
   * `sign_in_refused`, 401 `second_factor_needed` (the password is right and a code is missing), 429 `too_many_attempts`, 503 `busy`.
   */
  signIn(
    credentials: {
      email: string;
      password: string;
      code?: string | undefined;
      device?: string | undefined;
    },
    client: Client,
  ): Promise<SessionCredential>;
  signOut(person: Person, client: Client): Promise<void>;
}

type Refusal = "password_wrong" | "code_wrong" | "too_many_attempts";

interface UserRow {
  id: string;
  workspaceId: string;
  email: string;
  passwordHash: string;
}

// The id of no workspace. A refusal for an unknown user then runs the same statements as one for a user.
const NO_WORKSPACE = "00000000-0000-0000-0000-000000000000";

export function createSignIn(o: {
  pool: Pool;
  attempts: Attempts;
  passwords: PasswordHasher;
  secondFactors: SecondFactors;
}): SignIn {
  const { pool, attempts, passwords, secondFactors } = o;
  const queue = createFairQueue(QUEUE);

  async function find(email: string): Promise<UserRow | undefined> {
    const [row] = await pool.query(
      (sql) => sql<UserRow[]>`
        select id, workspace_id as "workspaceId", email, password_hash as "passwordHash"
        from x3sproxy.find_user(${email})`,
    );
    return row;
  }

  /** Starts the session; undefined when the password has changed meanwhile or the code is wrong. */
  async function start(
    user: UserRow,
    code: string | undefined,
    client: Client,
    attempt: Attempt,
  ): Promise<SessionCredential | undefined> {
    return pool.inWorkspace(user.workspaceId, async (sql) => {
      const { id: userId, workspaceId } = user;
      // The password may have changed while it was verified. This takes the strongest lock needed at once: two sign-ins of one user
      // that strengthened their locks later would deadlock.
      const still = await sql`
        select from x3sproxy.users where id = ${userId} and password_hash = ${user.passwordHash} for update`;
      if (still.count === 0) return undefined;
      let method = "password";
      if (await secondFactors.has(sql, userId)) {
        if (code === undefined) throw codeNeeded();
        const kind = await secondFactors.redeem(sql, { workspaceId, userId }, code);
        if (kind === undefined) return undefined;
        method = `password+${kind}`;
      }
      const session = await startSession(sql, user, client, method);
      await attempt.settle("succeeded", sql);
      return session;
    });
  }

  /**
   * Counts a code from an unknown device for the whole account as well. Otherwise someone who has the password could guess the six
   * digits from many networks.
   */
  async function countCode(
    attempt: Attempt,
    { id, workspaceId }: UserRow,
    note: (sql: TransactionSql) => Promise<void>,
  ): Promise<Attempt> {
    if (attempt.known) return attempt;
    const guess = await attempts.begin({ workspaceId, account: `code ${id}`, by: "anybody" }, note);
    return {
      known: false,
      async settle(outcome, sql) {
        await attempt.settle(outcome, sql);
        await guess.settle(outcome, sql);
      },
    };
  }

  /** Records a refusal in the audit. `sql`: a transaction confined to the user's workspace. */
  async function note(
    sql: TransactionSql,
    user: UserRow | undefined,
    result: Refusal,
    { address }: Client,
  ): Promise<void> {
    if (user === undefined) {
      await sql`select 1`;
      return;
    }
    const { workspaceId, id, email } = user;
    const by: Actor = { workspaceId, kind: "user", id, name: email, address, method: "password" };
    await record(sql, by, { action: "user.sign_in_refused", target: userTarget(user), result });
  }

  return {
    async signIn({ email, password, code, device }, client) {
      const account = normalizeEmail(email);
      const { network } = client;
      const begin = async () => {
        const user = await find(account);
        const workspaceId = user?.workspaceId ?? NO_WORKSPACE;
        const refused = (sql: TransactionSql, result: Refusal) =>
          attempts.paced(`${result} ${account}`, sql, () => note(sql, user, result, client));
        const limited = (sql: TransactionSql) => refused(sql, "too_many_attempts");
        const attempt = await attempts.begin(
          { workspaceId, account, by: network, device },
          limited,
        );
        return { user, workspaceId, refused, limited, attempt };
      };
      const begun = await takeTurn(queue, network, begin, { withinMs: WAIT_MS, late: busy });
      const { user, workspaceId, refused, limited } = begun;
      let { attempt } = begun;
      let session: SessionCredential | undefined;
      let right: boolean;
      try {
        const requester =
          attempt.known && user ? requesterOf(user) : { known: false, key: network };
        right = await passwords.verify(password, user?.passwordHash, requester);
        if (right && user !== undefined) {
          if (code !== undefined) attempt = await countCode(attempt, user, limited);
          session = await start(user, code, client, attempt);
        }
      } catch (error) {
        await attempt.settle("undecided").catch(() => undefined); // if this fails, the attempt stays counted
        throw error;
      }
      if (session !== undefined) return session;
      await pool.inWorkspace(workspaceId, async (sql) => {
        await attempt.settle("failed", sql);
        await refused(sql, right ? "code_wrong" : "password_wrong");
      });
      throw new RequestError(
        401,
        "sign_in_refused",
        "The e-mail address, the password or the code is wrong.",
      );
    },

    signOut: (person, client) =>
      pool.inWorkspace(person.workspaceId, async (sql) => {
        await sql`delete from x3sproxy.sessions where id = ${person.session.id}`;
        const target = userTarget({ id: person.id, email: person.name });
        await record(sql, actorFrom(person, client), { action: "user.sign_out", target });
      }),
  };
}

/** The refusal when all is right except that a code is missing. */
export function codeNeeded(): RequestError {
  return new RequestError(
    401,
    "second_factor_needed",
    "Give a code of your authenticator app, or a recovery code, too.",
  );
}
