// A workspace's own settings: its name, its rules, and whether all of its agents are suspended. Must never change another workspace.
import { record, type Actor } from "../audit/index.ts";
import { isUniqueViolation, type Pool, type TransactionSql } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";

/** Limits on all agents of the workspace together. Null: no limit. */
export interface WorkspaceLimits {
  requestsPerMinute: number | null;
  /** Concurrent calls, including WebSocket connections. */
  openStreams: number | null;
  /** Counts requests and answers together. */
  bytesPerMinute: number | null;
  openWebsockets: number | null;
}

export interface WorkspaceView {
  id: string;
  name: string;
  /** Whether a user without a second factor has to enrol one before anything else. */
  secondFactorRequired: boolean;
  /** After how many days a key is due for rotation. */
  rotationDays: number;
  /** After how many days without a call an agent counts as idle. */
  idleDays: number;
  limits: WorkspaceLimits;
  /** After how many days without use a token ends; null: never. */
  unusedDays: number | null;
  /** For how many days audit events are kept; null: for ever. */
  auditRetentionDays: number | null;
  /** When a shorter retention takes effect, ISO 8601; null: it is in effect. */
  auditRetentionFrom: string | null;
  /** The environments that have a key or an agent. */
  environments: string[];
  /** Since when all agents of the workspace are suspended, besides their own state, ISO 8601; null: they are not. */
  agentsSuspendedAt: string | null;
}

export interface WorkspaceChange {
  name?: string | undefined;
  secondFactorRequired?: boolean | undefined;
  rotationDays?: number | undefined;
  idleDays?: number | undefined;
  limits?: { [Name in keyof WorkspaceLimits]?: WorkspaceLimits[Name] | undefined } | undefined;
  unusedDays?: number | null | undefined;
  auditRetentionDays?: number | null | undefined;
}

export interface Workspaces {
  /** `only`: the names of the agents whose environments are listed; null: all. */
  get(workspaceId: string, only: readonly string[] | null): Promise<WorkspaceView>;
  /** Changes what is given. Recorded in the audit. Throws RequestError 409 `name_taken`. */
  change(by: Actor, change: WorkspaceChange): Promise<WorkspaceView>;
  /** Suspends all agents; their own states stay. Changes nothing when they are suspended already. Recorded in the audit. */
  suspendAgents(by: Actor): Promise<WorkspaceView>;
  /** Ends the suspension of all agents; those suspended one by one stay so. Recorded in the audit. */
  resumeAgents(by: Actor): Promise<WorkspaceView>;
}

export function createWorkspaces({ pool }: { pool: Pool }): Workspaces {
  const setSuspended = (by: Actor, suspended: boolean): Promise<WorkspaceView> =>
    pool.inWorkspace(by.workspaceId, async (sql) => {
      await sql`select from x3sproxy.workspaces where id = ${by.workspaceId} for update`;
      const before = await find(sql, by.workspaceId);
      if ((before.agentsSuspendedAt !== null) === suspended) return before;
      await sql`
        update x3sproxy.workspaces set agents_suspended_at = case when ${suspended} then now() end
        where id = ${by.workspaceId}`;
      const after = await find(sql, by.workspaceId);
      const target = { kind: "workspace", id: after.id, name: after.name };
      const action = suspended ? "workspace.suspend" : "workspace.resume";
      await record(sql, by, { action, target, before, after });
      return after;
    });
  return {
    suspendAgents: (by) => setSuspended(by, true),
    resumeAgents: (by) => setSuspended(by, false),

    get: (workspaceId, only) =>
      pool.inWorkspace(workspaceId, (sql) => find(sql, workspaceId, only)),

    change: (by, { auditRetentionDays, limits = {}, ...rules }) => {
      const { name, secondFactorRequired, rotationDays, idleDays, unusedDays } = rules;
      return pool
        .inWorkspace(by.workspaceId, async (sql) => {
          await sql`select from x3sproxy.workspaces where id = ${by.workspaceId} for update`;
          const before = await find(sql, by.workspaceId);
          const wanted = { ...before.limits, ...defined(limits) };
          await sql`
            update x3sproxy.workspaces set
              name = coalesce(${name ?? null}, name),
              second_factor_required = coalesce(${secondFactorRequired ?? null}, second_factor_required),
              rotation_days = coalesce(${rotationDays ?? null}, rotation_days),
              idle_days = coalesce(${idleDays ?? null}, idle_days),
              unused_days = ${unusedDays === undefined ? sql`unused_days` : unusedDays},
              requests_per_minute = ${wanted.requestsPerMinute},
              open_streams = ${wanted.openStreams},
              bytes_per_minute = ${wanted.bytesPerMinute},
              open_websockets = ${wanted.openWebsockets}
            where id = ${by.workspaceId}`;
          if (auditRetentionDays !== undefined) {
            await sql`
              update x3sproxy.audit_retentions set days = ${auditRetentionDays}
              where workspace_id = ${by.workspaceId}`;
          }
          const after = await find(sql, by.workspaceId);
          const target = { kind: "workspace", id: after.id, name: after.name };
          await record(sql, by, { action: "workspace.change", target, before, after });
          return after;
        })
        .catch((error: unknown) => {
          if (!isUniqueViolation(error)) throw error;
          throw new RequestError(409, "name_taken", "Another workspace has this name.");
        });
    },
  };
}

/** Drops fields that are undefined. */
function defined(limits: NonNullable<WorkspaceChange["limits"]>): Partial<WorkspaceLimits> {
  return Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== undefined));
}

async function find(
  sql: TransactionSql,
  workspaceId: string,
  only: readonly string[] | null = null,
): Promise<WorkspaceView> {
  type Moment = "agentsSuspendedAt" | "auditRetentionFrom";
  type Row = Omit<WorkspaceView, Moment> & Record<Moment, Date | null>;
  const [row] = await sql<Row[]>`
    select w.id, w.name, w.agents_suspended_at as "agentsSuspendedAt", w.second_factor_required as "secondFactorRequired",
      w.rotation_days as "rotationDays", w.idle_days as "idleDays", w.unused_days as "unusedDays",
      r.days as "auditRetentionDays",
      case when x3sproxy.audit_days_in_force(r.days, r.days_before, r.changed_at) is distinct from r.days
        then r.changed_at + interval '7 days' end as "auditRetentionFrom",
      jsonb_build_object('requestsPerMinute', w.requests_per_minute, 'openStreams', w.open_streams,
        'bytesPerMinute', w.bytes_per_minute, 'openWebsockets', w.open_websockets) as limits,
      array(select environment from x3sproxy.secrets union select environment from x3sproxy.agents
        where ${only === null} or name = any (${[...(only ?? [])]})
        order by 1) as environments
    from x3sproxy.workspaces w join x3sproxy.audit_retentions r on r.workspace_id = w.id
    where w.id = ${workspaceId}`;
  if (row === undefined) throw new Error("the workspace is missing");
  return {
    ...row,
    agentsSuspendedAt: row.agentsSuspendedAt?.toISOString() ?? null,
    auditRetentionFrom: row.auditRetentionFrom?.toISOString() ?? null,
  };
}
