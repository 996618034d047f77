// Signing in and out. Must take the same time and give the same answer whether there is no such user, the password is wrong, or
// the code behind a right password is.
import { record, type Actor } from "../audit/index.ts";
import type { Pool, TransactionSql } from "../db/index.ts";
import { RequestError } from "../errors.ts";
import type { Attempt, Attempts } from "./attempts.ts";
import { actorFrom, userTarget, type Client, type Person } from "./caller.ts";
import { normalizeEmail } from "./emails.ts";
import type { PasswordHasher } from "./passwords.ts";
import type { SecondFactors } from "./second-factors.ts";
import { startSession } from "./sessions.ts";

export interface SignIn {
  /**
   * Starts a session and gives its value. Throws RequestError: 401 `sign_in_refused`, 401 `second_factor_needed` (the password is
   * right, and a code is needed), 429 `too_many_attempts`, 503 `busy`.
   */
  signIn(
    credentials: { email: string; password: string; code?: string | undefined },
    client: Client,
  ): Promise<string>;
  signOut(person: Person, client: Client): Promise<void>;
}

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
  ): Promise<string | undefined> {
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
      const value = await startSession(sql, user, client, method);
      await attempt.settle("succeeded", sql);
      return value;
    });
  }

  /** Writes a refusal down. `sql`: a transaction confined to the user's workspace. */
  async function note(
    sql: TransactionSql,
    user: UserRow | undefined,
    result: "password_wrong" | "code_wrong" | "too_many_attempts",
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
    async signIn({ email, password, code }, client) {
      const account = normalizeEmail(email);
      const user = await find(account);
      const workspaceId = user?.workspaceId ?? NOWHERE;
      const attempt = await attempts.begin(
        { workspaceId, network: client.network, account, learns: true },
        (sql) => note(sql, user, "too_many_attempts", client),
      );
      let value: string | undefined;
      let right: boolean;
      try {
        right = await passwords.verify(password, user?.passwordHash);
        if (right && user !== undefined) value = await start(user, code, client, attempt);
      } catch (error) {
        await attempt.settle("undecided").catch(() => undefined); // then it stays counted
        throw error;
      }
      if (value !== undefined) return value;
      await pool.inWorkspace(workspaceId, async (sql) => {
        await attempt.settle("failed", sql);
        await note(sql, user, right ? "code_wrong" : "password_wrong", client);
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
