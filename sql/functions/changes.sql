-- What is announced to every process when something changes that a grant was made of (NOTIFY x3sproxy_changes). Never a hash or a key.

create or replace function x3sproxy.announce_agent_row() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_notify('x3sproxy_changes', 'agent ' || coalesce(new.id, old.id));
  return null;
end $$;

-- A lease that is new was never looked up, and one that is renewed in time stays true as it is remembered, for 60 s.
create or replace function x3sproxy.announce_token() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'INSERT' and new.kind = 'lease' then return null; end if;
  if tg_op = 'UPDATE' and new.kind = 'lease' and old.expires_at > now() + interval '60 s'
    and new.expires_at >= old.expires_at
    and (new.hash, new.workspace_id, new.agent_id, new.deployment, new.kind)
      = (old.hash, old.workspace_id, old.agent_id, old.deployment, old.kind)
  then
    return null;
  end if;
  perform pg_notify('x3sproxy_changes', 'agent ' || coalesce(new.agent_id, old.agent_id));
  return null;
end $$;

create or replace function x3sproxy.announce_workspace() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_notify('x3sproxy_changes', 'workspace ' || coalesce(new.workspace_id, old.workspace_id));
  return null;
end $$;

-- What of a workspace its tokens resolve to, and nothing else of it.
create or replace function x3sproxy.announce_workspace_row() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if (new.requests_per_minute, new.open_streams, new.bytes_per_minute, new.open_websockets, new.agents_suspended_at)
    is distinct from
    (old.requests_per_minute, old.open_streams, old.bytes_per_minute, old.open_websockets, old.agents_suspended_at)
  then
    perform pg_notify('x3sproxy_changes', 'workspace ' || new.id);
  end if;
  return null;
end $$;

revoke all on function x3sproxy.announce_agent_row, x3sproxy.announce_token, x3sproxy.announce_workspace,
  x3sproxy.announce_workspace_row from public, x3sproxy_control, x3sproxy_proxy;
