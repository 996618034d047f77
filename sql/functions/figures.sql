-- What the metrics tell of the database as a whole.

-- `new_for`: how long a token may be unused and count as new. `ages`: for each, how many active versions of keys are no older.
create or replace function x3sproxy.figures(new_for interval, ages interval[]) returns table (
  used_tokens integer, -- live tokens of deployments that have been used
  unused_tokens integer, -- those that have not, and are no longer new
  new_tokens integer,
  secrets_by_age jsonb, -- an array: for each of `ages`, how many
  secrets integer,
  oldest_secret_s double precision, -- 0: there is none
  master_key_s double precision, -- of the newest; null: there is none
  audit_lag_s double precision -- of the oldest event that has yet to be sealed; 0: there is none
)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  with token as (
    select t.created_at >= now() - new_for as is_new, exists (
      select from x3sproxy.activity_agents u
      where u.workspace_id = t.workspace_id and u.agent_id = t.agent_id and u.deployment >= t.deployment) as is_used
    from x3sproxy.proxy_tokens t
    where t.kind = 'deployment' and (t.expires_at is null or t.expires_at > now())
  ), secret as (
    select v.created_at
    from x3sproxy.secrets s
    join x3sproxy.secret_versions v on v.secret_id = s.id and v.version = s.active_version
  )
  select
    (select count(*) filter (where is_used) from token)::integer,
    (select count(*) filter (where not is_used and not is_new) from token)::integer,
    (select count(*) filter (where not is_used and is_new) from token)::integer,
    (select jsonb_agg((select count(*) from secret where created_at >= now() - age) order by place)
      from unnest(ages) with ordinality each (age, place)),
    (select count(*) from secret)::integer,
    coalesce((select extract(epoch from now() - min(created_at)) from secret), 0)::double precision,
    (select extract(epoch from now() - max(created_at)) from x3sproxy.master_keys)::double precision,
    coalesce((select greatest(0, extract(epoch from now() - min(created_at))) from x3sproxy.audit_pending), 0)::double precision
$$;

revoke all on function x3sproxy.figures from public, x3sproxy_control, x3sproxy_proxy;
grant execute on function x3sproxy.figures to x3sproxy_control;
