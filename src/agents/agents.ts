// Agents and their tokens. Each deployment mints a token and ends the agent's other tokens, leases too, in one transaction. The token is
// returned once, by the deployment; only its SHA-256 is stored.
import { record, type Actor } from "../audit/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Page, Pool, TransactionSql } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import { PROXY_TOKEN_PREFIX, hashBearer, newBearer, newId } from "../platform/ids.ts";
import type { Vault } from "../vault/index.ts";
import {
  agentTarget,
  countAgents,
  findAgent,
  listAgents,
  needAgent,
  type AgentFilter,
  type AgentView,
} from "./agent-view.ts";
import { ALL_RIGHTS, demandForChange, type Rights } from "./demands.ts";
import { forgetScope, rememberScope, scopeOfNew } from "./new-agents.ts";
import { checkScope, storeScope, type ScopeChange } from "./scope-change.ts";
import { claimOf, madeBefore, remember, tokenOf, type Deployment } from "./repeated-deployment.ts";

/** What a caller brings beside its request. */
export interface DeployOptions {
  readonly idempotencyKey?: string | undefined;
  /** Whether it may give the agent a wider scope, or another than it has. All rights if left out. */
  readonly rights?: Rights;
}

export interface Agents {
  /**
   * Deploys the agent; makes it if there is none of this name. If the same caller repeats a request with the same `idempotencyKey` within
   * 24 hours, nothing is deployed again: the same answer is returned. Throws RequestError: 422 if the request is wrong; 409
   * `idempotency_conflict` if the key was used for another request, or its deployment is no longer the newest; 403 `role_too_low` or
   * `proof_needed` if `rights` don't allow the scope that is asked for.
   */
  deploy(
    by: Actor,
    d: Deployment,
    options?: DeployOptions,
  ): Promise<{ agent: AgentView; token: string }>;
  /**
   * Changes what the agent may do, at once; it keeps its token. Throws RequestError 404 `agent_not_found`, and 422 and 403 as `deploy`.
   */
  changeScope(by: Actor, name: string, change: ScopeChange, rights?: Rights): Promise<AgentView>;
  /** By name. */
  list(
    workspaceId: string,
    page?: Page<readonly [name: string]>,
    only?: readonly string[] | null,
    filter?: AgentFilter,
  ): Promise<AgentView[]>;
  /** How many agents such a list has, on all pages. */
  count(workspaceId: string, only: readonly string[] | null, filter: AgentFilter): Promise<number>;
  /**
   * Refuses the agent's calls until it is resumed, even if it is redeployed, and cuts the open ones. Does nothing if it is suspended.
   * Throws RequestError 404 `agent_not_found`.
   */
  suspend(by: Actor, name: string): Promise<AgentView>;
  /** Lets the agent call again, with the tokens that it has. Throws RequestError 404 `agent_not_found`. */
  resume(by: Actor, name: string): Promise<AgentView>;
  /** Deletes the agent and ends its tokens. Throws RequestError 404 `agent_not_found`. */
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
          return { agent: await repeatAnswer(sql, by, asked.name, token), token };
        }
        const { name, ttlMs: askedTtlMs, ...rest } = asked;
        const change = await checkScope(sql, workspaceId, rest);
        await lockName(sql, workspaceId, name);
        const before = await findAgent(sql, workspaceId, name);
        const row =
          before === undefined
            ? await createAgent(sql, workspaceId, { name, change, rights })
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
    list: (workspaceId, page, only = null, filter = {}) =>
      pool.inWorkspace(workspaceId, (sql) => listAgents(sql, workspaceId, { page, only, filter })),
    count: (workspaceId, only, filter) =>
      pool.inWorkspace(workspaceId, (sql) => countAgents(sql, workspaceId, { only, filter })),
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

/** Suspends or resumes the agent and records it. Does nothing if it already is so. `before`: its row is locked. */
async function setSuspended(
  sql: TransactionSql,
  by: Actor,
  before: AgentView,
  suspended: boolean,
): Promise<AgentView> {
  if ((before.suspendedAt !== null) === suspended) return before;
  await sql`
    update x3sproxy.agents set suspended_at = case when ${suspended} then now() end
    where id = ${before.id}`;
  const after = await findAgent(sql, by.workspaceId, before.name);
  if (after === undefined) throw new Error("a locked agent is missing");
  const action = suspended ? "agent.suspend" : "agent.resume";
  await record(sql, by, { action, target: agentTarget(after), before, after });
  return after;
}

/** The answer to a deployment that was made before. The audit records it, since the token is shown again. */
async function repeatAnswer(
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
 * Ends every token of the agent, leases and registrations too: a leak of one may be the reason for this deployment. Returns the life that
 * was asked for the old deployment's token, in milliseconds; null: no end.
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

/**
 * Waits for other deployments of this name, until the transaction ends. An advisory lock, since a new agent has no row to lock: without it
 * two callers could both find no agent, and each would be checked as the one who makes it.
 */
async function lockName(sql: TransactionSql, workspaceId: string, name: string): Promise<void> {
  const lock = `x3sproxy agent ${workspaceId} ${name}`;
  await sql`select pg_advisory_xact_lock(hashtextextended(${lock}, 0))`;
}

interface Deployed {
  id: string;
  deployments: number;
}

async function createAgent(
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

/** `before`: its row is locked. */
async function redeploy(
  sql: TransactionSql,
  before: AgentView,
  { change, rights }: { change: ScopeChange; rights: Rights },
): Promise<Deployed> {
  demandForChange(rights, before, change);
  const [row] = await sql<Deployed[]>`
    update x3sproxy.agents set deployments = deployments + 1, deployed_at = now()
    where id = ${before.id} returning id, deployments`;
  if (row === undefined) throw new Error("a locked agent is missing");
  await storeScope(sql, row.id, change);
  return row;
}
