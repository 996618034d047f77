-- A key is sealed for a header and a scheme, as it is for an origin: whoever changes where a provider takes its key has to have the key.

alter table x3sproxy.secret_versions add column header text, add column scheme text;

-- For a value that was sealed without them, and for one that a process of the version before saves while it still runs: what the
-- provider's are as of now. Empty when there is no such provider, so that the key goes nowhere until it is saved again.
create function x3sproxy.place_credential() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  select coalesce(b.header, p.header, ''), coalesce(b.scheme, p.scheme, '') into new.header, new.scheme
  from x3sproxy.secrets s
  left join (values
    ('anthropic', 'x-api-key', ''), ('azure-openai', 'api-key', ''), ('elevenlabs', 'xi-api-key', ''), ('gemini', 'x-goog-api-key', ''),
    ('deepgram', 'authorization', 'Token'), ('fal', 'authorization', 'Key'), ('fal-queue', 'authorization', 'Key'),
    ('bedrock', 'authorization', 'Bearer'), ('cohere', 'authorization', 'Bearer'), ('deepseek', 'authorization', 'Bearer'),
    ('fireworks', 'authorization', 'Bearer'), ('groq', 'authorization', 'Bearer'), ('huggingface', 'authorization', 'Bearer'),
    ('mistral', 'authorization', 'Bearer'), ('openai', 'authorization', 'Bearer'), ('openrouter', 'authorization', 'Bearer'),
    ('perplexity', 'authorization', 'Bearer'), ('together', 'authorization', 'Bearer'), ('xai', 'authorization', 'Bearer')
  ) b (provider, header, scheme) on b.provider = s.provider
  left join x3sproxy.providers p on p.workspace_id = s.workspace_id and p.name = s.provider
  where s.id = new.secret_id;
  -- Of a secret that isn't there, a constraint says so.
  new.header := coalesce(new.header, '');
  new.scheme := coalesce(new.scheme, '');
  return new;
end $$;
revoke all on function x3sproxy.place_credential() from public;
create trigger place_credential before insert or update on x3sproxy.secret_versions
  for each row when (new.header is null or new.scheme is null) execute function x3sproxy.place_credential();

drop trigger announce_update on x3sproxy.secret_versions;
update x3sproxy.secret_versions set header = null;
alter table x3sproxy.secret_versions alter column header set not null, alter column scheme set not null;
create trigger announce_update after update on x3sproxy.secret_versions
  for each row when (new.key_id = old.key_id
    or (new.secret_id, new.workspace_id, new.version, new.origin, new.header, new.scheme)
      is distinct from (old.secret_id, old.workspace_id, old.version, old.origin, old.header, old.scheme))
  execute function x3sproxy.announce_workspace();

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
        'origin', v.origin, 'header', v.header, 'scheme', v.scheme, 'keyId', v.key_id,
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
