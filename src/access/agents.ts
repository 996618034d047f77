// Agents and their tokens: each deployment mints a token and ends the one before it, in one transaction. The token
// leaves here once, as the answer to a deployment; only its SHA-256 is kept.
import type { Clock } from "../clock.ts";
import type { Pool, TransactionSql } from "../db/index.ts";
import { RequestError } from "../errors.ts";
import { PROXY_TOKEN_PREFIX, hashBearer, newBearer, newId } from "../ids.ts";
import { builtInProviders } from "../providers/index.ts";

export interface AgentView {
  id: string;
  name: string;
  environment: string;
  /** null: every provider. */
  providers: string[] | null;
  allowedEndpoints: string[];
  /** Counts from 1. */
  deployment: number;
  createdAt: string;
  deployedAt: string;
  /** Of its token; null: never. */
  expiresAt: string | null;
}

/** What is left out stays as it was at the deployment before; at the first: production, everything, no expiry. */
export interface Deployment {
  name: string;
  environment?: string;
  /** null: every provider. */
  providers?: string[] | null;
  /** Sensitive endpoints, as `<provider>:<name>`. */
  allowedEndpoints?: string[];
  /** Life of the token; null: without end. */
  ttlMs?: number | null;
}

export interface Agents {
  /** Makes the agent if there is none of this name. Throws RequestError 422 saying what is wrong with the request. */
  deploy(workspaceId: string, d: Deployment): Promise<{ agent: AgentView; token: string }>;
  list(workspaceId: string): Promise<AgentView[]>;
  /** Ends the agent and its token. Throws RequestError 404 `agent_not_found`. */
  destroy(workspaceId: string, name: string): Promise<AgentView>;
}

interface AgentRow {
  id: string;
  name: string;
  environment: string;
  providers: string[] | null;
  allowed_endpoints: string[];
  deployments: number;
  created_at: Date;
  deployed_at: Date;
  expires_at: Date | null;
}

const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const ENVIRONMENT = /^[a-z0-9][a-z0-9-]{0,62}$/;
const MIN_TTL_MS = 60_000;
const MAX_TTL_MS = 365 * 86_400_000;

/** `pool`: the control role's. */
export function createAgents(o: { pool: Pool; clock: Clock }): Agents {
  const { pool, clock } = o;
  return {
    async deploy(workspaceId, d) {
      check(d);
      const token = newBearer(PROXY_TOKEN_PREFIX);
      const agent = await pool.inWorkspace(workspaceId, async (sql) => {
        await checkProviders(sql, workspaceId, d.providers ?? []);
        const row = await upsert(sql, workspaceId, d);
        const [old] = await sql<{ ttl_ms: number | null }[]>`
          delete from x3sproxy.proxy_tokens where agent_id = ${row.id}
          returning (extract(epoch from expires_at - created_at) * 1000)::float8 as ttl_ms`;
        const ttlMs = d.ttlMs === undefined ? (old?.ttl_ms ?? null) : d.ttlMs;
        const nowMs = clock.nowMs();
        const expiresAt = ttlMs === null ? null : new Date(nowMs + ttlMs);
        await sql`
          insert into x3sproxy.proxy_tokens
            (hash, workspace_id, agent_id, deployment, created_at, expires_at)
          values (${Buffer.from(hashBearer(token), "hex")}, ${workspaceId}, ${row.id},
            ${row.deployments}, ${new Date(nowMs)}, ${expiresAt})`;
        return view({ ...row, expires_at: expiresAt });
      });
      return { agent, token };
    },
    async list(workspaceId) {
      const rows = await pool.inWorkspace(
        workspaceId,
        (sql) => sql<AgentRow[]>`
          select a.*, t.expires_at
          from x3sproxy.agents a left join x3sproxy.proxy_tokens t on t.agent_id = a.id
          where a.workspace_id = ${workspaceId}
          order by a.name`,
      );
      return rows.map(view);
    },
    async destroy(workspaceId, name) {
      const [row] = await pool.inWorkspace(
        workspaceId,
        (sql) => sql<AgentRow[]>`
          with a as (
            delete from x3sproxy.agents
            where workspace_id = ${workspaceId} and name = ${name} returning *
          )
          select a.*, t.expires_at
          from a left join x3sproxy.proxy_tokens t on t.agent_id = a.id`,
      );
      if (row === undefined) {
        throw new RequestError(404, "agent_not_found", `there is no agent "${name}"`);
      }
      return view(row);
    },
  };
}

function check({ name, environment, allowedEndpoints, ttlMs }: Deployment): void {
  if (!NAME.test(name)) {
    throw new RequestError(
      422,
      "agent_name_invalid",
      "name an agent with up to 63 of a-z, 0-9, dot, - and _, a letter or digit first",
    );
  }
  if (environment !== undefined && !ENVIRONMENT.test(environment)) {
    throw new RequestError(
      422,
      "environment_invalid",
      "name an environment with up to 63 of a-z, 0-9 and -, a letter or digit first",
    );
  }
  for (const endpoint of allowedEndpoints ?? []) {
    if (!isSensitiveEndpoint(endpoint)) {
      throw new RequestError(
        422,
        "endpoint_unknown",
        "give sensitive endpoints as <provider>:<name>, as the list of providers names them",
      );
    }
  }
  if (typeof ttlMs === "number" && !(ttlMs >= MIN_TTL_MS && ttlMs <= MAX_TTL_MS)) {
    throw new RequestError(422, "ttl_invalid", "give a life of 1 minute to 365 days");
  }
}

function isSensitiveEndpoint(text: string): boolean {
  const [provider = "", name, ...more] = text.split(":");
  const endpoints = builtInProviders.get(provider)?.sensitiveEndpoints ?? [];
  return more.length === 0 && endpoints.some((endpoint) => endpoint.name === name);
}

async function checkProviders(
  sql: TransactionSql,
  workspaceId: string,
  names: string[],
): Promise<void> {
  const others = names.filter((name) => !builtInProviders.has(name));
  if (others.length === 0) return;
  const rows = await sql<{ name: string }[]>`
    select name from x3sproxy.providers where workspace_id = ${workspaceId}`;
  const known = new Set(rows.map((row) => row.name));
  const stranger = others.find((name) => !known.has(name));
  if (stranger === undefined) return;
  const all = [...builtInProviders.keys(), ...known].join(", ");
  throw new RequestError(422, "provider_unknown", `no provider is called that; there are: ${all}`);
}

/** Locks the agent's row until the transaction ends, so that deployments of one agent come one after the other. */
async function upsert(
  sql: TransactionSql,
  workspaceId: string,
  d: Deployment,
): Promise<Omit<AgentRow, "expires_at">> {
  const { name, providers } = d;
  const environment = d.environment ?? null;
  const endpoints = d.allowedEndpoints ?? null;
  const [row] = await sql<Omit<AgentRow, "expires_at">[]>`
    insert into x3sproxy.agents as a
      (id, workspace_id, name, environment, providers, allowed_endpoints, deployments)
    values (${newId()}, ${workspaceId}, ${name}, coalesce(${environment}, 'production'),
      ${providers ?? null}::text[], coalesce(${endpoints}::text[], '{}'), 1)
    on conflict (workspace_id, name) do update set
      environment = coalesce(${environment}, a.environment),
      providers = case when ${providers === undefined} then a.providers else excluded.providers end,
      allowed_endpoints = coalesce(${endpoints}::text[], a.allowed_endpoints),
      deployments = a.deployments + 1,
      deployed_at = now()
    returning a.*`;
  if (row === undefined) throw new Error("insert returned no row");
  return row;
}

function view(row: AgentRow): AgentView {
  return {
    id: row.id,
    name: row.name,
    environment: row.environment,
    providers: row.providers,
    allowedEndpoints: row.allowed_endpoints,
    deployment: row.deployments,
    createdAt: row.created_at.toISOString(),
    deployedAt: row.deployed_at.toISOString(),
    expiresAt: row.expires_at?.toISOString() ?? null,
  };
}
