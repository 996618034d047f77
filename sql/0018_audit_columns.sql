-- What the database gives an event by itself, its id, its time and its salts, is not for whoever adds one to choose: an event of another
-- time would be pruned before its day or hold up all pruning, and one without a salt, or with an id that no export has a form for, would
-- leave a log that never verifies again.
revoke insert on x3sproxy.audit_events from x3sproxy_control;
grant insert (workspace_id, actor_kind, actor_id, actor_name, address, method, action, target_kind, target_id, target_name,
  before_hash, after_hash, result, detail) on x3sproxy.audit_events to x3sproxy_control;
