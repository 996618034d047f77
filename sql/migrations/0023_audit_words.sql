-- What changed is said in words, in the event's detail. Hashes of it told nobody anything, and what is short or known could be guessed from
-- them. Those of older events stay: they are a part of their leaves.
alter table x3sproxy.audit_events drop constraint audit_events_detail_check,
  add constraint audit_events_detail_check check (length(detail) <= 4000);

-- As before, but only users are erased. Events say by kind and id who acted: whatever else is named like an address stays who it is.
CREATE OR REPLACE FUNCTION x3sproxy.erase_person(subject text, by_kind text, by_id uuid, by_name text, by_address text, by_method text, OUT parts bigint, OUT waiting bigint, OUT others bigint)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  most constant integer := 1000;
  nobody constant text := 'an erased person';
  here uuid := nullif(current_setting('x3sproxy.workspace', true), '')::uuid;
  emails text[];
  ids text[] := '{}';
  pattern text; -- one of the addresses, and not a part of a longer one
  registrars text[]; -- what events call those of the addresses that no API key had for its name
  event_id bigint;
  indexes bigint[];
  which text[];
  of_actors bigint[];
  of_targets bigint[];
  changed bigint;
begin
  if here is null then raise exception 'a workspace is needed' using errcode = '22023'; end if;
  perform pg_advisory_xact_lock(7233022);
  if subject ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
    ids := array[subject];
    select coalesce(array_agg(distinct lower(n.name)), '{}') into emails from (
      select e.actor_name from x3sproxy.audit_events e
      where e.workspace_id = here and (e.actor_name like '%@%' or e.target_name like '%@%')
        and e.actor_kind = 'user' and e.actor_id::text = subject
      union
      select e.target_name from x3sproxy.audit_events e
      where e.workspace_id = here and (e.actor_name like '%@%' or e.target_name like '%@%')
        and e.target_kind = 'user' and e.target_id = subject) n (name)
    where n.name like '%@%';
  elsif subject ~ '^[^@[:space:]]+@[^@[:space:]]+$' then
    emails := array[lower(subject)];
  else
    raise exception 'neither an id nor an e-mail address' using errcode = '22023';
  end if;
  -- Whoever was deleted and invited again has had several ids.
  ids := ids || array(
    select e.actor_id::text from x3sproxy.audit_events e
    where e.workspace_id = here and (e.actor_name like '%@%' or e.target_name like '%@%')
      and e.actor_kind = 'user' and e.actor_id is not null and lower(e.actor_name) = any (emails)
    union
    select e.target_id from x3sproxy.audit_events e
    where e.workspace_id = here and (e.actor_name like '%@%' or e.target_name like '%@%')
      and e.target_kind = 'user' and lower(e.target_name) = any (emails));
  if exists (select from x3sproxy.users u where u.workspace_id = here and (u.id::text = any (ids) or lower(u.email) = any (emails))) then
    return;
  end if;
  parts := 0;
  waiting := 0;
  others := 0;
  -- Such an event says by name alone who made the registration.
  select coalesce(array_agg('registration by ' || a.address), '{}') into registrars from unnest(emails) a (address)
    where not exists (
      select from x3sproxy.audit_events k
      where k.workspace_id = here and k.actor_kind = 'api_key' and k.actor_name = a.address);
  select '(?<![[:alnum:]._%+@-])(' || string_agg(regexp_replace(a.address, '([^[:alnum:]])', '\\\1', 'g'), '|')
      || ')(?![[:alnum:]@_-]|\.[[:alnum:]])' into pattern
    from unnest(emails) a (address);

  with hit as materialized (
    select h.*, row_number() over (order by h.leaf_index) <= most and h.leaf_index is not null as now from (
      select e.id, l.leaf_index,
        e.actor_salt is not null and case e.actor_kind
          when 'user' then coalesce(e.actor_id::text = any (ids), lower(e.actor_name) = any (emails))
          when 'link' then lower(e.actor_name) = any (emails) or e.actor_name = any (registrars)
          else false end as actor,
        e.target_salt is not null and case e.target_kind
          when 'user' then e.target_id = any (ids)
          when 'invitation' then lower(e.target_name) = any (emails)
          when 'session' then lower(e.target_name) = any (emails)
          else false end as target
      from x3sproxy.audit_events e
      left join lateral (select p.leaf_index from x3sproxy.audit_leaves p where p.event_id = e.id limit 1) l on true
      where e.workspace_id = here and (e.actor_name like '%@%' or e.target_name like '%@%')) h
    where h.actor or h.target
  ), list as (
    select h.leaf_index, 'actor' as part, h.id from hit h where h.actor and h.now
    union all
    select h.leaf_index, 'target', h.id from hit h where h.target and h.now
  )
  select coalesce(array_agg(l.leaf_index order by l.leaf_index, l.part), '{}'), array_agg(l.part order by l.leaf_index, l.part),
    array_agg(l.id) filter (where l.part = 'actor'), array_agg(l.id) filter (where l.part = 'target'),
    (select coalesce(sum(h.actor::integer + h.target::integer), 0) from hit h where not h.now)
    into indexes, which, of_actors, of_targets, waiting from list l;
  update x3sproxy.audit_events e set actor_salt = null, actor_id = null, actor_name = '', address = null
    where e.id = any (of_actors);
  update x3sproxy.audit_events e set target_salt = null, target_id = '', target_name = ''
    where e.id = any (of_targets);
  parts := cardinality(indexes);

  if pattern is not null then
    delete from x3sproxy.invitations i where i.workspace_id = here and lower(i.email) = any (emails);
    get diagnostics changed = row_count;
    others := others + changed;
    update x3sproxy.invitations i set invited_by = left(regexp_replace(i.invited_by, pattern, nobody, 'gi'), 300)
      where i.workspace_id = here and i.invited_by ~* pattern;
    get diagnostics changed = row_count;
    others := others + changed;
    update x3sproxy.registrations r set created_by = left(regexp_replace(r.created_by, pattern, nobody, 'gi'), 300)
      where r.workspace_id = here and r.created_by ~* pattern;
    get diagnostics changed = row_count;
    others := others + changed;
    update x3sproxy.spent_registrations r set created_by = left(regexp_replace(r.created_by, pattern, nobody, 'gi'), 300)
      where r.workspace_id = here and r.created_by ~* pattern;
    get diagnostics changed = row_count;
    others := others + changed;
    update x3sproxy.api_keys k set name = left(regexp_replace(k.name, pattern, nobody, 'gi'), 100)
      where k.workspace_id = here and k.name ~* pattern;
    get diagnostics changed = row_count;
    others := others + changed;
    update x3sproxy.secrets s set label = left(regexp_replace(s.label, pattern, nobody, 'gi'), 200)
      where s.workspace_id = here and s.label ~* pattern;
    get diagnostics changed = row_count;
    others := others + changed;
    delete from x3sproxy.activity_contexts c where c.workspace_id = here and c.context::text like '%@%' and c.context::text ~* pattern;
    get diagnostics changed = row_count;
    others := others + changed;
  end if;

  if parts = 0 and others = 0 then return; end if;
  insert into x3sproxy.audit_events
    (workspace_id, actor_kind, actor_id, actor_name, address, method, action, target_kind, target_id, target_name, result, detail)
  values (here, by_kind, by_id, by_name, by_address, by_method, 'audit.erase', 'erasure', gen_random_uuid(), 'a person', 'done',
    format('{"list":"%s","parts":%s}', (
      select encode(sha256(convert_to(coalesce(string_agg(l.leaf_index || ' ' || l.part || e'\n', '' order by l.place), ''), 'utf8')), 'hex')
      from unnest(indexes, which) with ordinality l (leaf_index, part, place)), parts))
  returning id into event_id;
  insert into x3sproxy.audit_erasures (workspace_id, leaf_index, part, erasure_event_id)
    select here, l.leaf_index, l.part, event_id from unnest(indexes, which) l (leaf_index, part);
end $function$;

CREATE OR REPLACE FUNCTION x3sproxy.trade_registration(registration_hash bytea, new_token_hash bytea, from_address text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION x3sproxy.expire_unused_tokens()
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
end $function$;
