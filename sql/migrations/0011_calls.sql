-- What agents call, on whose behalf, and what of it is new for them. Rows refer to no agent, as those of activity do; only add_calls
-- writes, which the data plane may execute: it can add to counters and find something unusual, and neither read nor take away.

-- Calls that went up, by the hour (UTC) in which they ended: what a change of a scope is tried on.
create table x3sproxy.activity_calls (
  workspace_id uuid not null,
  agent_id uuid not null,
  hour timestamptz not null,
  provider text not null, -- empty, as the next three: added up with others, of which no more is known than that they were
  method text not null,
  path text not null, -- the provider's own, canonical; empty also where it could not be kept
  address text not null, -- empty also where it is unknown
  requests bigint not null,
  primary key (workspace_id, agent_id, hour, provider, method, path, address)
);

-- On whose behalf, as agents say it; of the calls that said it, by minute, agent and provider.
create table x3sproxy.activity_contexts (
  workspace_id uuid not null,
  minute timestamptz not null,
  agent text not null, -- its name: a destroyed agent's history stays readable
  provider text not null, -- empty: the request named none
  context jsonb not null,
  context_hash text not null generated always as (md5(context::text)) stored,
  requests bigint not null,
  primary key (workspace_id, minute, agent, provider, context_hash)
);

-- What an agent has ever used. Kept while there is the agent.
create table x3sproxy.agent_first_uses (
  workspace_id uuid not null references x3sproxy.workspaces on delete cascade,
  agent_id uuid not null,
  kind text not null check (kind in ('provider', 'path', 'address')),
  value text not null check (length(value) between 1 and 200), -- `…`: further ones, which are no longer told apart
  first_used_at timestamptz not null,
  address text, -- where that call came from
  unusual boolean not null, -- whether the agent was past its first hour, so that there is an event
  primary key (workspace_id, agent_id, kind, value)
);
create index agent_first_uses_unusual on x3sproxy.agent_first_uses (workspace_id, first_used_at) where unusual;

-- Adds a batch, once: objects whose keys are the columns of the three tables above. Answers how many unusual uses it found, by kind.
-- One at a time, so that a use is found by one process, and the bounds hold over all of them.
create function x3sproxy.add_calls(from_writer uuid, batch_number bigint, calls jsonb, contexts jsonb, uses jsonb) returns jsonb
language plpgsql strict security definer set search_path = pg_catalog, pg_temp as $$
declare
  most_calls constant integer := 500; -- rows of an agent in an hour
  most_contexts constant integer := 5; -- of an agent and provider in a minute
  most_uses constant integer := 500; -- of an agent and kind
  learning constant interval := '1 hour'; -- after an agent's first use, in which nothing is unusual
  found_uses jsonb;
begin
  if exists (
    select from (values (calls), (contexts), (uses)) given (rows)
    where jsonb_typeof(rows) <> 'array' or jsonb_array_length(rows) > 2000
  ) then
    raise exception 'a batch is arrays of up to 2000 rows' using errcode = '22023';
  end if;
  if exists (
    select from jsonb_populate_recordset(null::x3sproxy.activity_calls, calls) c
    where c.requests not between 0 and 1e15 or c.provider !~ '^([a-z0-9][a-z0-9-]{0,62})?$' or c.method !~ '^([A-Z-]{1,20})?$'
      or length(c.path) > 200 or c.path !~ '^(/|$)' or c.address !~ '^([0-9a-f:.]{2,45}(%[\w.-]{1,20})?)?$'
  ) or exists (
    select from jsonb_populate_recordset(null::x3sproxy.activity_contexts, contexts) c
    where c.requests not between 0 and 1e15 or c.agent !~ '^[a-z0-9][a-z0-9._-]{0,62}$'
      or c.provider !~ '^([a-z0-9][a-z0-9-]{0,62})?$' or jsonb_typeof(c.context) <> 'object'
      or (select count(*) not between 1 and 8 or bool_or(jsonb_typeof(e.value) <> 'string' or e.key !~ '^[a-z0-9-]{1,32}$'
          or e.value #>> '{}' !~ '^[ -~]{1,200}$') from jsonb_each(c.context) e)
  ) or exists (
    select from jsonb_populate_recordset(null::x3sproxy.agent_first_uses, uses) u
    where u.kind not in ('provider', 'path', 'address') or length(u.value) not between 1 and 200 or length(u.address) > 100
  ) then
    raise exception 'a row is out of bounds' using errcode = '22023';
  end if;

  insert into x3sproxy.activity_writers as w (writer, batch) values (from_writer, batch_number)
  on conflict (writer) do update set batch = excluded.batch, wrote_at = now() where w.batch < excluded.batch;
  if not found then return '{}'; end if;
  perform pg_advisory_xact_lock(7233004);

  insert into x3sproxy.activity_calls as c
  with given as (
    select g.workspace_id, g.agent_id, date_trunc('hour', g.hour, 'UTC') as hour, g.provider, g.method, g.path, g.address,
      sum(g.requests) as requests
    from jsonb_populate_recordset(null::x3sproxy.activity_calls, calls) g
    join x3sproxy.workspaces k on k.id = g.workspace_id
    where g.hour between now() - interval '47 hours' and now() + interval '10 minutes'
    group by 1, 2, 3, 4, 5, 6, 7
  ), placed as (
    select g.*, c.requests is not null as known,
      count(*) filter (where c.requests is null) over (
        partition by g.workspace_id, g.agent_id, g.hour order by g.provider, g.method, g.path, g.address) as place
    from given g left join x3sproxy.activity_calls c using (workspace_id, agent_id, hour, provider, method, path, address)
  ), fitting as (
    select p.*, p.known or p.place <= most_calls - (
      select count(*) from x3sproxy.activity_calls c
      where c.workspace_id = p.workspace_id and c.agent_id = p.agent_id and c.hour = p.hour) as fits
    from placed p
  )
  select workspace_id, agent_id, hour, case when fits then provider else '' end, case when fits then method else '' end,
    case when fits then path else '' end, case when fits then address else '' end, sum(requests)
  from fitting group by 1, 2, 3, 4, 5, 6, 7
  on conflict (workspace_id, agent_id, hour, provider, method, path, address) do update set
    requests = c.requests + excluded.requests;

  insert into x3sproxy.activity_contexts as c (workspace_id, minute, agent, provider, context, requests)
  with given as (
    select g.workspace_id, date_trunc('minute', g.minute) as minute, g.agent, g.provider, g.context, sum(g.requests) as requests
    from jsonb_populate_recordset(null::x3sproxy.activity_contexts, contexts) g
    join x3sproxy.workspaces k on k.id = g.workspace_id
    where g.minute between now() - interval '35 days' and now() + interval '10 minutes'
    group by 1, 2, 3, 4, 5
  ), placed as (
    select g.*, c.requests is not null as known,
      count(*) filter (where c.requests is null) over (
        partition by g.workspace_id, g.minute, g.agent, g.provider order by g.requests desc, g.context) as place
    from given g left join x3sproxy.activity_contexts c
      on (c.workspace_id, c.minute, c.agent, c.provider, c.context_hash)
        = (g.workspace_id, g.minute, g.agent, g.provider, md5(g.context::text))
  )
  select workspace_id, minute, agent, provider, context, requests from placed p
  where known or place <= most_contexts - (
    select count(*) from x3sproxy.activity_contexts c
    where (c.workspace_id, c.minute, c.agent, c.provider) = (p.workspace_id, p.minute, p.agent, p.provider))
  on conflict (workspace_id, minute, agent, provider, context_hash) do update set requests = c.requests + excluded.requests;

  with given as (
    select g.workspace_id, g.agent_id, a.name, g.kind, g.value, min(g.first_used_at) as at, min(g.address) as address
    from jsonb_populate_recordset(null::x3sproxy.agent_first_uses, uses) g
    join x3sproxy.agents a on a.id = g.agent_id and a.workspace_id = g.workspace_id
    where g.first_used_at between now() - interval '35 days' and now() + interval '10 minutes'
    group by 1, 2, 3, 4, 5
  ), placed as (
    select g.*, row_number() over (partition by g.agent_id, g.kind order by g.at, g.value) <= most_uses - (
        select count(*) from x3sproxy.agent_first_uses u
        where (u.workspace_id, u.agent_id, u.kind) = (g.workspace_id, g.agent_id, g.kind)) as fits,
      least(min(g.at) over (partition by g.agent_id), (
        select min(u.first_used_at) from x3sproxy.agent_first_uses u
        where (u.workspace_id, u.agent_id) = (g.workspace_id, g.agent_id))) as began
    from given g
    where not exists (
      select from x3sproxy.agent_first_uses u
      where (u.workspace_id, u.agent_id, u.kind, u.value) = (g.workspace_id, g.agent_id, g.kind, g.value))
  ), added as (
    insert into x3sproxy.agent_first_uses (workspace_id, agent_id, kind, value, first_used_at, address, unusual)
    select workspace_id, agent_id, kind, value, at, address, at - began >= learning from placed where fits
    union all
    select workspace_id, agent_id, kind, '…', min(at), null, false from placed where not fits group by 1, 2, 3
    on conflict do nothing
    returning *
  ), events as (
    insert into x3sproxy.audit_events
      (workspace_id, actor_kind, actor_name, address, method, action, target_kind, target_id, target_name, result)
    select n.workspace_id, 'service', 'x3sproxy', n.address, 'activity', 'agent.unusual', 'agent', n.agent_id::text, a.name,
      case when length(n.value) <= 80 then n.kind || ' ' || n.value else n.kind || ' ' || left(n.value, 80) || '…' end
    from added n join x3sproxy.agents a on a.id = n.agent_id where n.unusual
    order by n.first_used_at, n.kind, n.value
  )
  select coalesce(jsonb_object_agg(kind, number), '{}') into found_uses
  from (select kind, count(*) as number from added where unusual group by kind) each;
  return found_uses;
end $$;

create or replace function x3sproxy.prune_activity() returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  gone uuid[];
  pruned bigint;
  more bigint;
begin
  if not pg_try_advisory_xact_lock(7233003) then return 0; end if;
  delete from x3sproxy.activity_minutes where ctid = any (array(
    select ctid from x3sproxy.activity_minutes where minute < now() - interval '35 days' limit 5000));
  get diagnostics pruned = row_count;
  -- From each workspace to the next along the primary key, without reading what lies between.
  with recursive named (id) as (
    (select m.workspace_id from x3sproxy.activity_minutes m order by m.workspace_id limit 1)
    union all
    select (select m.workspace_id from x3sproxy.activity_minutes m where m.workspace_id > n.id
      order by m.workspace_id limit 1)
    from named n where n.id is not null)
  select array_agg(n.id) into gone from named n
  where n.id is not null and not exists (select from x3sproxy.workspaces w where w.id = n.id);
  delete from x3sproxy.activity_minutes where ctid = any (array(
    select ctid from x3sproxy.activity_minutes where workspace_id = any (gone) limit 5000));
  get diagnostics more = row_count;
  pruned := pruned + more;
  delete from x3sproxy.activity_contexts where ctid = any (array(
    select c.ctid from x3sproxy.activity_contexts c where c.minute < now() - interval '35 days'
      or not exists (select from x3sproxy.workspaces w where w.id = c.workspace_id) limit 5000));
  get diagnostics more = row_count;
  pruned := pruned + more;
  delete from x3sproxy.activity_calls where ctid = any (array(
    select c.ctid from x3sproxy.activity_calls c where c.hour < now() - interval '48 hours' or not exists (
      select from x3sproxy.agents a where a.id = c.agent_id and a.workspace_id = c.workspace_id) limit 5000));
  get diagnostics more = row_count;
  pruned := pruned + more;
  delete from x3sproxy.activity_versions where last_used_at < now() - interval '35 days';
  delete from x3sproxy.activity_agents u where not exists (
    select from x3sproxy.agents a where a.id = u.agent_id and a.workspace_id = u.workspace_id);
  delete from x3sproxy.agent_first_uses u where not exists (
    select from x3sproxy.agents a where a.id = u.agent_id and a.workspace_id = u.workspace_id);
  delete from x3sproxy.activity_writers where wrote_at < now() - interval '1 day';
  return pruned;
end $$;

revoke all on x3sproxy.activity_calls, x3sproxy.activity_contexts, x3sproxy.agent_first_uses from public;
revoke all on function x3sproxy.add_calls(uuid, bigint, jsonb, jsonb, jsonb) from public;
grant execute on function x3sproxy.add_calls(uuid, bigint, jsonb, jsonb, jsonb) to x3sproxy_proxy;
grant select on x3sproxy.activity_calls, x3sproxy.activity_contexts, x3sproxy.agent_first_uses to x3sproxy_control;
do $$ declare t text; begin
  foreach t in array array['activity_calls', 'activity_contexts', 'agent_first_uses']
  loop
    execute format('alter table x3sproxy.%I enable row level security', t);
    execute format('create policy own_workspace on x3sproxy.%I to x3sproxy_control
      using (workspace_id = nullif(current_setting(''x3sproxy.workspace'', true), '''')::uuid)', t);
  end loop;
end $$;
