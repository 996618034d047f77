-- The tables of the service, all under one schema and one workspace column from the start.
-- Three roles: the owner (whoever migrates) owns everything; x3sproxy_control is the admin side, confined by
-- row-level security to the workspace named in the setting x3sproxy.workspace; x3sproxy_proxy is the data
-- plane, which can select no table and only execute the functions granted to it at the end.

-- Roles belong to the whole server: another database's migration may have made them, or be making them now.
do $$ declare r text; begin
  foreach r in array array['x3sproxy_control', 'x3sproxy_proxy'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = r) then
      begin
        execute format('create role %I nologin', r);
      exception when duplicate_object or unique_violation then null;
      end;
    end if;
  end loop;
end $$;

create table x3sproxy.workspaces (
  id uuid primary key,
  name text not null unique check (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  created_at timestamptz not null default now()
);

-- One row for each master key that has ever been used here: a constant sealed under it, so that a wrong key is
-- recognised at start-up and never later.
create table x3sproxy.master_keys (
  key_id text primary key,
  check_value bytea not null,
  created_at timestamptz not null default now()
);

-- Providers that a workspace adds beside the built-in ones.
create table x3sproxy.providers (
  workspace_id uuid not null references x3sproxy.workspaces on delete cascade,
  name text not null check (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  origin text not null,
  header text not null,
  scheme text not null,
  created_at timestamptz not null default now(),
  primary key (workspace_id, name)
);

create table x3sproxy.secrets (
  id uuid primary key,
  workspace_id uuid not null references x3sproxy.workspaces on delete cascade,
  provider text not null,
  environment text not null check (environment ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  label text not null default '' check (length(label) <= 200),
  active_version integer not null,
  created_at timestamptz not null default now(),
  unique (workspace_id, provider, environment),
  unique (id, workspace_id)
);

-- A real key exists only here, sealed: ciphertext under a data key of its own, which is wrapped by the master
-- key named in key_id. Both bind workspace, secret, version, origin and key id as additional data.
create table x3sproxy.secret_versions (
  secret_id uuid not null,
  workspace_id uuid not null,
  version integer not null check (version > 0),
  origin text not null,
  key_id text not null references x3sproxy.master_keys,
  wrapped_key bytea not null,
  ciphertext bytea not null,
  mask text not null check (length(mask) <= 16),
  created_at timestamptz not null default now(),
  primary key (secret_id, version),
  foreign key (secret_id, workspace_id) references x3sproxy.secrets (id, workspace_id) on delete cascade
);
alter table x3sproxy.secrets
  add foreign key (id, active_version) references x3sproxy.secret_versions (secret_id, version)
  deferrable initially deferred;

create table x3sproxy.agents (
  id uuid primary key,
  workspace_id uuid not null references x3sproxy.workspaces on delete cascade,
  name text not null check (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  environment text not null check (environment ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  providers text[], -- null: every provider
  allowed_endpoints text[] not null default '{}', -- sensitive endpoints that this agent may call, by name
  deployments integer not null default 0,
  created_at timestamptz not null default now(),
  deployed_at timestamptz not null default now(),
  unique (workspace_id, name),
  unique (id, workspace_id)
);

-- At most one live token an agent. Only its SHA-256 is kept.
create table x3sproxy.proxy_tokens (
  hash bytea primary key check (octet_length(hash) = 32),
  workspace_id uuid not null,
  agent_id uuid not null unique,
  deployment integer not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  foreign key (agent_id, workspace_id) references x3sproxy.agents (id, workspace_id) on delete cascade
);

create table x3sproxy.api_keys (
  id uuid primary key,
  workspace_id uuid not null references x3sproxy.workspaces on delete cascade,
  name text not null check (length(name) between 1 and 100),
  hash bytea not null unique check (octet_length(hash) = 32),
  role text not null check (role in ('viewer', 'operator', 'admin', 'owner', 'auditor')),
  created_at timestamptz not null default now(),
  expires_at timestamptz
);

create table x3sproxy.users (
  id uuid primary key,
  workspace_id uuid not null references x3sproxy.workspaces on delete cascade,
  email text not null check (length(email) <= 254),
  password_hash text not null,
  role text not null check (role in ('viewer', 'operator', 'admin', 'owner', 'auditor')),
  created_at timestamptz not null default now()
);
create unique index users_email on x3sproxy.users (lower(email));

-- The link that makes the first user: one use, short-lived, hashed.
create table x3sproxy.setup_links (
  hash bytea primary key check (octet_length(hash) = 32),
  workspace_id uuid not null references x3sproxy.workspaces on delete cascade,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);

-- Whatever changes what a token resolves to is announced on one channel, when the transaction commits.
-- The payload names an agent or a whole workspace, never a hash.
create function x3sproxy.announce_agent() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_notify('x3sproxy_changes', 'agent ' || coalesce(new.agent_id, old.agent_id));
  return null;
end $$;
create function x3sproxy.announce_agent_row() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_notify('x3sproxy_changes', 'agent ' || coalesce(new.id, old.id));
  return null;
end $$;
create function x3sproxy.announce_workspace() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_notify('x3sproxy_changes', 'workspace ' || coalesce(new.workspace_id, old.workspace_id));
  return null;
end $$;
create trigger announce after insert or update or delete on x3sproxy.proxy_tokens
  for each row execute function x3sproxy.announce_agent();
create trigger announce after update or delete on x3sproxy.agents
  for each row execute function x3sproxy.announce_agent_row();
create trigger announce after insert or update or delete on x3sproxy.secrets
  for each row execute function x3sproxy.announce_workspace();
create trigger announce after insert or update or delete on x3sproxy.secret_versions
  for each row execute function x3sproxy.announce_workspace();
create trigger announce after insert or update or delete on x3sproxy.providers
  for each row execute function x3sproxy.announce_workspace();

-- What a live token resolves to: null when there is none. One row, one round trip. An expired token is still
-- returned, with its expiry: the caller's clock and ours may differ, and the answer to the agent is a better one.
create function x3sproxy.resolve_token(token_hash bytea) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select jsonb_build_object(
    'workspaceId', a.workspace_id,
    'agentId', a.id,
    'agentName', a.name,
    'environment', a.environment,
    'deployment', t.deployment,
    'expiresAtMs', (extract(epoch from t.expires_at) * 1000)::bigint,
    'providers', to_jsonb(a.providers),
    'allowedEndpoints', to_jsonb(a.allowed_endpoints),
    'customProviders', coalesce((
      select jsonb_agg(jsonb_build_object('name', p.name, 'origin', p.origin, 'header', p.header, 'scheme', p.scheme))
      from x3sproxy.providers p where p.workspace_id = a.workspace_id), '[]'),
    'secrets', coalesce((
      select jsonb_agg(jsonb_build_object(
        'secretId', s.id, 'version', v.version, 'workspaceId', v.workspace_id, 'provider', s.provider,
        'origin', v.origin, 'keyId', v.key_id,
        'wrappedKey', translate(encode(v.wrapped_key, 'base64'), e'\n', ''),
        'ciphertext', translate(encode(v.ciphertext, 'base64'), e'\n', '')))
      from x3sproxy.secrets s
      join x3sproxy.secret_versions v on v.secret_id = s.id and v.version = s.active_version
      where s.workspace_id = a.workspace_id and s.environment = a.environment
        and (a.providers is null or s.provider = any (a.providers))), '[]'))
  from x3sproxy.proxy_tokens t
  join x3sproxy.agents a on a.id = t.agent_id and a.workspace_id = t.workspace_id
  where t.hash = token_hash
$$;

-- The two look-ups of the control plane that come before a workspace is known.
create function x3sproxy.authenticate_api_key(key_hash bytea)
returns table (id uuid, workspace_id uuid, name text, role text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select k.id, k.workspace_id, k.name, k.role from x3sproxy.api_keys k
  where k.hash = key_hash and (k.expires_at is null or k.expires_at > now())
$$;
create function x3sproxy.redeem_setup_link(link_hash bytea) returns uuid
language sql security definer set search_path = pg_catalog, pg_temp as $$
  delete from x3sproxy.setup_links where hash = link_hash and expires_at > now() returning workspace_id
$$;

revoke all on all tables in schema x3sproxy from public;
revoke all on all functions in schema x3sproxy from public;
grant usage on schema x3sproxy to x3sproxy_control, x3sproxy_proxy;
grant execute on function x3sproxy.resolve_token(bytea) to x3sproxy_proxy;
grant execute on function x3sproxy.authenticate_api_key(bytea), x3sproxy.redeem_setup_link(bytea) to x3sproxy_control;

grant select on x3sproxy.workspaces, x3sproxy.master_keys to x3sproxy_control;
grant select, insert, update, delete
  on x3sproxy.providers, x3sproxy.secrets, x3sproxy.agents, x3sproxy.api_keys, x3sproxy.users to x3sproxy_control;
grant select, insert, delete on x3sproxy.secret_versions, x3sproxy.proxy_tokens to x3sproxy_control;

alter table x3sproxy.workspaces enable row level security;
create policy own_workspace on x3sproxy.workspaces to x3sproxy_control
  using (id = nullif(current_setting('x3sproxy.workspace', true), '')::uuid);
do $$ declare t text; begin
  foreach t in array array['providers', 'secrets', 'secret_versions', 'agents', 'proxy_tokens', 'api_keys', 'users']
  loop
    execute format('alter table x3sproxy.%I enable row level security', t);
    execute format('create policy own_workspace on x3sproxy.%I to x3sproxy_control
      using (workspace_id = nullif(current_setting(''x3sproxy.workspace'', true), '''')::uuid)', t);
  end loop;
end $$;
