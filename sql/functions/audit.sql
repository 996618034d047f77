-- The audit's way into its tree: what waits, the newest heads, and that migrations are in it, too.

create or replace function x3sproxy.await_sealing() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into x3sproxy.audit_pending (event_id, workspace_id, created_at) values (new.id, new.workspace_id, new.created_at);
  return null;
end $$;

-- Which workspaces have events that wait.
create or replace function x3sproxy.unsealed_workspaces() returns setof uuid
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  with recursive waiting (id) as (
    (select p.workspace_id from x3sproxy.audit_pending p order by p.workspace_id limit 1)
    union all
    select (select p.workspace_id from x3sproxy.audit_pending p where p.workspace_id > w.id order by p.workspace_id limit 1)
    from waiting w where w.id is not null
  )
  select id from waiting where id is not null
$$;

-- The last checkpoint of each log, for those who send them out: they hold nothing that isn't meant to be known.
create or replace function x3sproxy.latest_checkpoints() returns table (workspace_id uuid, size bigint, note text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  with recursive logs (id) as (
    (select c.workspace_id from x3sproxy.audit_checkpoints c order by c.workspace_id limit 1)
    union all
    select (select c.workspace_id from x3sproxy.audit_checkpoints c where c.workspace_id > l.id order by c.workspace_id limit 1)
    from logs l where l.id is not null
  )
  select l.id, last.size, last.note
  from logs l cross join lateral (
    select c.size, c.note from x3sproxy.audit_checkpoints c where c.workspace_id = l.id order by c.size desc limit 1
  ) last
$$;

-- Writes down, in the home workspace, which migrations were applied since this was last asked; the owner's alone.
create or replace function x3sproxy.record_migrations() returns void
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

revoke all on function x3sproxy.await_sealing, x3sproxy.unsealed_workspaces, x3sproxy.latest_checkpoints,
  x3sproxy.record_migrations from public, x3sproxy_control, x3sproxy_proxy;
grant execute on function x3sproxy.unsealed_workspaces, x3sproxy.latest_checkpoints to x3sproxy_control;
