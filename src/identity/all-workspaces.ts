// The workspaces of the installation. Owners of the home workspace list, create and delete them; all others see only their own. Must
// never show more of another workspace than its name and how many users, agents and secrets it has.
import { record, type Actor } from "../audit/index.ts";
import { isUniqueViolation, type Page, type Pool, type TransactionSql } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import { newBearer, newId, SETUP_TOKEN_PREFIX } from "../platform/ids.ts";
import { digest } from "./credentials.ts";

export interface WorkspaceSummary {
  id: string;
  name: string;
  /** Whether it is the installation's first, whose owners manage the others. */
  home: boolean;
  /** ISO 8601. */
  createdAt: string;
  users: number;
  agents: number;
  secrets: number;
  /** When the setup link for its first user expires or expired; null: there is no link, or there is a user. */
  setupEndsAt: string | null;
}

/** Every change is recorded in the audit of the home workspace. */
export interface AllWorkspaces {
  /** Sorted by name. */
  list(workspaceId: string, page: Page<readonly [name: string]>): Promise<WorkspaceSummary[]>;
  /**
   * Creates a workspace and a setup link for its first user, valid once and for 72 hours. Throws RequestError: 403
   * `home_workspace_only`, 409 `name_taken`.
   */
  create(by: Actor, name: string): Promise<{ workspace: WorkspaceSummary } & SetupLink>;
  /** Replaces the setup link. Throws RequestError: 403 `home_workspace_only`, 404 `workspace_not_found`, 409 `already_set_up`. */
  renewSetupLink(by: Actor, id: string): Promise<SetupLink>;
  /**
   * Deletes a workspace and all that is in it, except its audit, which stays in the database. `name` has to be its name. Throws
   * RequestError: 403 `home_workspace_only`, 404 `workspace_not_found`, 409 `home_workspace`, 422 `name_mismatch`.
   */
  delete(by: Actor, id: string, name: string): Promise<WorkspaceSummary>;
}

export interface SetupLink {
  token: string;
  /** ISO 8601. */
  expiresAt: string;
}

interface Row {
  id: string;
  name: string;
  home: boolean;
  created_at: Date;
  users: string;
  agents: string;
  secrets: string;
  setup_ends_at: Date | null;
}

export function createAllWorkspaces({ pool }: { pool: Pool }): AllWorkspaces {
  return {
    async list(workspaceId, { limit, after: [name] = [""] }) {
      const rows = await pool.inWorkspace(
        workspaceId,
        (sql) => sql<Row[]>`
          select * from x3sproxy.list_workspaces(${name}, ${limit})`,
      );
      return rows.map(view);
    },

    create(by, name) {
      const id = newId();
      const token = newBearer(SETUP_TOKEN_PREFIX);
      return pool
        .inWorkspace(by.workspaceId, async (sql) => {
          const [made] = await sql<{ ends_at: Date | null }[]>`
            select x3sproxy.create_workspace(${id}, ${name}, ${digest(token)}) as ends_at`;
          if (made?.ends_at == null) throw homeOnly();
          const workspace = await find(sql, id);
          const target = targetOf(workspace);
          await record(sql, by, { action: "workspace.create", target, after: workspace });
          return { workspace, token, expiresAt: made.ends_at.toISOString() };
        })
        .catch((error: unknown) => {
          if (!isUniqueViolation(error)) throw error;
          throw new RequestError(409, "name_taken", "Another workspace has this name.");
        });
    },

    renewSetupLink: (by, id) =>
      pool.inWorkspace(by.workspaceId, async (sql) => {
        const workspace = await find(sql, id);
        await refuseElsewhere(sql);
        const token = newBearer(SETUP_TOKEN_PREFIX);
        const [made] = await sql<{ ends_at: Date | null }[]>`
          select x3sproxy.renew_setup_link(${id}, ${digest(token)}) as ends_at`;
        if (made?.ends_at == null) {
          throw new RequestError(
            409,
            "already_set_up",
            "This workspace has users. Its owners can invite more.",
          );
        }
        const expiresAt = made.ends_at.toISOString();
        const target = targetOf(workspace);
        await record(sql, by, { action: "workspace.setup_link", target, after: { id, expiresAt } });
        return { token, expiresAt };
      }),

    delete: (by, id, name) =>
      pool.inWorkspace(by.workspaceId, async (sql) => {
        const workspace = await find(sql, id);
        await refuseElsewhere(sql);
        if (workspace.home) {
          throw new RequestError(409, "home_workspace", "The home workspace can't be deleted.");
        }
        const [done] = await sql<{ deleted: boolean }[]>`
          select x3sproxy.delete_workspace(${id}, ${name}) as deleted`;
        if (done?.deleted !== true) {
          throw new RequestError(
            422,
            "name_mismatch",
            "This is not the workspace's name. Give the name of the one that is to be deleted.",
          );
        }
        const target = targetOf(workspace);
        await record(sql, by, { action: "workspace.delete", target, before: workspace });
        return workspace;
      }),
  };
}

/** Finds a workspace among those that the transaction's workspace may see. */
async function find(sql: TransactionSql, id: string): Promise<WorkspaceSummary> {
  const [row] = await sql<Row[]>`
    select * from x3sproxy.list_workspaces(only_id => ${id}::uuid)`;
  if (row === undefined) {
    throw new RequestError(404, "workspace_not_found", "There is no such workspace.");
  }
  return view(row);
}

async function refuseElsewhere(sql: TransactionSql): Promise<void> {
  // Row-level security shows the transaction's own workspace only.
  if ((await sql`select from x3sproxy.workspaces where home`).count === 0) throw homeOnly();
}

function homeOnly(): RequestError {
  return new RequestError(
    403,
    "home_workspace_only",
    "Only owners of the installation's home workspace can do this.",
  );
}

function targetOf({ id, name }: WorkspaceSummary) {
  return { kind: "workspace", id, name };
}

function view(row: Row): WorkspaceSummary {
  return {
    id: row.id,
    name: row.name,
    home: row.home,
    createdAt: row.created_at.toISOString(),
    users: Number(row.users),
    agents: Number(row.agents),
    secrets: Number(row.secrets),
    setupEndsAt: row.setup_ends_at?.toISOString() ?? null,
  };
}
