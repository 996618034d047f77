// One-time links: to set up a workspace, to accept an invitation, to reset a password. A link is used up in the transaction of its
// purpose, so it stays valid when that is refused. The password is hashed before the transaction, for one request of a link at a time.
// Must give the same answer for unknown, used and expired links.
import { record, type Actor } from "../audit/index.ts";
import type { Role } from "../contract/index.ts";
import { isUniqueViolation, type Pool, type TransactionSql } from "../db/index.ts";
import { RequestError, StoreUnavailableError } from "../platform/errors.ts";
import { LINK_TOKEN_PREFIX, newId, SETUP_TOKEN_PREFIX } from "../platform/ids.ts";
import { setPassword } from "./account.ts";
import { digest, isBearer } from "./credentials.ts";
import { userTarget, type Client, type SessionCredential } from "./caller.ts";
import { normalizeEmail } from "./emails.ts";
import { checkPassword } from "./password-rules.ts";
import { requesterOf, type Requester, type PasswordHasher } from "./passwords.ts";
import type { Proofs } from "./proofs.ts";
import type { SecondFactors } from "./second-factors.ts";
import { endSessions, startSession } from "./sessions.ts";
import { codeNeeded } from "./sign-in.ts";
import type { Verifications } from "./credentials.ts";

export interface LinkView {
  kind: "invitation" | "reset" | "setup";
  email: string | null;
  role: Role | null;
  /** Whether a code of the user's second factor is needed, too. */
  needsCode: boolean;
}

export interface Links {
  /** The purpose of a link. Throws RequestError 401 `link_invalid`. */
  look(token: string, client: Client): Promise<LinkView>;

  // Each of the following starts a session, and also throws RequestError 503 `busy` and 422 as `checkPassword` does.

  /** Creates the first user, an owner. Throws RequestError 401 `setup_link_invalid`. */
  setUp(
    user: { token: string; email: string; password: string },
    client: Client,
  ): Promise<SessionCredential>;
  /** Creates the invited user. Throws RequestError: 401 `link_invalid`, 409 `email_taken`. */
  acceptInvitation(
    o: { token: string; password: string },
    client: Client,
  ): Promise<SessionCredential>;
  /**
   * Sets a new password and ends the user's sessions. Throws RequestError 401 `link_invalid`. If a second factor stays, also 401
   * `second_factor_needed` without a code, 401 `proof_refused` for a wrong one, and 429 `too_many_attempts`.
   */
  acceptReset(
    o: { token: string; password: string; code?: string | undefined },
    client: Client,
  ): Promise<SessionCredential>;
}

interface InvitationRow {
  workspace_id: string;
  email: string;
  role: Role;
  agents: string[] | null;
}

interface LinkRow {
  kind: LinkView["kind"];
  email: string | null;
  role: Role | null;
  workspace_id: string;
  user_id: string | null;
  needs_code: boolean;
}

const MAX_WAITING_PER_LINK = 32;

export function createLinks(o: {
  pool: Pool;
  passwords: PasswordHasher;
  proofs: Proofs;
  secondFactors: SecondFactors;
  verifications: Verifications;
}): Links {
  const { pool, passwords, proofs, secondFactors, verifications } = o;
  const turns = new Map<string, { last: Promise<unknown>; count: number }>();

  /**
   * Runs concurrent requests with the same link one after the other, so that each hashes a password only if the link is still valid by
   * then. When the database fails for one of them, the waiting ones fail too.
   */
  async function inTurn<T>(token: string, work: () => Promise<T>): Promise<T> {
    const key = digest(token).toString("hex");
    const turn = turns.get(key) ?? { last: Promise.resolve(), count: 0 };
    if (turn.count >= MAX_WAITING_PER_LINK) {
      throw new RequestError(503, "busy", "This link is in use already. Try again later.");
    }
    const mine = turn.last.then(work, (error: unknown) => {
      if (error instanceof StoreUnavailableError) throw error;
      return work();
    });
    turn.last = mine;
    turn.count += 1;
    turns.set(key, turn);
    try {
      return await mine;
    } finally {
      turn.count -= 1;
      if (turn.count === 0) turns.delete(key);
    }
  }

  async function look(
    token: string,
    prefix: string,
    { network }: Client,
    invalid = invalidLink,
  ): Promise<LinkRow> {
    if (!isBearer(token, prefix)) throw invalid();
    const hash = digest(token);
    const row = await verifications.verify({
      ...{ hash, network },
      async find() {
        const [found] = await pool.query(
          (sql) => sql<LinkRow[]>`select * from x3sproxy.look_at_link(${hash})`,
        );
        return found;
      },
    });
    if (row === undefined) throw invalid();
    return row;
  }

  async function insertUser(
    sql: TransactionSql,
    user: { workspaceId: string; email: string; role: Role; agents: string[] | null },
    passwordHash: string,
    client: Client,
  ): Promise<SessionCredential> {
    const id = newId();
    await sql`
      insert into x3sproxy.users (id, workspace_id, email, password_hash, role, agents)
      values (${id}, ${user.workspaceId}, ${user.email}, ${passwordHash}, ${user.role}, ${user.agents}::text[])`;
    const { role, agents, email, workspaceId } = user;
    const after = { id, email, role, agents };
    await record(sql, holder(workspaceId, email, client), {
      action: "user.create",
      target: userTarget(after),
      after,
    });
    return startSession(sql, { id, workspaceId, email }, client, "link");
  }

  return {
    async look(token, client) {
      const prefix = token.startsWith(SETUP_TOKEN_PREFIX) ? SETUP_TOKEN_PREFIX : LINK_TOKEN_PREFIX;
      const { kind, email, role, needs_code: needsCode } = await look(token, prefix, client);
      return { kind, email, role, needsCode };
    },

    async setUp({ token, email: given, password }, client) {
      const email = normalizeEmail(given);
      return inTurn(token, async () => {
        await look(token, SETUP_TOKEN_PREFIX, client, invalidSetupLink);
        checkPassword(password, email);
        const passwordHash = await passwords.hash(password, linkRequester(email));
        return pool.transaction(async (tx) => {
          const [link] = await tx<{ workspaceId: string | null }[]>`
            select x3sproxy.redeem_setup_link(${digest(token)}) as "workspaceId"`;
          const workspaceId = link?.workspaceId;
          if (workspaceId == null) throw invalidSetupLink();
          await confine(tx, workspaceId);
          if ((await tx`select from x3sproxy.users limit 1`).count > 0) throw invalidSetupLink();
          const first = { workspaceId, email, role: "owner", agents: null } as const;
          return insertUser(tx, first, passwordHash, client);
        });
      }).catch(refuseTaken);
    },

    async acceptInvitation({ token, password }, client) {
      return inTurn(token, async () => {
        const { kind, email: invited } = await look(token, LINK_TOKEN_PREFIX, client);
        if (kind !== "invitation" || invited === null) throw invalidLink();
        checkPassword(password, invited);
        const passwordHash = await passwords.hash(password, linkRequester(invited));
        return pool.transaction(async (tx) => {
          const [row] = await tx<InvitationRow[]>`
            select * from x3sproxy.redeem_invitation(${digest(token)})`;
          if (row === undefined) throw invalidLink();
          const { workspace_id: workspaceId, email, role, agents } = row;
          await confine(tx, workspaceId);
          return insertUser(tx, { workspaceId, email, role, agents }, passwordHash, client);
        });
      }).catch(refuseTaken);
    },

    acceptReset: ({ token, password, code }, client) =>
      inTurn(token, async () => {
        const link = await look(token, LINK_TOKEN_PREFIX, client);
        const { kind, user_id: userId, workspace_id: workspaceId, email } = link;
        if (kind !== "reset" || userId === null || email === null) throw invalidLink();
        const by = holder(workspaceId, email, client);
        const hashed = async (): Promise<string> => {
          checkPassword(password, email);
          return passwords.hash(password, requesterOf({ id: userId }));
        };
        const reset = async (
          sql: TransactionSql,
          hash: string,
          proved: boolean,
        ): Promise<SessionCredential> => {
          await sql`select from x3sproxy.users where id = ${userId} for update`;
          const [row] = await sql<{ second_factor: boolean }[]>`
            select second_factor from x3sproxy.redeem_reset(${digest(token)})`;
          if (row === undefined) throw invalidLink();
          if (row.second_factor) await secondFactors.remove(sql, userId);
          else if (!proved && (await secondFactors.has(sql, userId))) throw codeNeeded();
          await setPassword(sql, userId, hash);
          await endSessions(sql, userId);
          const target = userTarget({ id: userId, email });
          await record(sql, by, { action: "password.reset", target });
          return startSession(sql, { id: userId, workspaceId, email }, client, "link");
        };
        if (!link.needs_code) {
          const hash = await hashed();
          return pool.inWorkspace(workspaceId, (sql) => reset(sql, hash, false));
        }
        if (code === undefined) throw codeNeeded();
        const prover = { userId, actor: by, by: "reset" };
        return proofs.withProof(prover, { code }, hashed, (sql, hash) => reset(sql, hash, true));
      }),
  };
}

/** The holder of a live link as a requester. */
function linkRequester(email: string): Requester {
  return { known: true, key: email };
}

/** The holder of a link, as the audit names it. */
function holder(workspaceId: string, email: string, { address }: Client): Actor {
  return { workspaceId, kind: "link", id: null, name: email, address, method: "link" };
}

async function confine(sql: TransactionSql, workspaceId: string): Promise<void> {
  await sql`select set_config('x3sproxy.workspace', ${workspaceId}, true)`;
}

/** Throws the refusal when the error says that a user of any workspace has this address. */
function refuseTaken(error: unknown): never {
  if (!isUniqueViolation(error)) throw error;
  throw new RequestError(409, "email_taken", "There is a user with this e-mail address already.");
}

function invalidLink(): RequestError {
  return new RequestError(
    401,
    "link_invalid",
    "This link is not valid: it was used, has expired, or was replaced by a later one. Ask for another.",
  );
}

function invalidSetupLink(): RequestError {
  return new RequestError(
    401,
    "setup_link_invalid",
    "This setup link is not valid: it was used, has expired, or was replaced by a later one. While the first workspace has no user, " +
      "each start of the service prints a new link; for another one an owner of the first makes it.",
  );
}
