-- Why a token is no longer known: its agent was destroyed, or it has another one. Tells nothing else of an agent.
create function x3sproxy.agent_state(agent_id uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select coalesce((
    select case when a.suspended_at is null and w.agents_suspended_at is null then 'live' else 'suspended' end
    from x3sproxy.agents a join x3sproxy.workspaces w on w.id = a.workspace_id
    where a.id = agent_state.agent_id), 'gone')
$$;
revoke all on function x3sproxy.agent_state(uuid) from public;
grant execute on function x3sproxy.agent_state(uuid) to x3sproxy_proxy;
