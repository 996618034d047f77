-- Who changed what. Rows are only ever added: the control role may read and add, and nobody but the owner more.
create table x3sproxy.audit_events (
  id bigint generated always as identity primary key,
  workspace_id uuid not null references x3sproxy.workspaces,
  created_at timestamptz not null default now(),
  actor_kind text not null check (actor_kind in ('user', 'api_key', 'link', 'service')),
  actor_id uuid,
  actor_name text not null check (length(actor_name) <= 300),
  address text check (length(address) <= 100),
  method text not null check (length(method) <= 100), -- how the actor proved who it is
  action text not null check (length(action) <= 100),
  target_kind text not null check (length(target_kind) <= 100),
  target_id text not null check (length(target_id) <= 300),
  target_name text not null check (length(target_name) <= 300),
  before_hash text check (before_hash ~ '^[0-9a-f]{64}$'),
  after_hash text check (after_hash ~ '^[0-9a-f]{64}$'),
  result text not null check (length(result) <= 100)
);
create index audit_events_newest on x3sproxy.audit_events (workspace_id, id desc);

revoke all on x3sproxy.audit_events from public;
grant select, insert on x3sproxy.audit_events to x3sproxy_control;
alter table x3sproxy.audit_events enable row level security;
create policy own_workspace on x3sproxy.audit_events to x3sproxy_control
  using (workspace_id = nullif(current_setting('x3sproxy.workspace', true), '')::uuid);
