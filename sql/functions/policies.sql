-- Row-level security: the control role sees the rows of the workspace that the setting x3sproxy.workspace names, and no others. Postgres
-- has no `create or replace policy`; in the transaction that drops one, nobody else gets in between.

do $$ declare t text; begin
  foreach t in array array[
    'activity_agents', 'activity_calls', 'activity_contexts', 'activity_minutes', 'activity_versions',
    'agent_first_uses', 'agents', 'api_keys', 'audit_checkpoints', 'audit_erasures', 'audit_leaves', 'audit_nodes',
    'audit_pending', 'audit_retentions', 'deployment_requests', 'invitations', 'new_agent_scopes', 'providers',
    'proxy_tokens', 'recovery_codes', 'registrations', 'resets', 'second_factors', 'secret_versions', 'secrets',
    'sessions', 'spent_registrations', 'users'
  ] loop
    execute format('drop policy if exists own_workspace on x3sproxy.%I', t);
    execute format('create policy own_workspace on x3sproxy.%I to x3sproxy_control
      using (workspace_id = nullif(current_setting(''x3sproxy.workspace'', true), '''')::uuid)', t);
  end loop;
end $$;

drop policy if exists own_workspace on x3sproxy.workspaces;
create policy own_workspace on x3sproxy.workspaces to x3sproxy_control
  using (id = nullif(current_setting('x3sproxy.workspace', true), '')::uuid);

-- What was pruned and erased is told of by the functions that do it, which run with the owner's rights: nobody else's word excuses what
-- isn't there.
drop policy if exists own_workspace on x3sproxy.audit_events;
create policy own_workspace on x3sproxy.audit_events to x3sproxy_control
  using (workspace_id = nullif(current_setting('x3sproxy.workspace', true), '')::uuid)
  with check (workspace_id = nullif(current_setting('x3sproxy.workspace', true), '')::uuid
    and action not in ('audit.prune', 'audit.erase'));
