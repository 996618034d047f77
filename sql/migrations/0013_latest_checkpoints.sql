-- The last checkpoint of each log, for those who send them out: they hold nothing that isn't meant to be known.
create function x3sproxy.latest_checkpoints() returns table (workspace_id uuid, size bigint, note text)
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
revoke all on function x3sproxy.latest_checkpoints() from public;
grant execute on function x3sproxy.latest_checkpoints() to x3sproxy_control;
