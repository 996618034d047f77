// Reads agents: as rows of the database, and as they are shown. Must never write.
import { searchWords, type Page, type TransactionSql } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import type { Limits } from "../limits/index.ts";
import type { ScopeFields } from "../scopes/index.ts";

/** All times ISO 8601, UTC. */
export interface AgentView extends ScopeFields {
  id: string;
  name: string;
  environment: string;
  /** When its scope ends, whenever its token does; null: never. */
  scopeExpiresAt: string | null;
  limits: Limits;
  /** Since when the agent itself is suspended; null: it is not. Suspending the whole workspace leaves this as it is. */
  suspendedAt: string | null;
  /** Counts from 1. */
  deployment: number;
  createdAt: string;
  deployedAt: string;
  /** When its token ends; null: never. */
  expiresAt: string | null;
}

/** A scope without its environment. */
export interface ScopeRow {
  providers: string[] | null;
  rules: string[] | null;
  allowed_endpoints: string[];
  addresses: string[] | null;
  models: string[] | null;
  scope_expires_at: Date | null;
  requests_per_minute: number | null;
  open_streams: number | null;
  /** A bigint: text on the wire. */
  bytes_per_minute: string | null;
}

export interface AgentRow extends ScopeRow {
  id: string;
  name: string;
  environment: string;
  suspended_at: Date | null;
  deployments: number;
  created_at: Date;
  deployed_at: Date;
  expires_at: Date | null;
}

/** The agent of this name, or undefined. Locks its row until the transaction ends. */
export async function findAgent(
  sql: TransactionSql,
  workspaceId: string,
  name: string,
): Promise<AgentView | undefined> {
  // Two statements, so that the second one sees what the first one waited for.
  await sql`
    select from x3sproxy.agents where workspace_id = ${workspaceId} and name = ${name} for update`;
  const [row] = await sql<AgentRow[]>`
    select a.*, t.expires_at
    from x3sproxy.agents a
    left join x3sproxy.proxy_tokens t on t.agent_id = a.id and t.kind = 'deployment'
    where a.workspace_id = ${workspaceId} and a.name = ${name}`;
  return row && agentView(row);
}

export function scopeOf(row: ScopeRow) {
  const { providers, rules, addresses, models } = row;
  return {
    ...{ providers, rules, addresses, models },
    allowedEndpoints: row.allowed_endpoints,
    scopeExpiresAt: row.scope_expires_at?.toISOString() ?? null,
    limits: {
      requestsPerMinute: row.requests_per_minute,
      openStreams: row.open_streams,
      bytesPerMinute: row.bytes_per_minute === null ? null : Number(row.bytes_per_minute),
    },
  };
}

export function agentView(row: AgentRow): AgentView {
  return {
    id: row.id,
    name: row.name,
    environment: row.environment,
    ...scopeOf(row),
    suspendedAt: row.suspended_at?.toISOString() ?? null,
    deployment: row.deployments,
    createdAt: row.created_at.toISOString(),
    deployedAt: row.deployed_at.toISOString(),
    expiresAt: row.expires_at?.toISOString() ?? null,
  };
}

/** As `findAgent`. Throws RequestError 404 `agent_not_found` if there is none. */
export async function needAgent(
  sql: TransactionSql,
  workspaceId: string,
  name: string,
): Promise<AgentView> {
  const agent = await findAgent(sql, workspaceId, name);
  if (agent !== undefined) return agent;
  throw new RequestError(404, "agent_not_found", `there is no agent "${name}"`);
}

/** The agent as the target of an audit event. */
export function agentTarget({ id, name }: AgentView) {
  return { kind: "agent", id, name };
}

/** Which agents a list has: those to which everything that is given applies. */
export interface AgentFilter {
  /** Words in the agent's name or its environment's, in upper or lower case. */
  readonly query?: string | undefined;
  readonly environment?: string | undefined;
  /** A provider that its scope lets it use. */
  readonly mayUse?: string | undefined;
  /** A provider that it has used. */
  readonly used?: string | undefined;
}

/** Which agents a list has. `only`: the names that the caller may see; null: all. */
interface Listed {
  readonly only: readonly string[] | null;
  readonly filter: AgentFilter;
}

/** By name. */
export async function listAgents(
  sql: TransactionSql,
  workspaceId: string,
  { page, ...listed }: Listed & { page: Page<readonly [name: string]> | undefined },
): Promise<AgentView[]> {
  const after = page?.after?.[0];
  const rows = await sql<AgentRow[]>`
    select a.*, t.expires_at
    from x3sproxy.agents a
    left join x3sproxy.proxy_tokens t on t.agent_id = a.id and t.kind = 'deployment'
    where ${isListed(sql, workspaceId, listed)}
      ${after === undefined ? sql`` : sql`and a.name > ${after}`}
    order by a.name
    ${page === undefined ? sql`` : sql`limit ${page.limit}`}`;
  return rows.map(agentView);
}

/** How many such a list has, over all pages. */
export async function countAgents(
  sql: TransactionSql,
  workspaceId: string,
  listed: Listed,
): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::integer from x3sproxy.agents a where ${isListed(sql, workspaceId, listed)}`;
  return row?.count ?? 0;
}

function isListed(sql: TransactionSql, workspaceId: string, { only, filter }: Listed) {
  const { query, environment, mayUse, used } = filter;
  return sql`
    a.workspace_id = ${workspaceId}
    ${only === null ? sql`` : sql`and a.name = any (${[...only]})`}
    ${searchWords(query).reduce(
      (all, word) => sql`${all}
        and (strpos(a.name, ${word}) > 0 or strpos(a.environment, ${word}) > 0)`,
      sql``,
    )}
    ${environment === undefined ? sql`` : sql`and a.environment = ${environment}`}
    ${mayUse === undefined ? sql`` : sql`and (a.providers is null or ${mayUse} = any (a.providers))`}
    ${
      used === undefined
        ? sql``
        : sql`and exists (
            select from x3sproxy.activity_agents u
            where u.workspace_id = ${workspaceId} and u.agent_id = a.id and u.provider = ${used})`
    }`;
}
