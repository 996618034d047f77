-- How a token reaches its agent, and how long it lives: leases beside the deployment's token, registrations that are traded for a
-- deployment, and the end of tokens that nobody uses.

-- One token of an agent is its deployment's. Beside it there are leases, which live only as long as somebody renews them.
alter table x3sproxy.proxy_tokens
  add column id uuid not null default gen_random_uuid() unique,
  add column kind text not null default 'deployment' check (kind in ('deployment', 'lease')),
  add column ttl_ms bigint check (ttl_ms > 0), -- the life that was asked for, whenever it was ended; null: without end
  add check (kind = 'deployment' or expires_at is not null);
update x3sproxy.proxy_tokens set ttl_ms = extract(epoch from expires_at - created_at) * 1000 where expires_at > created_at;
alter table x3sproxy.proxy_tokens drop constraint proxy_tokens_agent_id_key;
create unique index proxy_tokens_deployment on x3sproxy.proxy_tokens (agent_id) where kind = 'deployment';
create index proxy_tokens_leases on x3sproxy.proxy_tokens (agent_id) where kind = 'lease';
grant update (expires_at) on x3sproxy.proxy_tokens to x3sproxy_control;

-- A lease that is new was never looked up, and one that is renewed in time stays true as it is remembered, for 60 s.
create function x3sproxy.announce_token() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'INSERT' and new.kind = 'lease' then return null; end if;
  if tg_op = 'UPDATE' and new.kind = 'lease' and old.expires_at > now() + interval '60 s'
    and new.expires_at >= old.expires_at
    and (new.hash, new.workspace_id, new.agent_id, new.deployment, new.kind)
      = (old.hash, old.workspace_id, old.agent_id, old.deployment, old.kind)
  then
    return null;
  end if;
  perform pg_notify('x3sproxy_changes', 'agent ' || coalesce(new.agent_id, old.agent_id));
  return null;
end $$;
revoke all on function x3sproxy.announce_token() from public;
drop trigger announce on x3sproxy.proxy_tokens;
create trigger announce after insert or update or delete on x3sproxy.proxy_tokens
  for each row execute function x3sproxy.announce_token();
drop function x3sproxy.announce_agent();

-- Each may be traded once for a new deployment of its agent. Only the SHA-256 of its token is kept.
create table x3sproxy.registrations (
  id uuid primary key,
  workspace_id uuid not null,
  agent_id uuid not null,
  hash bytea not null unique check (octet_length(hash) = 32),
  created_by text not null check (length(created_by) <= 300),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null check (expires_at <= created_at + interval '1 day'),
  foreign key (agent_id, workspace_id) references x3sproxy.agents (id, workspace_id) on delete cascade
);
create index registrations_agent on x3sproxy.registrations (agent_id);

revoke all on x3sproxy.registrations from public;
grant select, insert, delete on x3sproxy.registrations to x3sproxy_control;
alter table x3sproxy.registrations enable row level security;
create policy own_workspace on x3sproxy.registrations to x3sproxy_control
  using (workspace_id = nullif(current_setting('x3sproxy.workspace', true), '')::uuid);

-- Trades a registration for a deployment whose token has the given hash: null, and nothing done, unless it is live and its agent is
-- not suspended. Of many at once, one gets it. Locks the agent first, as every deployment does. Hashes in the audit as elsewhere:
-- SHA-256 of the canonical JSON, here of the deployment's number.
create function x3sproxy.trade_registration(registration_hash bytea, new_token_hash bytea, from_address text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  wanted uuid;
  registration x3sproxy.registrations;
  agent x3sproxy.agents;
  life_ms bigint;
  ends timestamptz;
begin
  select r.agent_id into wanted from x3sproxy.registrations r where r.hash = registration_hash;
  select a.* into agent
  from x3sproxy.agents a join x3sproxy.workspaces w on w.id = a.workspace_id
  where a.id = wanted and a.suspended_at is null and w.agents_suspended_at is null
  for update of a;
  if not found then return null; end if;
  delete from x3sproxy.registrations r
  where r.hash = registration_hash and r.agent_id = agent.id and r.expires_at > clock_timestamp()
  returning * into registration;
  if not found then return null; end if;

  select t.ttl_ms into life_ms from x3sproxy.proxy_tokens t where t.agent_id = agent.id and t.kind = 'deployment';
  delete from x3sproxy.proxy_tokens t where t.agent_id = agent.id;
  update x3sproxy.agents a set deployments = a.deployments + 1, deployed_at = now() where a.id = agent.id;
  ends := clock_timestamp() + life_ms * interval '1 millisecond';
  insert into x3sproxy.proxy_tokens (hash, workspace_id, agent_id, deployment, created_at, expires_at, ttl_ms)
  values (new_token_hash, agent.workspace_id, agent.id, agent.deployments + 1, now(), ends, life_ms);
  insert into x3sproxy.audit_events
    (workspace_id, actor_kind, actor_id, actor_name, address, method, action,
     target_kind, target_id, target_name, before_hash, after_hash, result)
  values (agent.workspace_id, 'link', registration.id, 'registration by ' || left(registration.created_by, 284), from_address,
    'registration', 'registration.trade', 'agent', agent.id, agent.name,
    encode(sha256(convert_to(format('{"deployment":%s}', agent.deployments), 'utf8')), 'hex'),
    encode(sha256(convert_to(format('{"deployment":%s}', agent.deployments + 1), 'utf8')), 'hex'), 'done');
  return jsonb_build_object(
    'workspaceId', agent.workspace_id,
    'agentId', agent.id,
    'agentName', agent.name,
    'environment', agent.environment,
    'deployment', agent.deployments + 1,
    'expiresAtMs', (extract(epoch from ends) * 1000)::bigint,
    'providers', to_jsonb(agent.providers),
    'customProviders', coalesce((
      select jsonb_agg(p.name order by p.name) from x3sproxy.providers p where p.workspace_id = agent.workspace_id), '[]'));
end $$;

-- Ends the deployments' tokens that nobody has used for as many days as their workspace says; returns how many. Some at a time,
-- by one process at a time: 0 to any other. What an agent does by a lease counts as use.
create function x3sproxy.expire_unused_tokens() returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  ended integer := 0;
  token record;
  this_moment timestamptz := date_trunc('milliseconds', now());
begin
  if not pg_try_advisory_xact_lock(7233010) then return 0; end if;
  for token in
    select t.hash, t.expires_at, a.id as agent_id, a.name, a.workspace_id
    from x3sproxy.proxy_tokens t
    join x3sproxy.agents a on a.id = t.agent_id
    join x3sproxy.workspaces w on w.id = a.workspace_id
    where t.kind = 'deployment' and (t.expires_at is null or t.expires_at > now())
      and t.created_at < now() - make_interval(days => w.unused_days)
      and not exists (
        select from x3sproxy.activity_agents u
        where u.agent_id = a.id and u.workspace_id = a.workspace_id
          and u.last_used_at >= now() - make_interval(days => w.unused_days))
    order by a.id limit 500
    for update of t skip locked
  loop
    update x3sproxy.proxy_tokens t set expires_at = this_moment where t.hash = token.hash;
    insert into x3sproxy.audit_events
      (workspace_id, actor_kind, actor_name, method, action, target_kind, target_id, target_name,
       before_hash, after_hash, result)
    values (token.workspace_id, 'service', 'x3sproxy', 'service', 'token.expire', 'agent', token.agent_id, token.name,
      encode(sha256(convert_to(format('{"expiresAt":%s}', x3sproxy.json_time(token.expires_at)), 'utf8')), 'hex'),
      encode(sha256(convert_to(format('{"expiresAt":%s}', x3sproxy.json_time(this_moment)), 'utf8')), 'hex'), 'unused');
    ended := ended + 1;
  end loop;
  return ended;
end $$;

-- As JavaScript writes it, quoted; `null` for null.
create function x3sproxy.json_time(at timestamptz) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce('"' || to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"', 'null')
$$;

revoke all on function x3sproxy.trade_registration(bytea, bytea, text), x3sproxy.expire_unused_tokens(),
  x3sproxy.json_time(timestamptz) from public;
grant execute on function x3sproxy.trade_registration(bytea, bytea, text) to x3sproxy_proxy;
grant execute on function x3sproxy.expire_unused_tokens() to x3sproxy_control;
