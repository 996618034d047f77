-- When the functions are called by themselves. Making one anew locks its table for a moment: what changes often is in the functions.

create or replace trigger cap before insert or update on x3sproxy.activity_calls
  for each row when (new.requests > 1000000000000000)
  execute function x3sproxy.cap_requests();
create or replace trigger cap before insert or update on x3sproxy.activity_contexts
  for each row when (new.requests > 1000000000000000)
  execute function x3sproxy.cap_requests();
create or replace trigger cap before insert or update on x3sproxy.activity_minutes
  for each row when (greatest(new.requests, new.status_2xx, new.status_3xx, new.status_4xx, new.status_5xx, new.status_none, new.errors,
    new.refusals, new.broken, new.request_bytes, new.response_bytes, new.first_byte_count, new.total_count,
    new.open_peak) > 1000000000000000)
  execute function x3sproxy.cap_minutes();
create or replace trigger cap before insert or update on x3sproxy.activity_versions
  for each row when (greatest(new.requests, new.refused_401, new.refused_403, new.refused_429) > 1000000000000)
  execute function x3sproxy.cap_versions();
create or replace trigger announce after update or delete on x3sproxy.agents
  for each row execute function x3sproxy.announce_agent_row();
create or replace trigger record_end before delete on x3sproxy.agents
  for each row execute function x3sproxy.expire_agents_token();
create or replace trigger await_sealing after insert on x3sproxy.audit_events
  for each row execute function x3sproxy.await_sealing();
create or replace trigger note_audit_retention before update of days on x3sproxy.audit_retentions
  for each row execute function x3sproxy.note_audit_retention();
create or replace trigger announce after insert or update or delete on x3sproxy.providers
  for each row execute function x3sproxy.announce_workspace();
create or replace trigger announce after insert or delete or update of hash, workspace_id, agent_id, deployment, expires_at, kind
  on x3sproxy.proxy_tokens for each row execute function x3sproxy.announce_token();
create or replace trigger record_end before delete on x3sproxy.proxy_tokens
  for each row when (old.kind = 'deployment' and not old.end_recorded and old.expires_at <= now())
  execute function x3sproxy.expire_deleted_token();
create or replace trigger keep_spent after delete on x3sproxy.registrations
  for each row execute function x3sproxy.keep_spent_registration();
create or replace trigger announce after insert or delete on x3sproxy.secret_versions
  for each row execute function x3sproxy.announce_workspace();
create or replace trigger announce_update after update on x3sproxy.secret_versions
  for each row when (new.key_id = old.key_id
    or (new.secret_id, new.workspace_id, new.version, new.origin, new.header, new.scheme)
      is distinct from (old.secret_id, old.workspace_id, old.version, old.origin, old.header, old.scheme))
  execute function x3sproxy.announce_workspace();
create or replace trigger place_credential before insert or update on x3sproxy.secret_versions
  for each row when (new.header is null or new.scheme is null) execute function x3sproxy.place_credential();
create or replace trigger announce after insert or update or delete on x3sproxy.secrets
  for each row execute function x3sproxy.announce_workspace();
create or replace trigger announce after update on x3sproxy.workspaces
  for each row execute function x3sproxy.announce_workspace_row();
create or replace trigger begin_audit_retention after insert on x3sproxy.workspaces
  for each row execute function x3sproxy.begin_audit_retention();
