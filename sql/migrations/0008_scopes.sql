-- What an agent may do: its scope, its limits, and whether it is suspended. A null in the scope limits nothing; what is set is a
-- complete list, and whatever is not on it is refused.
alter table x3sproxy.agents
  add column rules text[], -- `METHOD /provider/path`, `!` before it takes away
  add column addresses text[], -- blocks of them, in CIDR form
  add column models text[],
  add column scope_expires_at timestamptz, -- whatever its token's own end
  add column requests_per_minute integer check (requests_per_minute > 0),
  add column open_streams integer check (open_streams > 0),
  add column bytes_per_minute bigint check (bytes_per_minute > 0),
  add column suspended_at timestamptz;

alter table x3sproxy.workspaces
  add column requests_per_minute integer check (requests_per_minute > 0), -- of all agents together, as the next three
  add column open_streams integer check (open_streams > 0),
  add column bytes_per_minute bigint check (bytes_per_minute > 0),
  add column open_websockets integer check (open_websockets > 0),
  add column agents_suspended_at timestamptz, -- all of them, whatever their own state
  add column unused_days integer check (unused_days between 1 and 3650); -- after which a token ends by itself; null: never

-- What of a workspace its tokens resolve to, and nothing else of it.
create function x3sproxy.announce_workspace_row() returns trigger
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
revoke all on function x3sproxy.announce_workspace_row() from public;
create trigger announce after update on x3sproxy.workspaces
  for each row execute function x3sproxy.announce_workspace_row();

create or replace function x3sproxy.resolve_token(token_hash bytea) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select jsonb_build_object(
    'workspaceId', a.workspace_id,
    'agentId', a.id,
    'agentName', a.name,
    'environment', a.environment,
    'deployment', t.deployment,
    'expiresAtMs', (extract(epoch from t.expires_at) * 1000)::bigint,
    'suspended', a.suspended_at is not null or w.agents_suspended_at is not null,
    'scope', jsonb_build_object(
      'providers', to_jsonb(a.providers),
      'rules', to_jsonb(a.rules),
      'allowedEndpoints', to_jsonb(a.allowed_endpoints),
      'addresses', to_jsonb(a.addresses),
      'models', to_jsonb(a.models),
      'expiresAtMs', (extract(epoch from a.scope_expires_at) * 1000)::bigint),
    'limits', jsonb_build_object(
      'requestsPerMinute', a.requests_per_minute, 'openStreams', a.open_streams, 'bytesPerMinute', a.bytes_per_minute),
    'workspaceLimits', jsonb_build_object(
      'requestsPerMinute', w.requests_per_minute, 'openStreams', w.open_streams, 'bytesPerMinute', w.bytes_per_minute,
      'openWebsockets', w.open_websockets),
    'customProviders', coalesce((
      select jsonb_agg(jsonb_build_object('name', p.name, 'origin', p.origin, 'header', p.header, 'scheme', p.scheme))
      from x3sproxy.providers p where p.workspace_id = a.workspace_id), '[]'),
    'secrets', coalesce((
      select jsonb_agg(jsonb_build_object(
        'secretId', s.id, 'version', v.version, 'workspaceId', v.workspace_id, 'provider', s.provider,
        'origin', v.origin, 'keyId', v.key_id,
        'wrappedKey', translate(encode(v.wrapped_key, 'base64'), e'\n', ''),
        'ciphertext', translate(encode(v.ciphertext, 'base64'), e'\n', '')))
      from x3sproxy.secrets s
      join x3sproxy.secret_versions v on v.secret_id = s.id and v.version = s.active_version
      where s.workspace_id = a.workspace_id and s.environment = a.environment
        and (a.providers is null or s.provider = any (a.providers))), '[]'))
  from x3sproxy.proxy_tokens t
  join x3sproxy.agents a on a.id = t.agent_id and a.workspace_id = t.workspace_id
  join x3sproxy.workspaces w on w.id = a.workspace_id
  where t.hash = token_hash
$$;

grant update (requests_per_minute, open_streams, bytes_per_minute, open_websockets, agents_suspended_at, unused_days)
  on x3sproxy.workspaces to x3sproxy_control;
