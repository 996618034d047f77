// What users do with their own account: see it, prove who they are, change the password, enrol and remove a second factor. A change of
// password or second factor must renew the session's credential.
import { type Action, record } from "../audit/index.ts";
import type { Role } from "../contract/index.ts";
import type { Pool, TransactionSql } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import {
  actorFrom,
  type Caller,
  type Client,
  type Person,
  type SessionCredential,
  userTarget,
} from "./caller.ts";
import { checkPassword } from "./password-rules.ts";
import { requesterOf, type PasswordHasher } from "./passwords.ts";
import { type Proof, type Proofs, proverFrom } from "./proofs.ts";
import type { SecondFactors } from "./second-factors.ts";
import { endSessions, renewSession } from "./sessions.ts";

export interface Account {
  /** Makes the session fresh for the next five minutes. Throws RequestError: 401 `proof_refused`, 429, 503. */
  prove(person: Person, proof: Proof, client: Client): Promise<void>;
  /** Ends all other sessions; returns the new credential of this one. Throws as `prove` does, and 422 as `checkPassword` does. */
  changePassword(
    person: Person,
    passwords: { current: string; password: string },
    client: Client,
  ): Promise<SessionCredential>;
  /**
   * Enrols a seed (base32), which replaces the earlier one. Returns the session's new credential, and new recovery codes, which are shown
   * only now. Throws RequestError 422 `code_wrong`.
   */
  enrol(
    person: Person,
    factor: { seed: string; code: string },
    client: Client,
  ): Promise<{ session: SessionCredential; recoveryCodes: string[] }>;
  /** Returns the session's new credential. Throws RequestError 409 `second_factor_required` when the workspace requires one. */
  removeSecondFactor(person: Person, client: Client): Promise<SessionCredential>;
  /** The new codes are shown only now. Throws RequestError 409 `second_factor_missing`. */
  renewRecoveryCodes(person: Person, client: Client): Promise<string[]>;
}

export function createAccount(o: {
  pool: Pool;
  passwords: PasswordHasher;
  proofs: Proofs;
  secondFactors: SecondFactors;
}): Account {
  const { pool, passwords, proofs, secondFactors } = o;

  return {
    prove: (person, proof, client) =>
      proofs.withProof(proverFrom(person, client), proof, nothing, async (sql) => {
        await sql`update x3sproxy.sessions set proved_at = now() where id = ${person.session.id}`;
        await note(sql, person, client, "user.proof");
      }),

    async changePassword(person, { current, password }, client) {
      checkPassword(password, person.name);
      return proofs.withProof(
        proverFrom(person, client),
        { password: current },
        () => passwords.hash(password, requesterOf(person)),
        async (sql, hash) => {
          await setPassword(sql, person.id, hash);
          await endSessions(sql, person.id, person.session.id);
          await note(sql, person, client, "password.change");
          return renewSession(sql, person, { proves: true });
        },
      );
    },

    enrol: (person, { seed, code }, client) =>
      pool.inWorkspace(person.workspaceId, async (sql) => {
        const user = { workspaceId: person.workspaceId, userId: person.id };
        await lockUser(sql, person.id);
        if (!(await secondFactors.enrol(sql, user, seed, code))) {
          throw new RequestError(
            422,
            "code_wrong",
            "That is not the code of this second factor now. Is the clock of your device right?",
          );
        }
        const recoveryCodes = await secondFactors.renewRecoveryCodes(sql, user);
        await note(sql, person, client, "second_factor.enrol");
        return { session: await renewSession(sql, person, { proves: false }), recoveryCodes };
      }),

    removeSecondFactor: (person, client) =>
      pool.inWorkspace(person.workspaceId, async (sql) => {
        await lockUser(sql, person.id);
        const required = await sql`
          select from x3sproxy.workspaces where id = ${person.workspaceId} and second_factor_required
          for share`;
        if (required.count > 0) {
          throw new RequestError(
            409,
            "second_factor_required",
            "This workspace asks for a second factor. You can replace yours by another.",
          );
        }
        await secondFactors.remove(sql, person.id);
        await note(sql, person, client, "second_factor.remove");
        return renewSession(sql, person, { proves: false });
      }),

    renewRecoveryCodes: (person, client) =>
      pool.inWorkspace(person.workspaceId, async (sql) => {
        await lockUser(sql, person.id);
        if (!(await secondFactors.has(sql, person.id))) {
          throw new RequestError(409, "second_factor_missing", "Enrol a second factor first.");
        }
        const user = { workspaceId: person.workspaceId, userId: person.id };
        const codes = await secondFactors.renewRecoveryCodes(sql, user);
        await note(sql, person, client, "recovery_codes.renew");
        return codes;
      }),
  };
}

/** Sets the hash of a user's password, and ends links to reset it. */
export async function setPassword(
  sql: TransactionSql,
  userId: string,
  passwordHash: string,
): Promise<void> {
  await sql`update x3sproxy.users set password_hash = ${passwordHash} where id = ${userId}`;
  await sql`delete from x3sproxy.resets where user_id = ${userId}`;
}

async function nothing(): Promise<void> {
  // There is nothing to prepare.
}

/** Makes concurrent changes of one user's second factor wait for each other. */
async function lockUser(sql: TransactionSql, userId: string): Promise<void> {
  await sql`select from x3sproxy.users where id = ${userId} for update`;
}

async function note(
  sql: TransactionSql,
  person: Person,
  client: Client,
  action: Action,
): Promise<void> {
  const target = userTarget({ id: person.id, email: person.name });
  await record(sql, actorFrom(person, client), { action, target });
}

export interface MeView {
  kind: "user" | "api_key";
  id: string;
  name: string;
  role: Role;
  agents: readonly string[] | null;
  workspace: { id: string; name: string; secondFactorRequired: boolean };
  /** Null for an API key. */
  secondFactor: { enrolled: boolean; recoveryCodesLeft: number } | null;
  mustEnrol: boolean;
}

interface Row {
  name: string;
  required: boolean;
  enrolled: boolean;
  left: number;
}

export function createMe({ pool }: { pool: Pool }): (caller: Caller) => Promise<MeView> {
  return async ({ kind, id, name, role, agents, workspaceId, mustEnrol }) => {
    const [row] = await pool.inWorkspace(
      workspaceId,
      (sql) => sql<Row[]>`
        select w.name, w.second_factor_required as required,
          exists (select from x3sproxy.second_factors where user_id = ${id}) as enrolled,
          (select count(*)::integer from x3sproxy.recovery_codes where user_id = ${id}) as left
        from x3sproxy.workspaces w where w.id = ${workspaceId}`,
    );
    if (row === undefined) throw new Error("the caller's workspace is missing");
    return {
      ...{ kind, id, name, role, agents, mustEnrol },
      workspace: { id: workspaceId, name: row.name, secondFactorRequired: row.required },
      secondFactor:
        kind === "user" ? { enrolled: row.enrolled, recoveryCodesLeft: row.left } : null,
    };
  };
}
