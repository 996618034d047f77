// An agent as it is stored and as it is shown.
import type { TransactionSql } from "../db/index.ts";
import { RequestError } from "../errors.ts";
import type { Limits } from "../limits/index.ts";
import type { ScopeFields } from "../scopes/index.ts";

/** All times ISO 8601, UTC. */
export interface AgentView extends ScopeFields {
  id: string;
  name: string;
  environment: string;
  /** When its scope ends, whatever its token's own end; null: never. */
  scopeExpiresAt: string | null;
  limits: Limits;
  /** Since when it is suspended by itself; null: it is not. */
  suspendedAt: string | null;
  /** Counts from 1. */
  deployment: number;
  createdAt: string;
  deployedAt: string;
  /** Of its token; null: never. */
  expiresAt: string | null;
}

/** A scope, but for its environment. */
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

/** The agent of this name as it is, or undefined. Holds its row until the transaction ends. */
export async function findAgent(
  sql: TransactionSql,
  workspaceId: string,
  name: string,
): Promise<AgentView | undefined> {
  // Two statements: what the second sees is what the first waited for.
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

/** The same where there has to be one. Throws RequestError 404 `agent_not_found`. */
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
