-- Deployments that were asked for under an idempotency key, for a day: enough to know the same request when it comes again. The token
-- is not among it; it is derived anew from the master key. Without a reference to the agent, so that a request that comes again after
-- the agent was destroyed is known, too, and makes no new one.
create table x3sproxy.deployment_requests (
  workspace_id uuid not null references x3sproxy.workspaces on delete cascade,
  key_hash bytea not null check (octet_length(key_hash) = 32), -- of the caller and its key
  request_hash bytea not null check (octet_length(request_hash) = 32),
  agent_id uuid not null,
  deployment integer not null,
  created_at timestamptz not null,
  primary key (workspace_id, key_hash)
);
create index deployment_requests_oldest on x3sproxy.deployment_requests (workspace_id, created_at);

revoke all on x3sproxy.deployment_requests from public;
grant select, insert, delete on x3sproxy.deployment_requests to x3sproxy_control;
alter table x3sproxy.deployment_requests enable row level security;
create policy own_workspace on x3sproxy.deployment_requests to x3sproxy_control
  using (workspace_id = nullif(current_setting('x3sproxy.workspace', true), '')::uuid);
