-- What nobody asks the control plane for and is in the audit all the same: that a secret is opened for an agent, that calls are cut,
-- that a token reaches its end, that a registration is refused, that the schema changes.

-- Whether this process of the service may be named so in an event.
create function x3sproxy.check_process(process text) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if process is null or process !~ '^[0-9a-f]{12}$' then
    raise exception 'a process is named by 12 hex digits' using errcode = '22023';
  end if;
end $$;

-- Writes down that a secret is opened for an agent. For the functions below, which have looked at whether it may be.
create function x3sproxy.add_release(of_workspace uuid, agent_id uuid, agent_name text, deployment integer, secret_id uuid,
  provider text, environment text, secret_version integer, process text, from_address text) returns void
language sql set search_path = pg_catalog, pg_temp as $$
  insert into x3sproxy.audit_events
    (workspace_id, actor_kind, actor_id, actor_name, address, method, action, target_kind, target_id, target_name, result, detail)
  values (of_workspace, 'agent', agent_id, agent_name, left(from_address, 100), 'proxy_token', 'secret.release', 'secret', secret_id,
    provider || '/' || environment, 'done',
    format('{"deployment":%s,"process":"%s","provider":"%s","version":%s}', deployment, process, provider, secret_version))
$$;

-- The event of a release, which has to be committed before the secret is opened. False, and nothing is written, when the token may
-- not have this version of it: then it has to be looked up again. A token past its end is not looked at here, as in resolve_token.
create function x3sproxy.release_secret(token_hash bytea, secret_id uuid, secret_version integer, process text, from_address text)
returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare found_one record;
begin
  select a.workspace_id, a.id as agent_id, a.name, t.deployment, s.provider, s.environment into found_one
  from x3sproxy.proxy_tokens t
  join x3sproxy.agents a on a.id = t.agent_id and a.workspace_id = t.workspace_id
  join x3sproxy.workspaces w on w.id = a.workspace_id
  join x3sproxy.secrets s on s.workspace_id = a.workspace_id and s.environment = a.environment
  where t.hash = token_hash and s.id = release_secret.secret_id and s.active_version = secret_version
    and (a.providers is null or s.provider = any (a.providers))
    and a.suspended_at is null and w.agents_suspended_at is null;
  if not found then return false; end if;
  perform x3sproxy.check_process(process);
  perform x3sproxy.add_release(found_one.workspace_id, found_one.agent_id, found_one.name, found_one.deployment, secret_id,
    found_one.provider, found_one.environment, secret_version, process, from_address);
  return true;
end $$;

-- What resolve_token says, and the releases of those of its secrets that are in use: with the grant that comes next nobody has to
-- wait for them. `released` names them.
create function x3sproxy.renew_grant(token_hash bytea, in_use uuid[], process text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  found_grant jsonb := x3sproxy.resolve_token(token_hash);
  secret jsonb;
  released jsonb := '[]';
begin
  if found_grant is null or (found_grant ->> 'suspended')::boolean then return found_grant; end if;
  perform x3sproxy.check_process(process);
  for secret in
    select s.value from jsonb_array_elements(found_grant -> 'secrets') s where (s.value ->> 'secretId')::uuid = any (in_use)
  loop
    perform x3sproxy.add_release((found_grant ->> 'workspaceId')::uuid, (found_grant ->> 'agentId')::uuid,
      found_grant ->> 'agentName', (found_grant ->> 'deployment')::integer, (secret ->> 'secretId')::uuid,
      secret ->> 'provider', found_grant ->> 'environment', (secret ->> 'version')::integer, process, null);
    released := released || jsonb_build_array(secret -> 'secretId');
  end loop;
  return found_grant || jsonb_build_object('released', released);
end $$;

-- Writes down that open calls were cut, a batch once: objects with workspaceId, agentId, agentName, reason and count. Writers count
-- their batches, as those of activity do. Nothing is written of a workspace that there never was.
create function x3sproxy.record_cuts(from_writer uuid, batch_number bigint, cuts jsonb, process text) returns void
language plpgsql strict security definer set search_path = pg_catalog, pg_temp as $$
declare cut record;
begin
  perform x3sproxy.check_process(process);
  if jsonb_typeof(cuts) <> 'array' or jsonb_array_length(cuts) > 500 then
    raise exception 'a batch is an array of up to 500 cuts' using errcode = '22023';
  end if;
  insert into x3sproxy.activity_writers as w (writer, batch) values (from_writer, batch_number)
  on conflict (writer) do update set batch = excluded.batch, wrote_at = now() where w.batch < excluded.batch;
  if not found then return; end if;
  for cut in
    select * from jsonb_to_recordset(cuts)
      as c ("workspaceId" uuid, "agentId" uuid, "agentName" text, reason text, count integer)
  loop
    if cut.reason !~ '^[a-z_]{1,40}$' or cut."agentName" !~ '^[a-z0-9][a-z0-9._-]{0,62}$' or cut.count < 1 then
      raise exception 'a cut is out of bounds' using errcode = '22023';
    end if;
    continue when not exists (select from x3sproxy.workspaces w where w.id = cut."workspaceId")
      and not exists (select from x3sproxy.audit_events e where e.workspace_id = cut."workspaceId");
    insert into x3sproxy.audit_events
      (workspace_id, actor_kind, actor_name, method, action, target_kind, target_id, target_name, result, detail)
    values (cut."workspaceId", 'service', 'x3sproxy', 'service', 'stream.cut', 'agent', cut."agentId", cut."agentName", cut.reason,
      format('{"count":%s,"process":"%s"}', cut.count, process));
  end loop;
end $$;

-- A deployment's token that has reached its end is an event, once: found by time, or at the latest by what ends it for good.
alter table x3sproxy.proxy_tokens add column end_recorded boolean not null default false;
update x3sproxy.proxy_tokens set end_recorded = true where expires_at <= now();
create index proxy_tokens_ending on x3sproxy.proxy_tokens (expires_at) where kind = 'deployment' and not end_recorded;
-- What only says that it was recorded changes nothing that a token resolves to.
drop trigger announce on x3sproxy.proxy_tokens;
create trigger announce after insert or delete or update of hash, workspace_id, agent_id, deployment, expires_at, kind
  on x3sproxy.proxy_tokens for each row execute function x3sproxy.announce_token();

create function x3sproxy.add_expiry(of_workspace uuid, agent_id uuid, agent_name text, deployment integer, ended_at timestamptz)
returns void
language sql set search_path = pg_catalog, pg_temp as $$
  insert into x3sproxy.audit_events
    (workspace_id, actor_kind, actor_name, method, action, target_kind, target_id, target_name, result, detail)
  values (of_workspace, 'service', 'x3sproxy', 'service', 'token.expire', 'agent', agent_id, agent_name, 'ttl',
    format('{"deployment":%s,"expiredAt":%s}', deployment, x3sproxy.json_time(ended_at)))
$$;
create function x3sproxy.expire_deleted_token() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- Without its agent it goes with the agent, where it was recorded.
  perform x3sproxy.add_expiry(a.workspace_id, a.id, a.name, old.deployment, old.expires_at)
  from x3sproxy.agents a where a.id = old.agent_id;
  return old;
end $$;
create trigger record_end before delete on x3sproxy.proxy_tokens
  for each row when (old.kind = 'deployment' and not old.end_recorded and old.expires_at <= now())
  execute function x3sproxy.expire_deleted_token();
create function x3sproxy.expire_agents_token() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform x3sproxy.add_expiry(old.workspace_id, old.id, old.name, t.deployment, t.expires_at)
  from x3sproxy.proxy_tokens t
  where t.agent_id = old.id and t.kind = 'deployment' and not t.end_recorded and t.expires_at <= now();
  return old;
end $$;
create trigger record_end before delete on x3sproxy.agents
  for each row execute function x3sproxy.expire_agents_token();

-- Records the ends that time brought; returns how many. Some at a time, by one process at a time: 0 to any other.
create function x3sproxy.record_expired_tokens() returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  ended integer := 0;
  token record;
begin
  if not pg_try_advisory_xact_lock(7233014) then return 0; end if;
  for token in
    select t.id, t.deployment, t.expires_at, a.id as agent_id, a.name, a.workspace_id
    from x3sproxy.proxy_tokens t join x3sproxy.agents a on a.id = t.agent_id
    where t.kind = 'deployment' and not t.end_recorded and t.expires_at <= now()
    order by t.expires_at limit 500
    for update of t skip locked
  loop
    update x3sproxy.proxy_tokens t set end_recorded = true where t.id = token.id;
    perform x3sproxy.add_expiry(token.workspace_id, token.agent_id, token.name, token.deployment, token.expires_at);
    ended := ended + 1;
  end loop;
  delete from x3sproxy.spent_registrations where hash in (
    select s.hash from x3sproxy.spent_registrations s where s.spent_at < now() - interval '30 days' limit 500);
  return ended;
end $$;

create or replace function x3sproxy.expire_unused_tokens() returns integer
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
    update x3sproxy.proxy_tokens t set expires_at = this_moment, end_recorded = true where t.hash = token.hash;
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

-- Registrations that are no more: traded, revoked, or gone with their agent's deployment. Kept for a month, so that one that turns up
-- again is known: it was copied.
create table x3sproxy.spent_registrations (
  hash bytea primary key check (octet_length(hash) = 32),
  id uuid not null,
  workspace_id uuid not null references x3sproxy.workspaces on delete cascade,
  agent_id uuid not null,
  created_by text not null,
  spent_at timestamptz not null default now(),
  refusal_noted_at timestamptz
);
create index spent_registrations_oldest on x3sproxy.spent_registrations (spent_at);
create index spent_registrations_workspace on x3sproxy.spent_registrations (workspace_id);
alter table x3sproxy.registrations add column refusal_noted_at timestamptz;
create function x3sproxy.keep_spent_registration() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into x3sproxy.spent_registrations (hash, id, workspace_id, agent_id, created_by)
  select old.hash, old.id, w.id, old.agent_id, old.created_by from x3sproxy.workspaces w where w.id = old.workspace_id
  on conflict do nothing;
  return null;
end $$;
create trigger keep_spent after delete on x3sproxy.registrations
  for each row execute function x3sproxy.keep_spent_registration();

-- Writes down that a registration which there is or was is refused: once an hour each, so that asking again fills no audit. Of a token
-- that never was one there is nothing to write down, and nobody whose audit it would be in.
create function x3sproxy.note_refused_trade(registration_hash bytea, from_address text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  t timestamptz := clock_timestamp();
  refused record;
begin
  update x3sproxy.registrations r set refusal_noted_at = t
  where r.hash = registration_hash and coalesce(r.refusal_noted_at, '-infinity') < t - interval '1 hour'
  returning r.id, r.workspace_id, r.agent_id, r.created_by,
    case when r.expires_at <= t then 'expired' else 'suspended' end as why into refused;
  if not found then
    update x3sproxy.spent_registrations r set refusal_noted_at = t
    where r.hash = registration_hash and coalesce(r.refusal_noted_at, '-infinity') < t - interval '1 hour'
    returning r.id, r.workspace_id, r.agent_id, r.created_by, 'spent' as why into refused;
  end if;
  if not found then return; end if;
  insert into x3sproxy.audit_events
    (workspace_id, actor_kind, actor_id, actor_name, address, method, action, target_kind, target_id, target_name, result)
  values (refused.workspace_id, 'link', refused.id, 'registration by ' || left(refused.created_by, 284), left(from_address, 100),
    'registration', 'registration.trade_refused', 'agent', refused.agent_id,
    coalesce((select a.name from x3sproxy.agents a where a.id = refused.agent_id), ''), refused.why);
end $$;

create or replace function x3sproxy.trade_registration(registration_hash bytea, new_token_hash bytea, from_address text) returns jsonb
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
  if found then
    delete from x3sproxy.registrations r
    where r.hash = registration_hash and r.agent_id = agent.id and r.expires_at > clock_timestamp()
    returning * into registration;
  end if;
  if not found then
    perform x3sproxy.note_refused_trade(registration_hash, from_address);
    return null;
  end if;

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

-- Migrations are recorded at the start that follows them: on the first there is no workspace yet. Those of before this one stay out.
alter table x3sproxy.schema_migrations add column recorded boolean not null default false;
update x3sproxy.schema_migrations set recorded = true where exists (select from x3sproxy.workspaces);
-- Writes down, in the home workspace, which migrations were applied since this was last asked; the owner's alone.
create function x3sproxy.record_migrations() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare home_id uuid := (select w.id from x3sproxy.workspaces w where w.home);
begin
  if home_id is null then return; end if;
  with applied as (
    update x3sproxy.schema_migrations set recorded = true where not recorded returning name
  )
  insert into x3sproxy.audit_events
    (workspace_id, actor_kind, actor_name, method, action, target_kind, target_id, target_name, result, detail)
  select home_id, 'service', 'x3sproxy', 'service', 'maintenance.migrate', 'database', 'schema', 'schema', 'done',
    format('{"count":%s,"first":"%s","last":"%s"}', count(*), min(name), max(name))
  from applied having count(*) > 0;
end $$;

revoke all on x3sproxy.spent_registrations from public;
grant select on x3sproxy.spent_registrations to x3sproxy_control;
alter table x3sproxy.spent_registrations enable row level security;
create policy own_workspace on x3sproxy.spent_registrations to x3sproxy_control
  using (workspace_id = nullif(current_setting('x3sproxy.workspace', true), '')::uuid);
revoke all on function x3sproxy.check_process(text),
  x3sproxy.add_release(uuid, uuid, text, integer, uuid, text, text, integer, text, text),
  x3sproxy.release_secret(bytea, uuid, integer, text, text), x3sproxy.renew_grant(bytea, uuid[], text),
  x3sproxy.record_cuts(uuid, bigint, jsonb, text), x3sproxy.add_expiry(uuid, uuid, text, integer, timestamptz),
  x3sproxy.expire_deleted_token(), x3sproxy.expire_agents_token(), x3sproxy.record_expired_tokens(),
  x3sproxy.keep_spent_registration(), x3sproxy.note_refused_trade(bytea, text), x3sproxy.record_migrations() from public;
grant execute on function x3sproxy.release_secret(bytea, uuid, integer, text, text),
  x3sproxy.renew_grant(bytea, uuid[], text), x3sproxy.record_cuts(uuid, bigint, jsonb, text) to x3sproxy_proxy;
grant execute on function x3sproxy.record_expired_tokens() to x3sproxy_control;
