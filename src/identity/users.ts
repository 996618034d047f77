// The users of a workspace, as its owners manage them. Must never remove a workspace's last owner, nor let users delete themselves.
import { record, type Actor } from "../audit/index.ts";
import type { Role } from "../contract/index.ts";
import type { Page, Pool, TransactionSql } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import { LINK_TOKEN_PREFIX, newBearer } from "../platform/ids.ts";
import { digest } from "./credentials.ts";
import { checkLimit, userTarget } from "./caller.ts";
import { endSessions } from "./sessions.ts";

export interface UserView {
  id: string;
  email: string;
  role: Role;
  agents: string[] | null;
  /** Whether a second factor is enrolled. */
  secondFactor: boolean;
  /** ISO 8601. */
  createdAt: string;
  lastSignInAt: string | null;
}

/** Every change is recorded in the audit. */
export interface Users {
  /** Sorted by e-mail address. */
  list(workspaceId: string, page: Page<readonly [email: string]>): Promise<UserView[]>;
  /** How many users the workspace has. */
  count(workspaceId: string): Promise<number>;
  /**
   * Changes what is given. A new role that can't be limited to agents drops that limit. A change ends the user's sessions. Throws
   * RequestError: 404 `user_not_found`, 409 `last_owner`, 422 `agents_not_allowed`.
   */
  change(
    by: Actor,
    userId: string,
    to: { role?: Role | undefined; agents?: string[] | null | undefined },
  ): Promise<UserView>;
  /** Throws RequestError: 404 `user_not_found`, 409 `last_owner`, 409 `own_account`. */
  delete(by: Actor, userId: string): Promise<UserView>;
  /**
   * Creates a link, valid once and for 24 hours, to set a new password and, with `secondFactor`, to remove the second factor. Ends the
   * earlier link. Throws RequestError 404 `user_not_found`.
   */
  createReset(
    by: Actor,
    userId: string,
    o: { secondFactor: boolean },
  ): Promise<{ token: string; expiresAt: string }>;
}

interface UserRow {
  id: string;
  email: string;
  role: Role;
  agents: string[] | null;
  second_factor: boolean;
  created_at: Date;
  last_sign_in_at: Date | null;
}

export function createUsers({ pool }: { pool: Pool }): Users {
  return {
    async list(workspaceId, { limit, after: [email] = [""] }) {
      const rows = await pool.inWorkspace(
        workspaceId,
        (sql) => sql<UserRow[]>`
          ${rowsOf(sql)} where u.workspace_id = ${workspaceId} and u.email collate "C" > ${email}
          order by u.email collate "C" limit ${limit}`,
      );
      return rows.map(view);
    },

    count: (workspaceId) =>
      pool.inWorkspace(workspaceId, async (sql) => {
        const [row] = await sql<{ count: number }[]>`
          select count(*)::integer from x3sproxy.users where workspace_id = ${workspaceId}`;
        return row?.count ?? 0;
      }),

    change: (by, userId, to) =>
      pool.inWorkspace(by.workspaceId, async (sql) => {
        const before = await find(sql, userId);
        const role = to.role ?? before.role;
        const mayBeLimited = role === "viewer" || role === "operator";
        const agents = to.agents === undefined ? (mayBeLimited ? before.agents : null) : to.agents;
        checkLimit(role, agents);
        if (before.role === "owner" && role !== "owner") await refuseLastOwner(sql, userId);
        await sql`update x3sproxy.users set role = ${role}, agents = ${agents}::text[] where id = ${userId}`;
        if (role !== before.role || String(agents) !== String(before.agents)) {
          await endSessions(sql, userId);
        }
        // Not `find`, which would lock users who became owners meanwhile, out of the order of ids: that risks a deadlock.
        const after = await read(sql, userId);
        await record(sql, by, { action: "user.change", target: userTarget(after), before, after });
        return after;
      }),

    delete: (by, userId) =>
      pool.inWorkspace(by.workspaceId, async (sql) => {
        const before = await find(sql, userId);
        if (by.kind === "user" && by.id === before.id) {
          throw new RequestError(409, "own_account", "Nobody can delete the own account.");
        }
        if (before.role === "owner") await refuseLastOwner(sql, userId);
        await sql`delete from x3sproxy.users where id = ${userId}`;
        await record(sql, by, { action: "user.delete", target: userTarget(before), before });
        return before;
      }),

    createReset: (by, userId, { secondFactor }) =>
      pool.inWorkspace(by.workspaceId, async (sql) => {
        const user = await find(sql, userId);
        const token = newBearer(LINK_TOKEN_PREFIX);
        await sql`delete from x3sproxy.resets where user_id = ${userId} or expires_at < now()`;
        const [reset] = await sql<{ expires_at: Date }[]>`
          insert into x3sproxy.resets (user_id, workspace_id, hash, second_factor)
          values (${userId}, ${by.workspaceId}, ${digest(token)}, ${secondFactor})
          returning expires_at`;
        if (reset === undefined) throw new Error("insert returned no row");
        const expiresAt = reset.expires_at.toISOString();
        const after = { userId, secondFactor, expiresAt };
        await record(sql, by, { action: "reset_link.create", target: userTarget(user), after });
        return { token, expiresAt };
      }),
  };
}

/** Finds a user, and locks the rows of the user and of all owners until the transaction ends. */
async function find(sql: TransactionSql, userId: string): Promise<UserView> {
  // Lock all owners in one order: of two owners who remove each other, the second one then sees the first removal. Lock in a separate
  // statement, so that the next one sees what the lock waited for.
  await sql`select from x3sproxy.users where role = 'owner' or id = ${userId} order by id for update`;
  return read(sql, userId);
}

async function read(sql: TransactionSql, userId: string): Promise<UserView> {
  const [row] = await sql<UserRow[]>`${rowsOf(sql)} where u.id = ${userId}`;
  if (row === undefined) throw new RequestError(404, "user_not_found", "There is no such user.");
  return view(row);
}

async function refuseLastOwner(sql: TransactionSql, userId: string): Promise<void> {
  const others = await sql`
    select from x3sproxy.users where role = 'owner' and id <> ${userId} limit 1`;
  if (others.count > 0) return;
  throw new RequestError(
    409,
    "last_owner",
    "This is the workspace's last owner. Make another one first.",
  );
}

function rowsOf(sql: TransactionSql) {
  return sql`
    select u.id, u.email, u.role, u.agents, u.created_at, u.last_sign_in_at,
      exists (select from x3sproxy.second_factors f where f.user_id = u.id) as second_factor
    from x3sproxy.users u`;
}

function view(row: UserRow): UserView {
  return {
    id: row.id,
    email: row.email,
    role: row.role,
    agents: row.agents,
    secondFactor: row.second_factor,
    createdAt: row.created_at.toISOString(),
    lastSignInAt: row.last_sign_in_at?.toISOString() ?? null,
  };
}
