-- What agents did, added up. Rows name an agent or a secret and refer to none, so that they outlive it and no change of one
-- waits for them. Only add_activity writes, which the data plane may execute: it can add to counters, and neither read nor
-- take away.

-- Exchanges by the minute in which they ended.
create table x3sproxy.activity_minutes (
  workspace_id uuid not null references x3sproxy.workspaces on delete cascade,
  minute timestamptz not null,
  agent text not null, -- its name: a destroyed agent's history stays readable
  provider text not null, -- empty: the request named none
  requests bigint not null,
  status_2xx bigint not null, -- and 101, a WebSocket that was granted
  status_3xx bigint not null,
  status_4xx bigint not null,
  status_5xx bigint not null,
  status_none bigint not null,
  errors bigint not null, -- answered with 5xx, or broken
  refusals bigint not null, -- answered by the proxy itself
  broken bigint not null, -- ended before their time
  request_bytes bigint not null,
  response_bytes bigint not null,
  first_byte_count bigint not null,
  first_byte_ms double precision not null,
  total_count bigint not null, -- all but refusals
  total_ms double precision not null,
  open_peak bigint not null, -- the most under way at once: each process's most, added up
  primary key (workspace_id, minute, agent, provider)
);
create index activity_minutes_age on x3sproxy.activity_minutes using brin (minute);

-- Which version of a secret which agent has used.
create table x3sproxy.activity_versions (
  workspace_id uuid not null references x3sproxy.workspaces on delete cascade,
  secret_id uuid not null,
  version integer not null,
  agent text not null,
  first_used_at timestamptz not null,
  last_used_at timestamptz not null,
  requests bigint not null,
  primary key (workspace_id, secret_id, version, agent)
);

-- When an agent was last used, for which provider, and with the token of which deployment. Kept while there is the agent.
create table x3sproxy.activity_agents (
  workspace_id uuid not null references x3sproxy.workspaces on delete cascade,
  agent_id uuid not null,
  provider text not null,
  deployment integer not null,
  last_used_at timestamptz not null,
  primary key (workspace_id, agent_id, provider)
);

-- The last batch that each process has written, so that one of unknown fate can be sent again without counting twice.
create table x3sproxy.activity_writers (
  writer uuid primary key,
  batch bigint not null,
  wrote_at timestamptz not null default now()
);

-- Adds a batch, once: objects whose keys are the columns of the three tables above. Rows of an unknown workspace, and of a
-- time that can't be, are passed over. In the order of the keys, so that two processes never wait for each other in a ring.
create function x3sproxy.add_activity(from_writer uuid, batch_number bigint, sums jsonb) returns void
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

  insert into x3sproxy.activity_versions as v
  select g.workspace_id, g.secret_id, g.version, g.agent, min(g.first_used_at), max(g.last_used_at), sum(g.requests)
  from jsonb_populate_recordset(null::x3sproxy.activity_versions, sums) g
  join x3sproxy.workspaces k on k.id = g.workspace_id
  where g.secret_id is not null and g.last_used_at between now() - interval '35 days' and now() + interval '10 minutes'
  group by 1, 2, 3, 4 order by 1, 2, 3, 4
  on conflict (workspace_id, secret_id, version, agent) do update set
    first_used_at = least(v.first_used_at, excluded.first_used_at),
    last_used_at = greatest(v.last_used_at, excluded.last_used_at),
    requests = v.requests + excluded.requests;

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
create function x3sproxy.prune_activity() returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare pruned bigint;
begin
  if not pg_try_advisory_xact_lock(7233003) then return 0; end if;
  delete from x3sproxy.activity_minutes where ctid = any (array(
    select ctid from x3sproxy.activity_minutes where minute < now() - interval '35 days' limit 5000));
  get diagnostics pruned = row_count;
  delete from x3sproxy.activity_versions where last_used_at < now() - interval '35 days';
  delete from x3sproxy.activity_agents u where not exists (
    select from x3sproxy.agents a where a.id = u.agent_id and a.workspace_id = u.workspace_id);
  delete from x3sproxy.activity_writers where wrote_at < now() - interval '1 day';
  return pruned;
end $$;

revoke all on x3sproxy.activity_minutes, x3sproxy.activity_versions, x3sproxy.activity_agents, x3sproxy.activity_writers
  from public;
revoke all on function x3sproxy.add_activity(uuid, bigint, jsonb), x3sproxy.prune_activity() from public;
grant execute on function x3sproxy.add_activity(uuid, bigint, jsonb) to x3sproxy_proxy;
grant execute on function x3sproxy.prune_activity() to x3sproxy_control;
grant select on x3sproxy.activity_minutes, x3sproxy.activity_versions, x3sproxy.activity_agents to x3sproxy_control;
do $$ declare t text; begin
  foreach t in array array['activity_minutes', 'activity_versions', 'activity_agents']
  loop
    execute format('alter table x3sproxy.%I enable row level security', t);
    execute format('create policy own_workspace on x3sproxy.%I to x3sproxy_control
      using (workspace_id = nullif(current_setting(''x3sproxy.workspace'', true), '''')::uuid)', t);
  end loop;
end $$;
