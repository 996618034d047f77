// A workspace with one row in every table, inserted by the owner role.
import { randomBytes, randomUUID } from "node:crypto";
import { withOwner } from "../../src/db/connection.ts";

export interface Seed {
  readonly workspaceId: string;
  readonly secretId: string;
  readonly agentId: string;
  readonly apiKeyId: string;
  readonly userId: string;
  readonly tokenHash: Buffer;
  readonly apiKeyHash: Buffer;
  readonly setupHash: Buffer;
  readonly sessionHash: Buffer;
  readonly invitationHash: Buffer;
  readonly resetHash: Buffer;
}

export const SEALED = { wrappedKey: Buffer.alloc(120, 1), ciphertext: Buffer.alloc(90, 2) };

/** Fills every table for a new workspace. `name` makes the unique columns unique. */
export async function seedWorkspace(ownerUrl: string, name: string): Promise<Seed> {
  const seed: Seed = {
    workspaceId: randomUUID(),
    secretId: randomUUID(),
    agentId: randomUUID(),
    apiKeyId: randomUUID(),
    userId: randomUUID(),
    tokenHash: randomBytes(32),
    apiKeyHash: randomBytes(32),
    setupHash: randomBytes(32),
    sessionHash: randomBytes(32),
    invitationHash: randomBytes(32),
    resetHash: randomBytes(32),
  };
  const { workspaceId, secretId, agentId, userId } = seed;
  await withOwner(ownerUrl, (sql) =>
    sql.begin(async (tx) => {
      await tx`insert into x3sproxy.master_keys (key_id, check_value) values ('fake-key', '\\x00')
        on conflict do nothing`;
      await tx`insert into x3sproxy.workspaces (id, name) values (${workspaceId}, ${name})`;
      await tx`insert into x3sproxy.providers (workspace_id, name, origin, header, scheme)
        values (${workspaceId}, 'own-llm', 'https://llm.example.com', 'x-key', '')`;
      await tx`insert into x3sproxy.secrets (id, workspace_id, provider, environment, active_version)
        values (${secretId}, ${workspaceId}, 'openai', 'production', 1)`;
      await tx`insert into x3sproxy.secret_versions
          (secret_id, workspace_id, version, origin, key_id, wrapped_key, ciphertext, mask)
        values (${secretId}, ${workspaceId}, 1, 'https://api.openai.com', 'fake-key',
          ${SEALED.wrappedKey}, ${SEALED.ciphertext}, 'sk-…abcd')`;
      await tx`insert into x3sproxy.agents (id, workspace_id, name, environment, deployments)
        values (${agentId}, ${workspaceId}, 'worker', 'production', 1)`;
      await tx`insert into x3sproxy.new_agent_scopes (workspace_id, agent) values (${workspaceId}, '')`;
      await tx`insert into x3sproxy.proxy_tokens (hash, workspace_id, agent_id, deployment)
        values (${seed.tokenHash}, ${workspaceId}, ${agentId}, 1)`;
      await tx`insert into x3sproxy.registrations (id, workspace_id, agent_id, hash, created_by, expires_at)
        values (${randomUUID()}, ${workspaceId}, ${agentId}, ${randomBytes(32)}, 'ci', now() + interval '1 hour')`;
      await tx`insert into x3sproxy.spent_registrations (hash, id, workspace_id, agent_id, created_by)
        values (${randomBytes(32)}, ${randomUUID()}, ${workspaceId}, ${agentId}, 'ci')`;
      await tx`insert into x3sproxy.api_keys (id, workspace_id, name, hash, role)
        values (${seed.apiKeyId}, ${workspaceId}, 'ci', ${seed.apiKeyHash}, 'owner')`;
      await tx`insert into x3sproxy.users (id, workspace_id, email, password_hash, role)
        values (${userId}, ${workspaceId}, ${`${name}@example.com`}, 'fake', 'owner')`;
      await tx`insert into x3sproxy.second_factors
          (user_id, workspace_id, key_id, wrapped_key, ciphertext, newest_step)
        values (${userId}, ${workspaceId}, 'fake-key', ${SEALED.wrappedKey}, ${SEALED.ciphertext}, 1)`;
      await tx`insert into x3sproxy.recovery_codes (hash, workspace_id, user_id)
        values (${randomBytes(32)}, ${workspaceId}, ${userId})`;
      await tx`insert into x3sproxy.sessions (id, workspace_id, user_id, hash)
        values (${randomUUID()}, ${workspaceId}, ${userId}, ${seed.sessionHash})`;
      await tx`insert into x3sproxy.invitations (id, workspace_id, hash, email, role, invited_by)
        values (${randomUUID()}, ${workspaceId}, ${seed.invitationHash}, ${`new@${name}.example.com`}, 'viewer', 'ci')`;
      await tx`insert into x3sproxy.resets (user_id, workspace_id, hash, second_factor)
        values (${userId}, ${workspaceId}, ${seed.resetHash}, false)`;
      await tx`insert into x3sproxy.activity_minutes
        values (${workspaceId}, date_trunc('minute', now()), 'worker', 'openai', 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1)`;
      await tx`insert into x3sproxy.activity_versions
        values (${workspaceId}, ${secretId}, 1, 'worker', now(), now(), 1)`;
      await tx`insert into x3sproxy.activity_agents
        values (${workspaceId}, ${agentId}, 'openai', 1, now())`;
      await tx`insert into x3sproxy.activity_calls
        values (${workspaceId}, ${agentId}, date_trunc('hour', now()), 'openai', 'GET', '/v1/models', '192.0.2.1', 1)`;
      await tx`insert into x3sproxy.activity_contexts (workspace_id, minute, agent, provider, context, requests)
        values (${workspaceId}, date_trunc('minute', now()), 'worker', 'openai', '{"run":"1"}', 1)`;
      await tx`insert into x3sproxy.agent_first_uses
        values (${workspaceId}, ${agentId}, 'provider', 'openai', now(), null, false)`;
      await tx`insert into x3sproxy.setup_links (hash, workspace_id, expires_at)
        values (${seed.setupHash}, ${workspaceId}, now() + interval '1 hour')`;
      await tx`insert into x3sproxy.audit_events
          (workspace_id, actor_kind, actor_name, method, action, target_kind, target_id, target_name, result)
        values (${workspaceId}, 'service', 'test', 'test', 'agent.deploy', 'agent', ${agentId}, 'worker', 'done')`;
      await tx`insert into x3sproxy.audit_leaves
        select workspace_id, 0, id, ${randomBytes(32)}, ${randomBytes(32)}, ${randomBytes(32)}
        from x3sproxy.audit_events where workspace_id = ${workspaceId}`;
      await tx`insert into x3sproxy.audit_nodes values (${workspaceId}, 8, 0, ${randomBytes(32)})`;
      await tx`insert into x3sproxy.audit_checkpoints values (${workspaceId}, 1, 'a note', now())`;
      await tx`insert into x3sproxy.audit_erasures values (${workspaceId}, 0, 'actor', 1)`;
      await tx`insert into x3sproxy.deployment_requests
          (workspace_id, key_hash, request_hash, agent_id, deployment, created_at)
        values (${workspaceId}, ${randomBytes(32)}, ${randomBytes(32)}, ${agentId}, 1, now())`;
    }),
  );
  return seed;
}
