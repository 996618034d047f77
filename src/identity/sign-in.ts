// Signing in and out. Must take the same time and give the same answer whether there is no such user, the password is wrong, or
// the code behind a right password is.
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
import { busy, lineOf, type PasswordHasher } from "./passwords.ts";
import type { SecondFactors } from "./second-factors.ts";
import { startSession } from "./sessions.ts";

// Anybody can ask for it, so that it has no more than a part of the connections to the database. One network may have half of the room.
const LINE = { places: 2, room: 4_096 };
const WAIT_MS = 8_000;

export interface SignIn {
  /**
   * Starts a session. `device`: what the browser alone has, by which it is known after. Throws RequestError: 401 `sign_in_refused`, 401
   * `second_factor_needed` (the password is right, and a code is needed), 429 `too_many_attempts`, 503 `busy`.
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

// A workspace that there is none of: a refusal for nobody goes through the same statements as one for somebody.
const NOWHERE = "00000000-0000-0000-0000-000000000000";

export function createSignIn(o: {
  pool: Pool;
  attempts: Attempts;
  passwords: PasswordHasher;
  secondFactors: SecondFactors;
}): SignIn {
  const { pool, attempts, passwords, secondFactors } = o;
  const line = createFairQueue(LINE);

  async function find(email: string): Promise<UserRow | undefined> {
    const [row] = await pool.query(
      (sql) => sql<UserRow[]>`
        select id, workspace_id as "workspaceId", email, password_hash as "passwordHash"
        from x3sproxy.find_user(${email})`,
    );
    return row;
  }

  /** The session, or undefined when it is refused after all. */
  async function start(
    user: UserRow,
    code: string | undefined,
    client: Client,
    attempt: Attempt,
  ): Promise<SessionCredential | undefined> {
    return pool.inWorkspace(user.workspaceId, async (sql) => {
      const { id: userId, workspaceId } = user;
      // The password may have been changed while it was being verified. The lock is the one that the rest needs, so that two who
      // sign in as one user don't wait for each other.
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
   * Six digits can be guessed from many networks by whoever has the password: codes from devices that are not known count for the
   * account as a whole, too.
   */
  async function withCode(
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

  /** Writes a refusal down. `sql`: a transaction confined to the user's workspace. */
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
        const workspaceId = user?.workspaceId ?? NOWHERE;
        const refused = (sql: TransactionSql, result: Refusal) =>
          attempts.paced(`${result} ${account}`, sql, () => note(sql, user, result, client));
        const limited = (sql: TransactionSql) => refused(sql, "too_many_attempts");
        const attempt = await attempts.begin(
          { workspaceId, account, by: network, device },
          limited,
        );
        return { user, workspaceId, refused, limited, attempt };
      };
      const begun = await takeTurn(line, network, begin, { withinMs: WAIT_MS, late: busy });
      const { user, workspaceId, refused, limited } = begun;
      let { attempt } = begun;
      let session: SessionCredential | undefined;
      let right: boolean;
      try {
        const hashLine = attempt.known && user ? lineOf(user) : { known: false, key: network };
        right = await passwords.verify(password, user?.passwordHash, hashLine);
        if (right && user !== undefined) {
          if (code !== undefined) attempt = await withCode(attempt, user, limited);
          session = await start(user, code, client, attempt);
        }
      } catch (error) {
        await attempt.settle("undecided").catch(() => undefined); // then it stays counted
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

/** What is answered when the rest is right and a code is missing. */
export function codeNeeded(): RequestError {
  return new RequestError(
    401,
    "second_factor_needed",
    "Give a code of your authenticator app, or a recovery code, too.",
  );
}
