// Invitations of further users to a workspace. Each is a link, valid once and for 72 hours. A new one for the same address replaces the
// earlier one. Must store only the hash of its token.
import { record, type Actor } from "../audit/index.ts";
import type { Role } from "../contract/index.ts";
import { createdUs, momentOf, type Page, type Pool } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import { LINK_TOKEN_PREFIX, newBearer, newId } from "../platform/ids.ts";
import { digest } from "./credentials.ts";
import { normalizeEmail } from "./emails.ts";
import { LATEST, type LatestFirst, type Placed } from "./latest-first.ts";
import { checkLimit } from "./caller.ts";

export interface InvitationView {
  id: string;
  email: string;
  role: Role;
  agents: string[] | null;
  /** The name of the user or API key that invited. */
  invitedBy: string;
  /** ISO 8601. */
  createdAt: string;
  expiresAt: string;
}

/** Every change is recorded in the audit. */
export interface Invitations {
  /** Open invitations, the latest first. */
  list(workspaceId: string, page: Page<LatestFirst>): Promise<Placed<InvitationView>[]>;
  /** How many open invitations the workspace has. */
  count(workspaceId: string): Promise<number>;
  /** Throws RequestError: 409 `user_exists`, 422 `agents_not_allowed`. */
  create(
    by: Actor,
    o: { email: string; role: Role; agents: string[] | null },
  ): Promise<{ invitation: InvitationView; token: string }>;
  /** Throws RequestError 404 `invitation_not_found`. */
  delete(by: Actor, invitationId: string): Promise<void>;
}

interface InvitationRow {
  id: string;
  email: string;
  role: Role;
  agents: string[] | null;
  invited_by: string;
  created_at: Date;
  expires_at: Date;
}

export function createInvitations({ pool }: { pool: Pool }): Invitations {
  return {
    async list(workspaceId, { limit, after: [us, id] = LATEST }) {
      const rows = await pool.inWorkspace(
        workspaceId,
        (sql) => sql<(InvitationRow & { created_us: string })[]>`
          select *, ${createdUs(sql)} as created_us from x3sproxy.invitations
          where workspace_id = ${workspaceId} and expires_at > now()
            and (created_at, id) < (${momentOf(sql, us)}, ${id}::uuid)
          order by created_at desc, id desc limit ${limit}`,
      );
      return rows.map((row) => ({ ...view(row), place: [row.created_us, row.id] }));
    },

    count: (workspaceId) =>
      pool.inWorkspace(workspaceId, async (sql) => {
        const [row] = await sql<{ count: number }[]>`
          select count(*)::integer from x3sproxy.invitations where workspace_id = ${workspaceId} and expires_at > now()`;
        return row?.count ?? 0;
      }),

    create(by, { email: given, role, agents }) {
      checkLimit(role, agents);
      const email = normalizeEmail(given);
      const token = newBearer(LINK_TOKEN_PREFIX);
      return pool.inWorkspace(by.workspaceId, async (sql) => {
        const taken = await sql`select from x3sproxy.users where lower(email) = ${email}`;
        if (taken.count > 0) {
          throw new RequestError(
            409,
            "user_exists",
            "There is a user with this e-mail address already.",
          );
        }
        await sql`delete from x3sproxy.invitations where email = ${email} or expires_at < now()`;
        const [row] = await sql<InvitationRow[]>`
          insert into x3sproxy.invitations (id, workspace_id, hash, email, role, agents, invited_by)
          values (${newId()}, ${by.workspaceId}, ${digest(token)}, ${email}, ${role}, ${agents}::text[], ${by.name})
          returning *`;
        if (row === undefined) throw new Error("insert returned no row");
        const invitation = view(row);
        await record(sql, by, {
          action: "invitation.create",
          target: targetOf(invitation),
          after: invitation,
        });
        return { invitation, token };
      });
    },

    delete: (by, invitationId) =>
      pool.inWorkspace(by.workspaceId, async (sql) => {
        const [row] = await sql<InvitationRow[]>`
          delete from x3sproxy.invitations where id = ${invitationId} returning *`;
        if (row === undefined) {
          throw new RequestError(404, "invitation_not_found", "There is no such invitation.");
        }
        const before = view(row);
        await record(sql, by, { action: "invitation.delete", target: targetOf(before), before });
      }),
  };
}

function targetOf({ id, email }: InvitationView) {
  return { kind: "invitation", id, name: email };
}

function view(row: InvitationRow): InvitationView {
  return {
    id: row.id,
    email: row.email,
    role: row.role,
    agents: row.agents,
    invitedBy: row.invited_by,
    createdAt: row.created_at.toISOString(),
    expiresAt: row.expires_at.toISOString(),
  };
}
