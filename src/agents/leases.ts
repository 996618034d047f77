// Leases: short-lived tokens that an agent has beside its deployment's token. A lease ends after two minutes unless it is renewed. Its token
// is returned once; only its SHA-256 is stored.
import { record, type Actor, serviceActor } from "../audit/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Pool, TransactionSql } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import { PROXY_TOKEN_PREFIX, hashBearer, newBearer, newId } from "../platform/ids.ts";
import { agentTarget, needAgent, type AgentView } from "./agent-view.ts";

/** How long a lease lives from its start and from each renewal. */
export const LEASE_MS = 120_000;
/** How many live leases an agent may have. */
const MAX_LEASES = 100;

export interface LeaseView {
  id: string;
  /** When it ends unless it is renewed. ISO 8601, UTC. */
  expiresAt: string;
}

export interface Leases {
  /**
   * Starts a lease. Throws RequestError 404 `agent_not_found`; 409 `agent_suspended`, since its token would be refused; 409
   * `too_many_leases` if the agent has 100.
   */
  take(by: Actor, name: string): Promise<{ agent: AgentView; lease: LeaseView; token: string }>;
  /** Lets it live for two minutes from now. Neither recorded nor notified. Throws RequestError 404 `lease_not_found`. */
  renew(by: Actor, name: string, id: string): Promise<LeaseView>;
  /** Ends the lease and its token at once. Throws RequestError 404 `lease_not_found`. */
  end(by: Actor, name: string, id: string): Promise<void>;
}

/** `pool`: the control role's. */
export function createLeases({ pool, clock }: { pool: Pool; clock: Clock }): Leases {
  return {
    take: (by, name) =>
      pool.inWorkspace(by.workspaceId, async (sql) => {
        const agent = await needAgent(sql, by.workspaceId, name);
        await refuseSuspended(sql, agent);
        const nowMs = clock.nowMs();
        await deleteLapsed(sql, by, agent, nowMs);
        const live = await sql`
          select from x3sproxy.proxy_tokens where agent_id = ${agent.id} and kind = 'lease'`;
        if (live.length >= MAX_LEASES) {
          throw new RequestError(
            409,
            "too_many_leases",
            `Agent ${name} has ${MAX_LEASES} leases at once, which is as many as there may be.`,
          );
        }
        const lease = { id: newId(), expiresAt: new Date(nowMs + LEASE_MS).toISOString() };
        const token = newBearer(PROXY_TOKEN_PREFIX);
        await sql`
          insert into x3sproxy.proxy_tokens
            (id, kind, hash, workspace_id, agent_id, deployment, created_at, expires_at)
          values (${lease.id}, 'lease', ${Buffer.from(hashBearer(token), "hex")}, ${by.workspaceId},
            ${agent.id}, ${agent.deployment}, ${new Date(nowMs)}, ${new Date(lease.expiresAt)})`;
        await record(sql, by, {
          action: "lease.create",
          target: agentTarget(agent),
          after: { leaseId: lease.id },
        });
        return { agent, lease, token };
      }),

    renew: (by, name, id) =>
      pool.inWorkspace(by.workspaceId, async (sql) => {
        const nowMs = clock.nowMs();
        const [renewed] = await sql<{ expiresAt: Date }[]>`
          update x3sproxy.proxy_tokens t
          set expires_at = greatest(t.expires_at, ${new Date(nowMs + LEASE_MS)})
          from x3sproxy.agents a
          where a.id = t.agent_id and a.workspace_id = ${by.workspaceId} and a.name = ${name}
            and t.id = ${id} and t.kind = 'lease' and t.expires_at > ${new Date(nowMs)}
          returning t.expires_at as "expiresAt"`;
        if (renewed === undefined) throw notFound();
        return { id, expiresAt: renewed.expiresAt.toISOString() };
      }),

    end: (by, name, id) =>
      pool.inWorkspace(by.workspaceId, async (sql) => {
        const agent = await needAgent(sql, by.workspaceId, name);
        const ended = await sql`
          delete from x3sproxy.proxy_tokens
          where agent_id = ${agent.id} and id = ${id} and kind = 'lease' returning id`;
        if (ended.length === 0) throw notFound();
        await record(sql, by, {
          action: "lease.end",
          target: agentTarget(agent),
          before: { leaseId: id },
        });
      }),
  };
}

function notFound(): RequestError {
  return new RequestError(
    404,
    "lease_not_found",
    "There is no such lease: it lapsed, was ended, or its agent was redeployed or destroyed.",
  );
}

async function refuseSuspended(sql: TransactionSql, agent: AgentView): Promise<void> {
  const [row] = await sql<{ suspended: boolean }[]>`
    select agents_suspended_at is not null as suspended from x3sproxy.workspaces`;
  if (agent.suspendedAt === null && row?.suspended !== true) return;
  throw new RequestError(
    409,
    "agent_suspended",
    `Agent ${agent.name} is suspended: no token of it works. Resume it first.`,
  );
}

/** Deletes the leases that nobody renewed, and records their end. The agent's row is locked. */
async function deleteLapsed(
  sql: TransactionSql,
  { workspaceId }: Actor,
  agent: AgentView,
  nowMs: number,
): Promise<void> {
  const lapsed = await sql<{ id: string }[]>`
    delete from x3sproxy.proxy_tokens
    where agent_id = ${agent.id} and kind = 'lease' and expires_at <= ${new Date(nowMs)}
    returning id`;
  const service = serviceActor(workspaceId);
  for (const { id: leaseId } of lapsed) {
    await record(sql, service, {
      action: "lease.end",
      target: agentTarget(agent),
      before: { leaseId },
      result: "lapsed",
    });
  }
}
