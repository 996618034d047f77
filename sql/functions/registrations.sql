-- Registration tokens: traded once, then remembered for a month, so that one that turns up again is noticed.

-- Trades a registration for a deployment whose token has the given hash: null, and nothing done, unless it is live and its agent is
-- not suspended. Of many at once, one gets it. Locks the agent first, as every deployment does. Hashes in the audit as elsewhere:
-- SHA-256 of the canonical JSON, here of the deployment's number.
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
     target_kind, target_id, target_name, result, detail)
  values (agent.workspace_id, 'link', registration.id, 'registration by ' || left(registration.created_by, 284), from_address,
    'registration', 'registration.trade', 'agent', agent.id, agent.name, 'done',
    format('{"deployment":"%s → %s"}', agent.deployments, agent.deployments + 1));
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

create or replace function x3sproxy.keep_spent_registration() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into x3sproxy.spent_registrations (hash, id, workspace_id, agent_id, created_by)
  select old.hash, old.id, w.id, old.agent_id, old.created_by from x3sproxy.workspaces w where w.id = old.workspace_id
  on conflict do nothing;
  return null;
end $$;

-- Writes down that a registration which there is or was is refused: once an hour each, so that asking again fills no audit. Of a token
-- that never was one there is nothing to write down, and nobody whose audit it would be in.
create or replace function x3sproxy.note_refused_trade(registration_hash bytea, from_address text) returns void
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

revoke all on function x3sproxy.trade_registration, x3sproxy.keep_spent_registration, x3sproxy.note_refused_trade from public,
  x3sproxy_control, x3sproxy_proxy;
grant execute on function x3sproxy.trade_registration to x3sproxy_proxy;
