-- Calls by hour, contexts by minute, and first uses; told which uses are unusual.

-- Adds a batch, once: objects whose keys are the columns of activity_calls, activity_contexts and agent_first_uses. Answers how many unusual uses it found, by kind.
-- One at a time, so that a use is found by one process, and the bounds hold over all of them.
create or replace function x3sproxy.add_calls(from_writer uuid, batch_number bigint, calls jsonb, contexts jsonb, uses jsonb) returns jsonb
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

revoke all on function x3sproxy.add_calls from public, x3sproxy_control, x3sproxy_proxy;
grant execute on function x3sproxy.add_calls to x3sproxy_proxy;
