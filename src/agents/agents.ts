// Agents and their tokens: each deployment mints a token and ends those before it, leases too, in one transaction. The token
// leaves here once, as the answer to a deployment; only its SHA-256 is kept.
import { record, type Actor } from "../audit/index.ts";
import type { Clock } from "../clock.ts";
import { searchWords, type Page, type Pool, type TransactionSql } from "../db/index.ts";
import { RequestError } from "../errors.ts";
import { PROXY_TOKEN_PREFIX, hashBearer, newBearer, newId } from "../ids.ts";
import type { Vault } from "../vault/index.ts";
import {
  agentTarget,
  agentView,
  findAgent,
  needAgent,
  type AgentRow,
  type AgentView,
} from "./agent-view.ts";
import { ALL_RIGHTS, demandForChange, type Rights } from "./demands.ts";
import { forgetScope, rememberScope, scopeOfNew } from "./new-agents.ts";
import { checkScope, storeScope, type ScopeChange } from "./scope-change.ts";
import { setSuspended } from "./suspension.ts";
import { claimOf, madeBefore, remember, tokenOf } from "./repeated-deployment.ts";

/** What is left out stays as it was at the deployment before; at the first it is as the workspace says of new agents, without expiry. */
export interface Deployment extends ScopeChange {
  name: string;
  /** Life of the token; null: without end. */
  ttlMs?: number | null | undefined;
}

/** A caller's own means beside its request. */
export interface DeployOptions {
  readonly idempotencyKey?: string | undefined;
  /** To scopes that are wider, or another than the agent has. */
  readonly rights?: Rights;
}

/** Which agents a list is about; all that is given has to hold. */
export interface AgentFilter {
  /** In its name or its environment's, upper and lower case alike. */
  readonly query?: string | undefined;
  readonly environment?: string | undefined;
  /** A provider that its scope lets it use. */
  readonly mayUse?: string | undefined;
  /** A provider that it has used. */
  readonly used?: string | undefined;
}

export interface Agents {
  /**
   * Makes the agent if there is none of this name. With an `idempotencyKey`, the same deployment asked for again by the same caller
   * within 24 hours is not made again: its answer is. Throws RequestError 422 saying what is wrong with the request, 409
   * `idempotency_conflict` when the key was given with another request or its deployment is no longer the newest, 403
   * `role_too_low` or `proof_needed` when its scope would be another than it has, or more than new agents get, and `rights` don't do.
   */
  deploy(
    by: Actor,
    d: Deployment,
    options?: DeployOptions,
  ): Promise<{ agent: AgentView; token: string }>;
  /**
   * Changes what the agent may do, at once and with the token that it has. Throws RequestError 404 `agent_not_found`, 422, 403 as
   * `deploy`.
   */
  changeScope(by: Actor, name: string, change: ScopeChange, rights?: Rights): Promise<AgentView>;
  /** By name. */
  list(
    workspaceId: string,
    page?: Page<readonly [name: string]>,
    only?: readonly string[] | null,
    filter?: AgentFilter,
  ): Promise<AgentView[]>;
  /** How many such a list has, over all pages. */
  count(workspaceId: string, only: readonly string[] | null, filter: AgentFilter): Promise<number>;
  /**
   * Refuses its calls and cuts the open ones until it is resumed, redeployments or not. Changes nothing when it is suspended.
   * Throws RequestError 404 `agent_not_found`.
   */
  suspend(by: Actor, name: string): Promise<AgentView>;
  /** Lets it go on with the tokens that it has. Throws RequestError 404 `agent_not_found`. */
  resume(by: Actor, name: string): Promise<AgentView>;
  /** Ends the agent and its tokens. Throws RequestError 404 `agent_not_found`. */
  destroy(by: Actor, name: string): Promise<AgentView>;
}

const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
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
    async deploy(by, asked, { idempotencyKey, rights = ALL_RIGHTS } = {}) {
      const { workspaceId } = by;
      check(asked);
      const claim = idempotencyKey === undefined ? undefined : claimOf(by, idempotencyKey, asked);
      return pool.inWorkspace(workspaceId, async (sql) => {
        const nowMs = clock.nowMs();
        const made = claim && (await madeBefore(sql, by, claim, nowMs));
        if (claim !== undefined && made !== undefined) {
          const token = tokenOf(vault, by, claim, made);
          return { agent: await repeat(sql, by, asked.name, token), token };
        }
        const { name, ttlMs: askedTtlMs, ...rest } = asked;
        const change = await checkScope(sql, workspaceId, rest);
        await takeTurn(sql, workspaceId, name);
        const before = await findAgent(sql, workspaceId, name);
        const row =
          before === undefined
            ? await make(sql, workspaceId, { name, change, rights })
            : await redeploy(sql, before, { change, rights });
        const oldTtlMs = await endTokens(sql, row.id);
        const ttlMs = askedTtlMs === undefined ? oldTtlMs : askedTtlMs;
        const expiresAt = ttlMs === null ? null : new Date(nowMs + ttlMs);
        const deployed = { agentId: row.id, deployment: row.deployments, atMs: nowMs };
        const token =
          claim === undefined ? newBearer(PROXY_TOKEN_PREFIX) : tokenOf(vault, by, claim, deployed);
        await sql`
          insert into x3sproxy.proxy_tokens
            (hash, workspace_id, agent_id, deployment, created_at, expires_at, ttl_ms)
          values (${Buffer.from(hashBearer(token), "hex")}, ${workspaceId}, ${row.id},
            ${row.deployments}, ${new Date(nowMs)}, ${expiresAt}, ${ttlMs})`;
        if (claim !== undefined) await remember(sql, by, claim, deployed);
        const agent = await findAgent(sql, workspaceId, name);
        if (agent === undefined) throw new Error("a deployed agent is missing");
        const target = agentTarget(agent);
        await record(sql, by, { action: "agent.deploy", target, before, after: agent });
        return { agent, token };
      });
    },
    async list(workspaceId, page, only, filter = {}) {
      const after = page?.after?.[0];
      const rows = await pool.inWorkspace(
        workspaceId,
        (sql) => sql<AgentRow[]>`
          select a.*, t.expires_at
          from x3sproxy.agents a
          left join x3sproxy.proxy_tokens t on t.agent_id = a.id and t.kind = 'deployment'
          where a.workspace_id = ${workspaceId}
            ${after === undefined ? sql`` : sql`and a.name > ${after}`}
            ${only == null ? sql`` : sql`and a.name = any (${[...only]})`}
            ${fitting(sql, workspaceId, filter)}
          order by a.name
          ${page === undefined ? sql`` : sql`limit ${page.limit}`}`,
      );
      return rows.map(agentView);
    },
    count: (workspaceId, only, filter) =>
      pool.inWorkspace(workspaceId, async (sql) => {
        const [row] = await sql<{ count: number }[]>`
          select count(*)::integer from x3sproxy.agents a
          where a.workspace_id = ${workspaceId}
            ${only === null ? sql`` : sql`and a.name = any (${[...only]})`}
            ${fitting(sql, workspaceId, filter)}`;
        return row?.count ?? 0;
      }),
    changeScope: (by, name, asked, rights = ALL_RIGHTS) =>
      pool.inWorkspace(by.workspaceId, async (sql) => {
        const change = await checkScope(sql, by.workspaceId, asked);
        const before = await needAgent(sql, by.workspaceId, name);
        demandForChange(rights, before, change);
        await storeScope(sql, before.id, change);
        const after = await needAgent(sql, by.workspaceId, name);
        await record(sql, by, { action: "agent.scope", target: agentTarget(after), before, after });
        return after;
      }),
    suspend: (by, name) =>
      pool.inWorkspace(by.workspaceId, async (sql) =>
        setSuspended(sql, by, await needAgent(sql, by.workspaceId, name), true),
      ),
    resume: (by, name) =>
      pool.inWorkspace(by.workspaceId, async (sql) =>
        setSuspended(sql, by, await needAgent(sql, by.workspaceId, name), false),
      ),
    destroy: (by, name) =>
      pool.inWorkspace(by.workspaceId, async (sql) => {
        const before = await needAgent(sql, by.workspaceId, name);
        await sql`delete from x3sproxy.agents where id = ${before.id}`;
        await rememberScope(sql, by.workspaceId, before);
        await record(sql, by, { action: "agent.destroy", target: agentTarget(before), before });
        return before;
      }),
  };
}

function fitting(sql: TransactionSql, workspaceId: string, filter: AgentFilter) {
  const { query, environment, mayUse, used } = filter;
  return sql`
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

/** The answer to a deployment that was made before. Recorded too, since its token is shown again. */
async function repeat(
  sql: TransactionSql,
  by: Actor,
  name: string,
  token: string,
): Promise<AgentView> {
  const agent = await findAgent(sql, by.workspaceId, name);
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
  const target = agentTarget(agent);
  await record(sql, by, {
    action: "agent.deploy",
    target,
    before: agent,
    after: agent,
    result: "repeated",
  });
  return agent;
}

/**
 * Ends every token of the agent, leases and registrations too: one of them may be why it is redeployed. Returns the life that was asked
 * for its deployment's, in milliseconds; null: none.
 */
async function endTokens(sql: TransactionSql, agentId: string): Promise<number | null> {
  await sql`delete from x3sproxy.registrations where agent_id = ${agentId}`;
  const ended = await sql<{ kind: string; ttlMs: number | null }[]>`
    delete from x3sproxy.proxy_tokens where agent_id = ${agentId}
    returning kind, ttl_ms::float8 as "ttlMs"`;
  return ended.find(({ kind }) => kind === "deployment")?.ttlMs ?? null;
}

function check({ name, ttlMs }: Deployment): void {
  if (!NAME.test(name)) {
    throw new RequestError(
      422,
      "agent_name_invalid",
      "name an agent with up to 63 of a-z, 0-9, dot, - and _, a letter or digit first",
    );
  }
  if (typeof ttlMs === "number" && !(ttlMs >= MIN_TTL_MS && ttlMs <= MAX_TTL_MS)) {
    throw new RequestError(422, "ttl_invalid", "give a life of 1 minute to 365 days");
  }
}

/** Deployments of one name come one after the other, of one that there isn't yet, too: nobody's check is of another's agent. */
async function takeTurn(sql: TransactionSql, workspaceId: string, name: string): Promise<void> {
  const lock = `x3sproxy agent ${workspaceId} ${name}`;
  await sql`select pg_advisory_xact_lock(hashtextextended(${lock}, 0))`;
}

interface Deployed {
  id: string;
  deployments: number;
}

async function make(
  sql: TransactionSql,
  workspaceId: string,
  wanted: { name: string; change: ScopeChange; rights: Rights },
): Promise<Deployed> {
  const { name } = wanted;
  const scope = await scopeOfNew(sql, workspaceId, wanted);
  const id = newId();
  await sql`
    insert into x3sproxy.agents (id, workspace_id, name, environment, deployments)
    values (${id}, ${workspaceId}, ${name}, ${scope.environment}, 1)`;
  await storeScope(sql, id, scope);
  await forgetScope(sql, workspaceId, name);
  return { id, deployments: 1 };
}

/** `before`: with its row held. */
async function redeploy(
  sql: TransactionSql,
  before: AgentView,
  { change, rights }: { change: ScopeChange; rights: Rights },
): Promise<Deployed> {
  demandForChange(rights, before, change);
  const [row] = await sql<Deployed[]>`
    update x3sproxy.agents set deployments = deployments + 1, deployed_at = now()
    where id = ${before.id} returning id, deployments`;
  if (row === undefined) throw new Error("a held agent is missing");
  await storeScope(sql, row.id, change);
  return row;
}
