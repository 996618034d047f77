// Agents and their tokens: each deployment mints a token and ends the one before it, in one transaction. The token
// leaves here once, as the answer to a deployment; only its SHA-256 is kept.
import { record, type Actor } from "../audit/index.ts";
import type { Clock } from "../clock.ts";
import type { Page, Pool, TransactionSql } from "../db/index.ts";
import { RequestError } from "../errors.ts";
import { PROXY_TOKEN_PREFIX, hashBearer, newBearer, newId } from "../ids.ts";
import { builtInProviders } from "../providers/index.ts";
import type { Vault } from "../vault/index.ts";
import { claimOf, madeBefore, remember, tokenOf } from "./repeated-deployment.ts";

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
  /**
   * Makes the agent if there is none of this name. With an `idempotencyKey`, the same deployment asked for again by the same caller
   * within 24 hours is not made again: its answer is. Throws RequestError 422 saying what is wrong with the request, 409
   * `idempotency_conflict` when the key was given with another request or its deployment is no longer the newest.
   */
  deploy(
    by: Actor,
    d: Deployment,
    idempotencyKey?: string,
  ): Promise<{ agent: AgentView; token: string }>;
  /** By name. */
  list(
    workspaceId: string,
    page?: Page<readonly [name: string]>,
    only?: readonly string[] | null,
  ): Promise<AgentView[]>;
  /** Ends the agent and its token. Throws RequestError 404 `agent_not_found`. */
  destroy(by: Actor, name: string): Promise<AgentView>;
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
export function createAgents(o: {
  pool: Pool;
  clock: Clock;
  vault: Pick<Vault, "deriveBearer">;
}): Agents {
  const { pool, clock, vault } = o;
  return {
    async deploy(by, d, idempotencyKey) {
      const { workspaceId } = by;
      check(d);
      const claim = idempotencyKey === undefined ? undefined : claimOf(by, idempotencyKey, d);
      return pool.inWorkspace(workspaceId, async (sql) => {
        const nowMs = clock.nowMs();
        const made = claim && (await madeBefore(sql, by, claim, nowMs));
        if (claim !== undefined && made !== undefined) {
          const token = tokenOf(vault, by, claim, made);
          return { agent: await repeat(sql, by, d.name, token), token };
        }
        await checkProviders(sql, workspaceId, d.providers ?? []);
        const before = await existing(sql, workspaceId, d.name);
        const row = await upsert(sql, workspaceId, d);
        const [old] = await sql<{ ttl_ms: number | null }[]>`
          delete from x3sproxy.proxy_tokens where agent_id = ${row.id}
          returning (extract(epoch from expires_at - created_at) * 1000)::float8 as ttl_ms`;
        const ttlMs = d.ttlMs === undefined ? (old?.ttl_ms ?? null) : d.ttlMs;
        const expiresAt = ttlMs === null ? null : new Date(nowMs + ttlMs);
        const deployed = { agentId: row.id, deployment: row.deployments, atMs: nowMs };
        const token =
          claim === undefined ? newBearer(PROXY_TOKEN_PREFIX) : tokenOf(vault, by, claim, deployed);
        await sql`
          insert into x3sproxy.proxy_tokens
            (hash, workspace_id, agent_id, deployment, created_at, expires_at)
          values (${Buffer.from(hashBearer(token), "hex")}, ${workspaceId}, ${row.id},
            ${row.deployments}, ${new Date(nowMs)}, ${expiresAt})`;
        if (claim !== undefined) await remember(sql, by, claim, deployed);
        const agent = view({ ...row, expires_at: expiresAt });
        const target = targetOf(agent);
        await record(sql, by, { action: "agent.deploy", target, before, after: agent });
        return { agent, token };
      });
    },
    async list(workspaceId, page, only) {
      const after = page?.after?.[0];
      const rows = await pool.inWorkspace(
        workspaceId,
        (sql) => sql<AgentRow[]>`
          select a.*, t.expires_at
          from x3sproxy.agents a left join x3sproxy.proxy_tokens t on t.agent_id = a.id
          where a.workspace_id = ${workspaceId}
            ${after === undefined ? sql`` : sql`and a.name > ${after}`}
            ${only == null ? sql`` : sql`and a.name = any (${[...only]})`}
          order by a.name
          ${page === undefined ? sql`` : sql`limit ${page.limit}`}`,
      );
      return rows.map(view);
    },
    destroy: (by, name) =>
      pool.inWorkspace(by.workspaceId, async (sql) => {
        const before = await existing(sql, by.workspaceId, name);
        if (before === undefined) {
          throw new RequestError(404, "agent_not_found", `there is no agent "${name}"`);
        }
        await sql`delete from x3sproxy.agents where id = ${before.id}`;
        await record(sql, by, { action: "agent.destroy", target: targetOf(before), before });
        return before;
      }),
  };
}

/** The answer to a deployment that was made before. Recorded too, since its token is shown again. */
async function repeat(
  sql: TransactionSql,
  by: Actor,
  name: string,
  token: string,
): Promise<AgentView> {
  const agent = await existing(sql, by.workspaceId, name);
  const [live] = await sql`
    select from x3sproxy.proxy_tokens
    where hash = ${Buffer.from(hashBearer(token), "hex")} and agent_id = ${agent?.id ?? null}`;
  if (agent === undefined || live === undefined) {
    throw new RequestError(
      409,
      "idempotency_conflict",
      "What was deployed under this idempotency key has been redeployed or destroyed since. Take a new key.",
    );
  }
  const target = targetOf(agent);
  await record(sql, by, {
    action: "agent.deploy",
    target,
    before: agent,
    after: agent,
    result: "repeated",
  });
  return agent;
}

/** The agent as it is. Holds its row until the transaction ends. */
async function existing(
  sql: TransactionSql,
  workspaceId: string,
  name: string,
): Promise<AgentView | undefined> {
  // Two statements: what the second sees is what the first waited for.
  await sql`
    select from x3sproxy.agents where workspace_id = ${workspaceId} and name = ${name} for update`;
  const [row] = await sql<AgentRow[]>`
    select a.*, t.expires_at
    from x3sproxy.agents a left join x3sproxy.proxy_tokens t on t.agent_id = a.id
    where a.workspace_id = ${workspaceId} and a.name = ${name}`;
  return row && view(row);
}

function targetOf({ id, name }: AgentView) {
  return { kind: "agent", id, name };
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
