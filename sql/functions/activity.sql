-- Sums of activity: added up by the minute, kept below the end of their type, pruned in their time, and what they say of refused keys.

-- Adds a batch, once: objects whose keys are the columns of activity_minutes, activity_versions and activity_agents. Rows of an unknown
-- workspace, and of a time that can't be, are passed over. In the order of the keys, so that two processes never wait for each other in a
-- ring. A row of what was refused counts from the last answer 2xx on, whoever got it: the count of an agent that goes on being
-- refused after another one was not begins anew with its next refusal. Nobody waits for others' rows for it.
create or replace function x3sproxy.add_activity(from_writer uuid, batch_number bigint, sums jsonb) returns void
language plpgsql strict security definer set search_path = pg_catalog, pg_temp as $$
begin
  if jsonb_typeof(sums) <> 'array' or jsonb_array_length(sums) > 2000 then
    raise exception 'a batch is an array of up to 2000 rows' using errcode = '22023';
  end if;
  if exists (
    select from jsonb_populate_recordset(null::x3sproxy.activity_minutes, sums) m
    where least(m.requests, m.status_2xx, m.status_3xx, m.status_4xx, m.status_5xx, m.status_none, m.errors, m.refusals,
        m.broken, m.request_bytes, m.response_bytes, m.first_byte_count, m.total_count, m.open_peak) < 0
      or greatest(m.requests, m.status_2xx, m.status_3xx, m.status_4xx, m.status_5xx, m.status_none, m.errors, m.refusals,
        m.broken, m.request_bytes, m.response_bytes, m.first_byte_count, m.total_count, m.open_peak) > 1e15
      or not m.first_byte_ms between 0 and 1e15 or not m.total_ms between 0 and 1e15
      or m.agent !~ '^[a-z0-9][a-z0-9._-]{0,62}$' or m.provider !~ '^([a-z0-9][a-z0-9-]{0,62})?$'
  ) then
    raise exception 'a row is out of bounds' using errcode = '22023';
  end if;
  if exists (
    select from jsonb_populate_recordset(null::x3sproxy.activity_versions, sums) v
    where least(v.refused_401, v.refused_403, v.refused_429) < 0 or greatest(v.refused_401, v.refused_403, v.refused_429) > 1e15
  ) then
    raise exception 'a refusal is out of bounds' using errcode = '22023';
  end if;

  insert into x3sproxy.activity_writers as w (writer, batch) values (from_writer, batch_number)
  on conflict (writer) do update set batch = excluded.batch, wrote_at = now() where w.batch < excluded.batch;
  if not found then return; end if;

  insert into x3sproxy.activity_minutes as m
  select g.workspace_id, date_trunc('minute', g.minute), g.agent, g.provider, sum(g.requests),
    sum(g.status_2xx), sum(g.status_3xx), sum(g.status_4xx), sum(g.status_5xx), sum(g.status_none),
    sum(g.errors), sum(g.refusals), sum(g.broken), sum(g.request_bytes), sum(g.response_bytes),
    sum(g.first_byte_count), sum(g.first_byte_ms), sum(g.total_count), sum(g.total_ms), sum(g.open_peak)
  from jsonb_populate_recordset(null::x3sproxy.activity_minutes, sums) g
  join x3sproxy.workspaces k on k.id = g.workspace_id
  where g.minute between now() - interval '35 days' and now() + interval '10 minutes'
  group by 1, 2, 3, 4 order by 1, 2, 3, 4
  on conflict (workspace_id, minute, agent, provider) do update set
    requests = m.requests + excluded.requests,
    status_2xx = m.status_2xx + excluded.status_2xx,
    status_3xx = m.status_3xx + excluded.status_3xx,
    status_4xx = m.status_4xx + excluded.status_4xx,
    status_5xx = m.status_5xx + excluded.status_5xx,
    status_none = m.status_none + excluded.status_none,
    errors = m.errors + excluded.errors,
    refusals = m.refusals + excluded.refusals,
    broken = m.broken + excluded.broken,
    request_bytes = m.request_bytes + excluded.request_bytes,
    response_bytes = m.response_bytes + excluded.response_bytes,
    first_byte_count = m.first_byte_count + excluded.first_byte_count,
    first_byte_ms = m.first_byte_ms + excluded.first_byte_ms,
    total_count = m.total_count + excluded.total_count,
    total_ms = m.total_ms + excluded.total_ms,
    open_peak = m.open_peak + excluded.open_peak;

  with batch as materialized (
    select g.workspace_id, g.secret_id, g.version, g.agent, g.first_used_at, g.last_used_at, g.requests, g.accepted_at,
      coalesce(g.refused_401, 0) as refused_401, coalesce(g.refused_403, 0) as refused_403, coalesce(g.refused_429, 0) as refused_429,
      g.refused_since, g.refused_at,
      max(g.accepted_at) over (partition by g.workspace_id, g.secret_id, g.version, g.agent) as agents_accepted_at
    from jsonb_populate_recordset(null::x3sproxy.activity_versions, sums) g
    join x3sproxy.workspaces k on k.id = g.workspace_id
    where g.secret_id is not null and g.last_used_at >= now() - interval '35 days'
      and greatest(g.last_used_at, g.accepted_at, g.refused_since, g.refused_at) <= now() + interval '10 minutes'
  ), taken as materialized (
    select u.workspace_id, u.secret_id, u.version, max(u.accepted_at) as at
    from (select distinct b.workspace_id, b.secret_id, b.version from batch b where b.refused_since is not null) r
    join x3sproxy.activity_versions u using (workspace_id, secret_id, version) group by 1, 2, 3
  )
  insert into x3sproxy.activity_versions as v (workspace_id, secret_id, version, agent, first_used_at, last_used_at, requests, accepted_at,
    refused_401, refused_403, refused_429, refused_since, refused_at)
  select b.workspace_id, b.secret_id, b.version, b.agent, min(b.first_used_at), max(b.last_used_at), sum(b.requests), max(b.accepted_at),
    coalesce(sum(b.refused_401) filter (where b.refused_since >= coalesce(b.agents_accepted_at, '-infinity')), 0),
    coalesce(sum(b.refused_403) filter (where b.refused_since >= coalesce(b.agents_accepted_at, '-infinity')), 0),
    coalesce(sum(b.refused_429) filter (where b.refused_since >= coalesce(b.agents_accepted_at, '-infinity')), 0),
    min(b.refused_since) filter (where b.refused_since >= coalesce(b.agents_accepted_at, '-infinity')),
    max(b.refused_at) filter (where b.refused_since >= coalesce(b.agents_accepted_at, '-infinity'))
  from batch b group by 1, 2, 3, 4 order by 1, 2, 3, 4
  on conflict (workspace_id, secret_id, version, agent) do update set
    first_used_at = least(v.first_used_at, excluded.first_used_at),
    last_used_at = greatest(v.last_used_at, excluded.last_used_at),
    requests = v.requests + excluded.requests,
    accepted_at = greatest(v.accepted_at, excluded.accepted_at),
    (refused_401, refused_403, refused_429, refused_since, refused_at) = (
      select excluded.refused_401 + case when stays then v.refused_401 else 0 end,
        excluded.refused_403 + case when stays then v.refused_403 else 0 end,
        excluded.refused_429 + case when stays then v.refused_429 else 0 end,
        least(excluded.refused_since, case when stays then v.refused_since end),
        greatest(excluded.refused_at, case when stays then v.refused_at end)
      from (select coalesce(v.refused_since >= coalesce(greatest(excluded.accepted_at, (
          select t.at from taken t
          where t.workspace_id = v.workspace_id and t.secret_id = v.secret_id and t.version = v.version)), '-infinity'), false) as stays) s);

  insert into x3sproxy.activity_agents as a
  select g.workspace_id, g.agent_id, g.provider, max(g.deployment), max(g.last_used_at)
  from jsonb_populate_recordset(null::x3sproxy.activity_agents, sums) g
  join x3sproxy.workspaces k on k.id = g.workspace_id
  where g.last_used_at between now() - interval '35 days' and now() + interval '10 minutes'
  group by 1, 2, 3 order by 1, 2, 3
  on conflict (workspace_id, agent_id, provider) do update set
    deployment = greatest(a.deployment, excluded.deployment),
    last_used_at = greatest(a.last_used_at, excluded.last_used_at);
end $$;

-- Deletes what has had its time, some rows at a time; returns how many minutes. One process at a time: 0 to any other.
create or replace function x3sproxy.prune_activity(of_table text, after_workspace uuid, after_id uuid,
  out pruned bigint, out at_workspace uuid, out at_id uuid)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  most constant integer := 5000;
  most_places constant integer := 500;
  lowest constant uuid := '00000000-0000-0000-0000-000000000000';
  -- Rows with an agent or a secret have it in the second column of the key.
  second text := case of_table
    when 'activity_calls' then 'agent_id' when 'activity_agents' then 'agent_id' when 'agent_first_uses' then 'agent_id'
    when 'activity_versions' then 'secret_id' end;
  age text := case of_table
    when 'activity_minutes' then 'minute' when 'activity_contexts' then 'minute' when 'activity_calls' then 'hour'
    when 'activity_versions' then 'last_used_at' end;
  kept constant interval := case of_table when 'activity_calls' then interval '48 hours' else interval '35 days' end;
  key text;
  place record;
  is_gone boolean;
begin
  pruned := 0;
  if not pg_try_advisory_xact_lock(7233003) then return; end if;
  if of_table = 'activity_writers' then
    delete from x3sproxy.activity_writers where wrote_at < now() - interval '1 day';
    return;
  end if;
  if second is null and age is null then raise exception 'no such activity' using errcode = '22023'; end if;
  at_workspace := coalesce(after_workspace, lowest);
  at_id := coalesce(after_id, lowest);
  key := 'workspace_id' || coalesce(', ' || second, '');
  for looked in 1 .. most_places loop
    execute format(
        'select workspace_id, %s as id from x3sproxy.%I where (%s) > (%s) order by %s limit 1',
        coalesce(second, '$2'), of_table, key, case when second is null then '$1' else '$1, $2' end, key)
      into place using at_workspace, at_id;
    if place.workspace_id is null then
      at_workspace := null;
      at_id := null;
      return;
    end if;
    is_gone := case
      when second = 'agent_id' then not exists (
        select from x3sproxy.agents a where a.id = place.id and a.workspace_id = place.workspace_id)
      else not exists (select from x3sproxy.workspaces w where w.id = place.workspace_id) end;
    if is_gone or age is not null then
      execute format(
          'delete from x3sproxy.%1$I where ctid = any (array(
            select ctid from x3sproxy.%1$I where workspace_id = $1 %2$s %3$s order by %4$s limit %5$s))',
          of_table, 'and ' || second || ' = $2', 'and ' || age || ' < $3', concat_ws(', ', key, age), most)
        using place.workspace_id, place.id, case when is_gone then 'infinity' else now() - kept end;
      get diagnostics pruned = row_count;
      if pruned > 0 then return; end if;
    end if;
    at_workspace := place.workspace_id;
    at_id := place.id;
  end loop;
end $$;

-- A counter stays far below the end of its type, whatever is added to it. Whoever has the data plane's login could fill one, and from then
-- on each batch in which that agent's calls were failed as a whole, with what it had of other agents; and so did the list of keys, which
-- adds up what each agent was refused. The triggers' bodies run for such rows alone.
create or replace function x3sproxy.cap_requests() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.requests := least(new.requests, 1000000000000000);
  return new;
end $$;

create or replace function x3sproxy.cap_minutes() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.requests := least(new.requests, 1000000000000000);
  new.status_2xx := least(new.status_2xx, 1000000000000000);
  new.status_3xx := least(new.status_3xx, 1000000000000000);
  new.status_4xx := least(new.status_4xx, 1000000000000000);
  new.status_5xx := least(new.status_5xx, 1000000000000000);
  new.status_none := least(new.status_none, 1000000000000000);
  new.errors := least(new.errors, 1000000000000000); new.refusals := least(new.refusals, 1000000000000000);
  new.broken := least(new.broken, 1000000000000000);
  new.request_bytes := least(new.request_bytes, 1000000000000000);
  new.response_bytes := least(new.response_bytes, 1000000000000000);
  new.first_byte_count := least(new.first_byte_count, 1000000000000000);
  new.total_count := least(new.total_count, 1000000000000000);
  new.open_peak := least(new.open_peak, 1000000000000000);
  return new;
end $$;

create or replace function x3sproxy.cap_versions() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.requests := least(new.requests, 1000000000000); new.refused_401 := least(new.refused_401, 1000000000000);
  new.refused_403 := least(new.refused_403, 1000000000000);
  new.refused_429 := least(new.refused_429, 1000000000000);
  return new;
end $$;

-- Keys whose active version the provider refuses now: five calls or more since the last one that it took. Too many requests alone are a
-- matter of the last quarter of an hour. `of_agents`: only what these got, by name; null: all.
create or replace function x3sproxy.key_refusals(of_workspace uuid, of_agents text[] default null)
returns table (secret_id uuid, version integer, calls bigint, status_401 bigint, status_403 bigint, status_429 bigint, agents bigint,
  since timestamptz, latest timestamptz)
language sql stable set search_path = pg_catalog, pg_temp as $$
  with refused as materialized (
    select distinct v.secret_id, v.version
    from x3sproxy.activity_versions v
    join x3sproxy.secrets s on s.id = v.secret_id and s.workspace_id = v.workspace_id and s.active_version = v.version
    where v.workspace_id = of_workspace and v.refused_since is not null
  )
  select r.secret_id, r.version, sum(each.refused_401 + each.refused_403 + each.refused_429)::bigint, sum(each.refused_401)::bigint,
    sum(each.refused_403)::bigint, sum(each.refused_429)::bigint, count(*), min(each.refused_since), max(each.refused_at)
  from refused r
  cross join lateral (
    select max(v.accepted_at) as at from x3sproxy.activity_versions v
    where v.workspace_id = of_workspace and v.secret_id = r.secret_id and v.version = r.version) accepted
  join x3sproxy.activity_versions each on each.workspace_id = of_workspace and each.secret_id = r.secret_id and each.version = r.version
    and each.refused_since >= coalesce(accepted.at, '-infinity')
  where of_agents is null or each.agent = any (of_agents)
  group by r.secret_id, r.version
  having sum(each.refused_401 + each.refused_403 + each.refused_429) >= 5
    and (sum(each.refused_401 + each.refused_403) > 0 or max(each.refused_at) > now() - interval '15 minutes')
$$;

-- How many there are, in all workspaces; none of them by name.
create or replace function x3sproxy.count_refused_keys() returns integer
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select count(*)::integer
  from (select distinct v.workspace_id from x3sproxy.activity_versions v where v.refused_since is not null) w
  cross join lateral x3sproxy.key_refusals(w.workspace_id) k
$$;

revoke all on function x3sproxy.add_activity, x3sproxy.prune_activity, x3sproxy.cap_requests, x3sproxy.cap_minutes,
  x3sproxy.cap_versions, x3sproxy.key_refusals, x3sproxy.count_refused_keys from public, x3sproxy_control, x3sproxy_proxy;
grant execute on function x3sproxy.prune_activity, x3sproxy.key_refusals, x3sproxy.count_refused_keys to x3sproxy_control;
grant execute on function x3sproxy.add_activity to x3sproxy_proxy;
