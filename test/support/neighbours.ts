// Other workspaces with everything that grows, so that a table holds much more than what one workspace may see of it.
import type { Sql } from "../../src/db/index.ts";

const COUNT = 8_000;
const WORKSPACES = 2000;

/** Rows that nothing else refers to: no triggers run. `owner`: a superuser with one connection. */
export async function addNeighbours(owner: Sql): Promise<void> {
  await owner`set session_replication_role = replica`;
  await owner`
    insert into x3sproxy.workspaces (id, name)
    select md5('workspace ' || w)::uuid, 'neighbour-' || w from generate_series(1, ${WORKSPACES}) w`;
  await owner`
    insert into x3sproxy.audit_retentions (workspace_id)
    select md5('workspace ' || w)::uuid from generate_series(1, ${WORKSPACES}) w`;
  await owner`
    create temporary table neighbour as
    select n, md5(n::text)::uuid as id, md5('workspace ' || n % ${WORKSPACES})::uuid as workspace_id, 'name-' || n as name,
      sha256(convert_to(n::text, 'utf8')) as hash, now() - n * interval '1 minute' as created_at
    from generate_series(1, ${COUNT}) n`;
  for (const insert of INSERTS) await owner.unsafe(`insert into x3sproxy.${insert} from neighbour`);
  await owner`drop table neighbour`;
  await owner`set session_replication_role = origin`;
  await owner`analyze`;
}

const INSERTS = [
  "agents (id, workspace_id, name, environment) select id, workspace_id, name, 'production'",
  "proxy_tokens (hash, workspace_id, agent_id, deployment, created_at, end_recorded) select hash, workspace_id, id, 1, created_at, false",
  "registrations (id, workspace_id, agent_id, hash, created_by, created_at, expires_at) select id, workspace_id, id, hash, 'ada', created_at, created_at + interval '1 hour'",
  "spent_registrations (hash, id, workspace_id, agent_id, created_by) select hash, id, workspace_id, id, 'ada'",
  "providers (workspace_id, name, origin, header, scheme) select workspace_id, name, 'https://a.example.test', 'authorization', 'Bearer'",
  "secrets (id, workspace_id, provider, environment, active_version) select id, workspace_id, name, 'production', 1",
  "secret_versions (secret_id, workspace_id, version, origin, header, scheme, key_id, wrapped_key, ciphertext, mask, created_at) select id, workspace_id, 1, 'https://a.example.test', 'authorization', 'Bearer', 'none', hash, hash, '…', created_at",
  "users (id, workspace_id, email, password_hash, role) select id, workspace_id, name || '@example.test', 'none', 'viewer'",
  "sessions (id, workspace_id, user_id, hash) select id, workspace_id, id, hash",
  "invitations (id, workspace_id, hash, email, role, invited_by) select id, workspace_id, hash, name || '@example.test', 'viewer', 'ada'",
  "setup_links (hash, workspace_id, expires_at) select hash, workspace_id, now()",
  "resets (user_id, workspace_id, hash, second_factor) select id, workspace_id, hash, false",
  "recovery_codes (hash, workspace_id, user_id) select hash, workspace_id, id",
  "second_factors (user_id, workspace_id, key_id, wrapped_key, ciphertext, newest_step) select id, workspace_id, 'none', hash, hash, 1",
  "api_keys (id, workspace_id, name, hash, role) select id, workspace_id, name, hash, 'viewer'",
  "deployment_requests (workspace_id, key_hash, request_hash, agent_id, deployment, created_at) select workspace_id, hash, hash, id, 1, created_at",
  "account_attempts (subject) select hash",
  "audit_events (workspace_id, actor_kind, actor_name, method, action, target_kind, target_id, target_name, result) select workspace_id, 'service', 'x3sproxy', 'service', 'agent.deploy', 'agent', id, name, 'done'",
  "audit_leaves select workspace_id, n, 10000000 + n, hash, hash, hash",
  "audit_nodes select workspace_id, 8, n, hash",
  "audit_checkpoints (workspace_id, size, note, created_at) select workspace_id, n, 'none', created_at",
  "audit_pending select 10000000 + n, workspace_id, created_at",
  "audit_erasures select workspace_id, n, 'actor', 10000000 + n",
  "activity_minutes select workspace_id, date_trunc('minute', created_at), name, 'openai', 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0",
  "activity_contexts (workspace_id, minute, agent, provider, context, requests) select workspace_id, date_trunc('minute', created_at), name, 'openai', '{\"run\":\"1\"}', 1",
  "activity_calls select workspace_id, id, date_trunc('hour', now()), 'openai', 'GET', '/v1/models', '', 1",
  "activity_agents select workspace_id, id, 'openai', 1, now()",
  "activity_versions select workspace_id, id, 1, name, now(), now(), 1",
  "agent_first_uses select workspace_id, id, 'path', '/v1/models', now(), null, true",
];
