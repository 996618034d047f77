-- How proxy tokens end, and that each end is in the audit once.

create or replace function x3sproxy.add_expiry(of_workspace uuid, agent_id uuid, agent_name text, deployment integer, ended_at timestamptz)
returns void
language sql set search_path = pg_catalog, pg_temp as $$
  insert into x3sproxy.audit_events
    (workspace_id, actor_kind, actor_name, method, action, target_kind, target_id, target_name, result, detail)
  values (of_workspace, 'service', 'x3sproxy', 'service', 'token.expire', 'agent', agent_id, agent_name, 'ttl',
    format('{"deployment":%s,"expiredAt":%s}', deployment, x3sproxy.json_time(ended_at)))
$$;

create or replace function x3sproxy.expire_deleted_token() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- Without its agent it goes with the agent, where it was recorded.
  perform x3sproxy.add_expiry(a.workspace_id, a.id, a.name, old.deployment, old.expires_at)
  from x3sproxy.agents a where a.id = old.agent_id;
  return old;
end $$;

create or replace function x3sproxy.expire_agents_token() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform x3sproxy.add_expiry(old.workspace_id, old.id, old.name, t.deployment, t.expires_at)
  from x3sproxy.proxy_tokens t
  where t.agent_id = old.id and t.kind = 'deployment' and not t.end_recorded and t.expires_at <= now();
  return old;
end $$;

-- Records the ends that time brought; returns how many. Some at a time, by one process at a time: 0 to any other.
create or replace function x3sproxy.record_expired_tokens() returns integer
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

-- Ends the deployments' tokens that nobody has used for as many days as their workspace says; returns how many. Some at a time,
-- by one process at a time: 0 to any other. What an agent does by a lease counts as use.
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
    where w.unused_days is not null and t.kind = 'deployment' and (t.expires_at is null or t.expires_at > now())
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
       result, detail)
    values (token.workspace_id, 'service', 'x3sproxy', 'service', 'token.expire', 'agent', token.agent_id, token.name, 'unused',
      format('{"expiresAt":"%s → %s"}', coalesce(x3sproxy.json_time(token.expires_at)::jsonb #>> '{}', 'never'),
        x3sproxy.json_time(this_moment)::jsonb #>> '{}'));
    ended := ended + 1;
  end loop;
  return ended;
end $$;

-- As JavaScript writes it, quoted; `null` for null.
create or replace function x3sproxy.json_time(at timestamptz) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce('"' || to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"', 'null')
$$;

revoke all on function x3sproxy.add_expiry, x3sproxy.expire_deleted_token, x3sproxy.expire_agents_token,
  x3sproxy.record_expired_tokens, x3sproxy.expire_unused_tokens, x3sproxy.json_time from public, x3sproxy_control, x3sproxy_proxy;
grant execute on function x3sproxy.record_expired_tokens, x3sproxy.expire_unused_tokens to x3sproxy_control;
