-- What an agent that is made may do at most, where whoever makes it may not widen a scope: what the workspace says of every new agent, and
-- what an agent of the same name could do when it was destroyed. A null limits nothing, as in an agent's own scope.
create table x3sproxy.new_agent_scopes (
  workspace_id uuid not null references x3sproxy.workspaces (id) on delete cascade,
  agent text not null, -- the destroyed one's name; empty: what the workspace says
  environments text[],
  providers text[],
  rules text[],
  allowed_endpoints text[] not null default '{}',
  addresses text[],
  models text[],
  scope_expires_at timestamptz,
  requests_per_minute integer check (requests_per_minute > 0),
  open_streams integer check (open_streams > 0),
  bytes_per_minute bigint check (bytes_per_minute > 0),
  set_at timestamptz not null default now(),
  primary key (workspace_id, agent)
);
-- What has had its time goes with each agent that is destroyed.
create index new_agent_scopes_oldest on x3sproxy.new_agent_scopes (workspace_id, set_at);

revoke all on x3sproxy.new_agent_scopes from public;
grant select, insert, update, delete on x3sproxy.new_agent_scopes to x3sproxy_control;
alter table x3sproxy.new_agent_scopes enable row level security;
create policy own_workspace on x3sproxy.new_agent_scopes to x3sproxy_control
  using (workspace_id = nullif(current_setting('x3sproxy.workspace', true), '')::uuid);
