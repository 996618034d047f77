// Registrations: an agent's container gets a registration token and trades it, once, for a proxy token. The registration token is returned
// once; only its SHA-256 is stored. The trade is in grants/trade.ts.
import { record, type Actor } from "../audit/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Pool } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import { REGISTRATION_PREFIX, hashBearer, newBearer, newId } from "../platform/ids.ts";
import { agentTarget, needAgent } from "./agent-view.ts";

/** How many live registrations an agent may have. */
const MAX_REGISTRATIONS = 100;

/** Times ISO 8601, UTC. */
export interface RegistrationView {
  id: string;
  /** The agent's name. */
  agent: string;
  createdAt: string;
  expiresAt: string;
  /** Who made it: an e-mail address, or an API key's name. */
  createdBy: string;
}

export interface Registrations {
  /** Throws RequestError 404 `agent_not_found`, 409 `too_many_registrations` if the agent has 100. */
  create(
    by: Actor,
    name: string,
    lifeMs: number,
  ): Promise<{ registration: RegistrationView; token: string }>;
  /** Those that can be traded, oldest first. Throws RequestError 404 `agent_not_found`. */
  list(workspaceId: string, name: string): Promise<RegistrationView[]>;
  /** Throws RequestError 404 `agent_not_found`, `registration_not_found`. */
  revoke(by: Actor, name: string, id: string): Promise<RegistrationView>;
}

interface Row {
  id: string;
  created_at: Date;
  expires_at: Date;
  created_by: string;
}

/** `pool`: the control role's. */
export function createRegistrations({ pool, clock }: { pool: Pool; clock: Clock }): Registrations {
  return {
    create: (by, name, lifeMs) =>
      pool.inWorkspace(by.workspaceId, async (sql) => {
        const agent = await needAgent(sql, by.workspaceId, name);
        const now = new Date(clock.nowMs());
        await sql`
          delete from x3sproxy.registrations where agent_id = ${agent.id} and expires_at <= ${now}`;
        const live = await sql`select from x3sproxy.registrations where agent_id = ${agent.id}`;
        if (live.length >= MAX_REGISTRATIONS) {
          throw new RequestError(
            409,
            "too_many_registrations",
            `Agent ${name} has ${MAX_REGISTRATIONS} registrations that nobody has traded. Revoke some first.`,
          );
        }
        const token = newBearer(REGISTRATION_PREFIX);
        const [row] = await sql<Row[]>`
          insert into x3sproxy.registrations
            (id, workspace_id, agent_id, hash, created_by, created_at, expires_at)
          values (${newId()}, ${by.workspaceId}, ${agent.id}, ${Buffer.from(hashBearer(token), "hex")},
            ${by.name}, ${now}, ${new Date(now.getTime() + lifeMs)})
          returning *`;
        if (row === undefined) throw new Error("insert returned no row");
        const registration = view(row, name);
        await record(sql, by, {
          action: "registration.create",
          target: agentTarget(agent),
          after: registration,
          detail: { registration: registration.id },
        });
        return { registration, token };
      }),

    list: (workspaceId, name) =>
      pool.inWorkspace(workspaceId, async (sql) => {
        const agent = await needAgent(sql, workspaceId, name);
        const rows = await sql<Row[]>`
          select * from x3sproxy.registrations
          where agent_id = ${agent.id} and expires_at > ${new Date(clock.nowMs())}
          order by created_at, id`;
        return rows.map((row) => view(row, name));
      }),

    revoke: (by, name, id) =>
      pool.inWorkspace(by.workspaceId, async (sql) => {
        const agent = await needAgent(sql, by.workspaceId, name);
        const [row] = await sql<Row[]>`
          delete from x3sproxy.registrations where agent_id = ${agent.id} and id = ${id} returning *`;
        if (row === undefined) {
          throw new RequestError(
            404,
            "registration_not_found",
            "There is no such registration: it was traded or revoked, or its agent was redeployed.",
          );
        }
        const registration = view(row, name);
        await record(sql, by, {
          action: "registration.revoke",
          target: agentTarget(agent),
          before: registration,
          detail: { registration: id },
        });
        return registration;
      }),
  };
}

function view(row: Row, agent: string): RegistrationView {
  return {
    id: row.id,
    agent,
    createdAt: row.created_at.toISOString(),
    expiresAt: row.expires_at.toISOString(),
    createdBy: row.created_by,
  };
}
