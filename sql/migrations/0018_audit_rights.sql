-- What the database gives an event by itself, its id, its time and its salts, is not for whoever adds one to choose: an event of another
-- time would be pruned before its day or hold up all pruning, and one without a salt, or with an id that no export has a form for, would
-- leave a log that never verifies again.
revoke insert on x3sproxy.audit_events from x3sproxy_control;
grant insert (workspace_id, actor_kind, actor_id, actor_name, address, method, action, target_kind, target_id, target_name,
  before_hash, after_hash, result, detail) on x3sproxy.audit_events to x3sproxy_control;
-- What was pruned and erased is told of by the functions that do it, which run with the owner's rights: nobody else's word excuses what
-- isn't there.
drop policy own_workspace on x3sproxy.audit_events;
create policy own_workspace on x3sproxy.audit_events to x3sproxy_control
  using (workspace_id = nullif(current_setting('x3sproxy.workspace', true), '')::uuid)
  with check (workspace_id = nullif(current_setting('x3sproxy.workspace', true), '')::uuid
    and action not in ('audit.prune', 'audit.erase'));
