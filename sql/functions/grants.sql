-- What the data plane asks for and writes: a token's grant, an agent's state, the keys released and the calls cut.

-- What a live token resolves to: null when there is none. One row, one round trip. An expired token is still
-- returned, with its expiry: the caller's clock and ours may differ, and the answer to the agent is a better one.
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

-- Why a token is no longer known: its agent was destroyed, or it has another one. Tells nothing else of an agent.
create or replace function x3sproxy.agent_state(agent_id uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select coalesce((
    select case when a.suspended_at is null and w.agents_suspended_at is null then 'live' else 'suspended' end
    from x3sproxy.agents a join x3sproxy.workspaces w on w.id = a.workspace_id
    where a.id = agent_state.agent_id), 'gone')
$$;

-- Whether this process of the service may be named so in an event.
create or replace function x3sproxy.check_process(process text) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if process is null or process !~ '^[0-9a-f]{12}$' then
    raise exception 'a process is named by 12 hex digits' using errcode = '22023';
  end if;
end $$;

-- Writes down that a secret is opened for an agent. For the functions below, which have looked at whether it may be.
create or replace function x3sproxy.add_release(of_workspace uuid, agent_id uuid, agent_name text, deployment integer, secret_id uuid,
  provider text, environment text, secret_version integer, process text, from_address text) returns void
language sql set search_path = pg_catalog, pg_temp as $$
  insert into x3sproxy.audit_events
    (workspace_id, actor_kind, actor_id, actor_name, address, method, action, target_kind, target_id, target_name, result, detail)
  values (of_workspace, 'agent', agent_id, agent_name, left(from_address, 100), 'proxy_token', 'secret.release', 'secret', secret_id,
    provider || '/' || environment, 'done',
    format('{"deployment":%s,"process":"%s","provider":"%s","version":%s}', deployment, process, provider, secret_version))
$$;

-- The event of a release, which has to be committed before the secret is opened. False, and nothing is written, when the token may
-- not have this version of it: then it has to be looked up again. A token past its end is not looked at here, as in resolve_token.
create or replace function x3sproxy.release_secret(token_hash bytea, secret_id uuid, secret_version integer, process text, from_address text)
returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare found_one record;
begin
  select a.workspace_id, a.id as agent_id, a.name, t.deployment, s.provider, s.environment into found_one
  from x3sproxy.proxy_tokens t
  join x3sproxy.agents a on a.id = t.agent_id and a.workspace_id = t.workspace_id
  join x3sproxy.workspaces w on w.id = a.workspace_id
  join x3sproxy.secrets s on s.workspace_id = a.workspace_id and s.environment = a.environment
  where t.hash = token_hash and s.id = release_secret.secret_id and s.active_version = secret_version
    and (a.providers is null or s.provider = any (a.providers))
    and a.suspended_at is null and w.agents_suspended_at is null;
  if not found then return false; end if;
  perform x3sproxy.check_process(process);
  perform x3sproxy.add_release(found_one.workspace_id, found_one.agent_id, found_one.name, found_one.deployment, secret_id,
    found_one.provider, found_one.environment, secret_version, process, from_address);
  return true;
end $$;

-- What resolve_token says, and the releases of those of its secrets that are in use: with the grant that comes next nobody has to
-- wait for them. `released` names them.
create or replace function x3sproxy.renew_grant(token_hash bytea, in_use uuid[], process text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  found_grant jsonb := x3sproxy.resolve_token(token_hash);
  secret jsonb;
  released jsonb := '[]';
begin
  if found_grant is null or (found_grant ->> 'suspended')::boolean then return found_grant; end if;
  perform x3sproxy.check_process(process);
  for secret in
    select s.value from jsonb_array_elements(found_grant -> 'secrets') s where (s.value ->> 'secretId')::uuid = any (in_use)
  loop
    perform x3sproxy.add_release((found_grant ->> 'workspaceId')::uuid, (found_grant ->> 'agentId')::uuid,
      found_grant ->> 'agentName', (found_grant ->> 'deployment')::integer, (secret ->> 'secretId')::uuid,
      secret ->> 'provider', found_grant ->> 'environment', (secret ->> 'version')::integer, process, null);
    released := released || jsonb_build_array(secret -> 'secretId');
  end loop;
  return found_grant || jsonb_build_object('released', released);
end $$;

-- Writes down that open calls were cut, a batch once: objects with workspaceId, agentId, agentName, reason and count. Writers count
-- their batches, as those of activity do. Nothing is written of a workspace that there never was.
create or replace function x3sproxy.record_cuts(from_writer uuid, batch_number bigint, cuts jsonb, process text) returns void
language plpgsql strict security definer set search_path = pg_catalog, pg_temp as $$
declare cut record;
begin
  perform x3sproxy.check_process(process);
  if jsonb_typeof(cuts) <> 'array' or jsonb_array_length(cuts) > 500 then
    raise exception 'a batch is an array of up to 500 cuts' using errcode = '22023';
  end if;
  insert into x3sproxy.activity_writers as w (writer, batch) values (from_writer, batch_number)
  on conflict (writer) do update set batch = excluded.batch, wrote_at = now() where w.batch < excluded.batch;
  if not found then return; end if;
  for cut in
    select * from jsonb_to_recordset(cuts)
      as c ("workspaceId" uuid, "agentId" uuid, "agentName" text, reason text, count integer)
  loop
    if cut.reason !~ '^[a-z_]{1,40}$' or cut."agentName" !~ '^[a-z0-9][a-z0-9._-]{0,62}$' or cut.count < 1 then
      raise exception 'a cut is out of bounds' using errcode = '22023';
    end if;
    continue when not exists (select from x3sproxy.workspaces w where w.id = cut."workspaceId")
      and not exists (select from x3sproxy.audit_events e where e.workspace_id = cut."workspaceId");
    insert into x3sproxy.audit_events
      (workspace_id, actor_kind, actor_name, method, action, target_kind, target_id, target_name, result, detail)
    values (cut."workspaceId", 'service', 'x3sproxy', 'service', 'stream.cut', 'agent', cut."agentId", cut."agentName", cut.reason,
      format('{"count":%s,"process":"%s"}', cut.count, process));
  end loop;
end $$;

revoke all on function x3sproxy.resolve_token, x3sproxy.agent_state, x3sproxy.check_process, x3sproxy.add_release,
  x3sproxy.release_secret, x3sproxy.renew_grant, x3sproxy.record_cuts from public, x3sproxy_control, x3sproxy_proxy;
grant execute on function x3sproxy.resolve_token, x3sproxy.agent_state, x3sproxy.release_secret, x3sproxy.renew_grant,
  x3sproxy.record_cuts to x3sproxy_proxy;
