// A long history of a workspace, made inside of the database: events that are sealed into a tree that holds, and what its agents did.
import { hash } from "node:crypto";
import type { Sql } from "../../src/db/index.ts";
import { originOfLog, signCheckpoint, type LogSigner } from "../../src/audit/note.ts";

export interface HistorySize {
  readonly events: number;
  readonly minutes: number;
  readonly contexts: number;
  readonly calls: number;
  readonly agents: number;
  /** Over which the events are spread. */
  readonly eventDays: number;
  /** From a minute in which all agents were at work to the one before. */
  readonly everyMinutes: number;
}

/** Of what lists are filtered by: what nearly all rows have, and what a thousandth of them has. */
export const OFTEN = { agent: "agent-1", provider: "openai", action: "secret.release" } as const;
export const SELDOM = {
  agent: "seldom",
  provider: "seldom",
  action: "agent.scope",
  actor: "ada@example.test",
  target: "seldom/production",
} as const;
const TILE_LEVELS = 8;

/** The id that the rows give whoever is called so. */
export function idOf(name: string): string {
  return hash("md5", name, "hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** Rows that nothing else refers to: no triggers run. `owner`: a superuser with one connection. */
export async function addHistory(
  owner: Sql,
  workspaceId: string,
  signer: LogSigner,
  size: HistorySize,
): Promise<void> {
  await owner`set session_replication_role = replica`;
  await owner`
    insert into x3sproxy.agents (id, workspace_id, name, environment, created_at)
    select md5(name)::uuid, ${workspaceId}, name, 'production', now() - interval '400 days'
    from (select 'agent-' || n from generate_series(1, ${size.agents}) n union select ${SELDOM.agent}) all_agents (name)`;
  await owner`
    insert into x3sproxy.new_agent_scopes (workspace_id, agent, environments)
    select ${workspaceId}, 'destroyed-' || n, '{production}' from generate_series(1, ${size.minutes}) n`;
  await addEvents(owner, workspaceId, size);
  await addTree(owner, workspaceId, signer, size.events);
  await addActivity(owner, workspaceId, size);
  await owner`set session_replication_role = origin`;
  await owner`vacuum analyze`;
}

async function addEvents(owner: Sql, workspaceId: string, size: HistorySize): Promise<void> {
  const { events, eventDays, agents } = size;
  await owner`
    insert into x3sproxy.audit_events
      (id, workspace_id, created_at, actor_kind, actor_id, actor_name, address, method, action, target_kind, target_id, target_name, result, detail)
    overriding system value
    select 1000 + n, ${workspaceId}, now() - (${events} - n) * (${eventDays} * interval '1 day' / ${events}::float8),
      'agent', md5(actor)::uuid, actor, '192.0.2.7', 'proxy_token',
      case when n % 1000 = 7 then ${SELDOM.action} else ${OFTEN.action} end,
      'secret', md5(target), target, 'done', '{"deployment":1,"process":"0123456789ab","provider":"openai","version":1}'
    from generate_series(1, ${events}) n,
      lateral (select
        case when n % 1000 = 3 then ${SELDOM.actor} else 'agent-' || 1 + n % ${agents} end,
        case when n % 1000 = 5 then ${SELDOM.target} else 'openai/production' end) told (actor, target)`;
  await owner`select setval('x3sproxy.audit_events_id_seq', ${2000 + events})`;
}

/** A tree whose leaves are all alike, so that each level has one hash. */
async function addTree(
  owner: Sql,
  workspaceId: string,
  signer: LogSigner,
  size: number,
): Promise<void> {
  const levels = [Buffer.alloc(32, 7)];
  for (let level = 0; 2 ** level <= size; level++) {
    const below = levels[level] ?? Buffer.alloc(0);
    levels.push(hash("sha256", Buffer.concat([Buffer.of(1), below, below]), "buffer"));
  }
  await owner`
    insert into x3sproxy.audit_leaves
    select ${workspaceId}, n - 1, 1000 + n, ${levels[0] ?? null}::bytea, ${levels[0] ?? null}::bytea, ${levels[0] ?? null}::bytea
    from generate_series(1, ${size}) n`;
  for (let level = TILE_LEVELS; 2 ** level <= size; level += TILE_LEVELS) {
    await owner`
      insert into x3sproxy.audit_nodes
      select ${workspaceId}, ${level}, n, ${levels[level] ?? null}::bytea
      from generate_series(0, ${Math.floor(size / 2 ** level) - 1}) n`;
  }
  // RFC 6962, 2.1: the largest complete subtree on the left, and so on.
  const complete = levels.filter((_, level) => Math.floor(size / 2 ** level) % 2 === 1);
  const root = complete.reduce((right, left) =>
    hash("sha256", Buffer.concat([Buffer.of(1), left, right]), "buffer"),
  );
  const note = signCheckpoint({ origin: originOfLog(workspaceId), size, root }, signer);
  await owner`
    insert into x3sproxy.audit_checkpoints (workspace_id, size, note) values (${workspaceId}, ${size}, ${note})`;
}

async function addActivity(owner: Sql, workspaceId: string, size: HistorySize): Promise<void> {
  const { agents } = size;
  // The oldest first, as they come; nothing of the last two minutes, which the service writes itself.
  await owner`
    insert into x3sproxy.activity_minutes
    select ${workspaceId}, date_trunc('minute', now()) - (2 + n / ${agents} * ${size.everyMinutes}::integer) * interval '1 minute',
      case when n % 1000 = 3 then ${SELDOM.agent} else 'agent-' || 1 + n % ${agents} end,
      case when n % 1000 = 5 then ${SELDOM.provider} else 'openai' end,
      5, 5, 0, 0, 0, 0, 0, 0, 0, 50, 500, 5, 100, 5, 250, 0
    from generate_series(${size.minutes}, 1, -1) n on conflict do nothing`;
  await owner`
    insert into x3sproxy.activity_contexts (workspace_id, minute, agent, provider, context, requests)
    select ${workspaceId}, date_trunc('minute', now()) - (2 + n / ${agents} * ${size.everyMinutes}::integer) * interval '1 minute',
      case when n % 1000 = 3 then ${SELDOM.agent} else 'agent-' || 1 + n % ${agents} end, 'openai', '{"run":"1"}', 1
    from generate_series(${size.contexts}, 1, -1) n on conflict do nothing`;
  await owner`
    insert into x3sproxy.activity_calls
    select ${workspaceId}, md5('agent-' || 1 + n % ${agents})::uuid,
      date_trunc('hour', now()) - (n / (${agents} * 500)) * interval '1 hour', 'openai', 'POST', '/v1/' || n % 500, '192.0.2.7', 1
    from generate_series(0, ${size.calls}) n on conflict do nothing`;
  await owner`
    insert into x3sproxy.activity_agents
    select workspace_id, id, 'openai', 1, now() from x3sproxy.agents where workspace_id = ${workspaceId}`;
  await owner`
    insert into x3sproxy.agent_first_uses
    select ${workspaceId}, md5('agent-' || 1 + n % ${agents})::uuid, 'path', '/v1/' || n, now() - interval '30 days', null, false
    from generate_series(1, ${agents * 50}) n`;
}
