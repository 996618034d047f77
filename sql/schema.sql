-- What the migrations add up to. Made by: node test/support/schema-snapshot.ts --write
-- For reading and comparing; it is never run.

table x3sproxy.agents (
  id uuid not null,
  workspace_id uuid not null,
  name text not null,
  environment text not null,
  providers text[],
  allowed_endpoints text[] not null default '{}'::text[],
  deployments integer not null default 0,
  created_at timestamp with time zone not null default now(),
  deployed_at timestamp with time zone not null default now(),
  constraint agents_environment_check CHECK ((environment ~ '^[a-z0-9][a-z0-9-]{0,62}$'::text)),
  constraint agents_id_workspace_id_key UNIQUE (id, workspace_id),
  constraint agents_name_check CHECK ((name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'::text)),
  constraint agents_pkey PRIMARY KEY (id),
  constraint agents_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES x3sproxy.workspaces(id) ON DELETE CASCADE,
  constraint agents_workspace_id_name_key UNIQUE (workspace_id, name)
) with row level security;
table x3sproxy.api_keys (
  id uuid not null,
  workspace_id uuid not null,
  name text not null,
  hash bytea not null,
  role text not null,
  created_at timestamp with time zone not null default now(),
  expires_at timestamp with time zone,
  constraint api_keys_hash_check CHECK ((octet_length(hash) = 32)),
  constraint api_keys_hash_key UNIQUE (hash),
  constraint api_keys_name_check CHECK (((length(name) >= 1) AND (length(name) <= 100))),
  constraint api_keys_pkey PRIMARY KEY (id),
  constraint api_keys_role_check CHECK ((role = ANY (ARRAY['viewer'::text, 'operator'::text, 'admin'::text, 'owner'::text, 'auditor'::text]))),
  constraint api_keys_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES x3sproxy.workspaces(id) ON DELETE CASCADE
) with row level security;
table x3sproxy.master_keys (
  key_id text not null,
  check_value bytea not null,
  created_at timestamp with time zone not null default now(),
  constraint master_keys_pkey PRIMARY KEY (key_id)
);
table x3sproxy.providers (
  workspace_id uuid not null,
  name text not null,
  origin text not null,
  header text not null,
  scheme text not null,
  created_at timestamp with time zone not null default now(),
  constraint providers_name_check CHECK ((name ~ '^[a-z0-9][a-z0-9-]{0,62}$'::text)),
  constraint providers_pkey PRIMARY KEY (workspace_id, name),
  constraint providers_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES x3sproxy.workspaces(id) ON DELETE CASCADE
) with row level security;
table x3sproxy.proxy_tokens (
  hash bytea not null,
  workspace_id uuid not null,
  agent_id uuid not null,
  deployment integer not null,
  created_at timestamp with time zone not null default now(),
  expires_at timestamp with time zone,
  constraint proxy_tokens_agent_id_key UNIQUE (agent_id),
  constraint proxy_tokens_agent_id_workspace_id_fkey FOREIGN KEY (agent_id, workspace_id) REFERENCES x3sproxy.agents(id, workspace_id) ON DELETE CASCADE,
  constraint proxy_tokens_hash_check CHECK ((octet_length(hash) = 32)),
  constraint proxy_tokens_pkey PRIMARY KEY (hash)
) with row level security;
table x3sproxy.schema_migrations (
  name text not null,
  sha256 text not null,
  applied_at timestamp with time zone not null default now(),
  constraint schema_migrations_pkey PRIMARY KEY (name)
);
table x3sproxy.secret_versions (
  secret_id uuid not null,
  workspace_id uuid not null,
  version integer not null,
  origin text not null,
  key_id text not null,
  wrapped_key bytea not null,
  ciphertext bytea not null,
  mask text not null,
  created_at timestamp with time zone not null default now(),
  constraint secret_versions_key_id_fkey FOREIGN KEY (key_id) REFERENCES x3sproxy.master_keys(key_id),
  constraint secret_versions_mask_check CHECK ((length(mask) <= 16)),
  constraint secret_versions_pkey PRIMARY KEY (secret_id, version),
  constraint secret_versions_secret_id_workspace_id_fkey FOREIGN KEY (secret_id, workspace_id) REFERENCES x3sproxy.secrets(id, workspace_id) ON DELETE CASCADE,
  constraint secret_versions_version_check CHECK ((version > 0))
) with row level security;
table x3sproxy.secrets (
  id uuid not null,
  workspace_id uuid not null,
  provider text not null,
  environment text not null,
  label text not null default ''::text,
  active_version integer not null,
  created_at timestamp with time zone not null default now(),
  constraint secrets_environment_check CHECK ((environment ~ '^[a-z0-9][a-z0-9-]{0,62}$'::text)),
  constraint secrets_id_active_version_fkey FOREIGN KEY (id, active_version) REFERENCES x3sproxy.secret_versions(secret_id, version) DEFERRABLE INITIALLY DEFERRED,
  constraint secrets_id_workspace_id_key UNIQUE (id, workspace_id),
  constraint secrets_label_check CHECK ((length(label) <= 200)),
  constraint secrets_pkey PRIMARY KEY (id),
  constraint secrets_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES x3sproxy.workspaces(id) ON DELETE CASCADE,
  constraint secrets_workspace_id_provider_environment_key UNIQUE (workspace_id, provider, environment)
) with row level security;
table x3sproxy.setup_links (
  hash bytea not null,
  workspace_id uuid not null,
  created_at timestamp with time zone not null default now(),
  expires_at timestamp with time zone not null,
  constraint setup_links_hash_check CHECK ((octet_length(hash) = 32)),
  constraint setup_links_pkey PRIMARY KEY (hash),
  constraint setup_links_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES x3sproxy.workspaces(id) ON DELETE CASCADE
);
table x3sproxy.users (
  id uuid not null,
  workspace_id uuid not null,
  email text not null,
  password_hash text not null,
  role text not null,
  created_at timestamp with time zone not null default now(),
  constraint users_email_check CHECK ((length(email) <= 254)),
  constraint users_pkey PRIMARY KEY (id),
  constraint users_role_check CHECK ((role = ANY (ARRAY['viewer'::text, 'operator'::text, 'admin'::text, 'owner'::text, 'auditor'::text]))),
  constraint users_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES x3sproxy.workspaces(id) ON DELETE CASCADE,
  CREATE UNIQUE INDEX users_email ON x3sproxy.users USING btree (lower(email))
) with row level security;
table x3sproxy.workspaces (
  id uuid not null,
  name text not null,
  created_at timestamp with time zone not null default now(),
  constraint workspaces_name_check CHECK ((name ~ '^[a-z0-9][a-z0-9-]{0,62}$'::text)),
  constraint workspaces_name_key UNIQUE (name),
  constraint workspaces_pkey PRIMARY KEY (id)
) with row level security;

CREATE OR REPLACE FUNCTION x3sproxy.announce_agent()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform pg_notify('x3sproxy_changes', 'agent ' || coalesce(new.agent_id, old.agent_id));
  return null;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.announce_agent_row()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform pg_notify('x3sproxy_changes', 'agent ' || coalesce(new.id, old.id));
  return null;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.announce_workspace()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform pg_notify('x3sproxy_changes', 'workspace ' || coalesce(new.workspace_id, old.workspace_id));
  return null;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.authenticate_api_key(key_hash bytea)
 RETURNS TABLE(id uuid, workspace_id uuid, name text, role text)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select k.id, k.workspace_id, k.name, k.role from x3sproxy.api_keys k
  where k.hash = key_hash and (k.expires_at is null or k.expires_at > now())
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.redeem_setup_link(link_hash bytea)
 RETURNS uuid
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  delete from x3sproxy.setup_links where hash = link_hash and expires_at > now() returning workspace_id
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.resolve_token(token_hash bytea)
 RETURNS jsonb
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select jsonb_build_object(
    'workspaceId', a.workspace_id,
    'agentId', a.id,
    'agentName', a.name,
    'environment', a.environment,
    'deployment', t.deployment,
    'expiresAtMs', (extract(epoch from t.expires_at) * 1000)::bigint,
    'providers', to_jsonb(a.providers),
    'allowedEndpoints', to_jsonb(a.allowed_endpoints),
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
  where t.hash = token_hash
$function$;

CREATE TRIGGER announce AFTER DELETE OR UPDATE ON x3sproxy.agents FOR EACH ROW EXECUTE FUNCTION x3sproxy.announce_agent_row();
CREATE TRIGGER announce AFTER INSERT OR DELETE OR UPDATE ON x3sproxy.providers FOR EACH ROW EXECUTE FUNCTION x3sproxy.announce_workspace();
CREATE TRIGGER announce AFTER INSERT OR DELETE OR UPDATE ON x3sproxy.proxy_tokens FOR EACH ROW EXECUTE FUNCTION x3sproxy.announce_agent();
CREATE TRIGGER announce AFTER INSERT OR DELETE OR UPDATE ON x3sproxy.secret_versions FOR EACH ROW EXECUTE FUNCTION x3sproxy.announce_workspace();
CREATE TRIGGER announce AFTER INSERT OR DELETE OR UPDATE ON x3sproxy.secrets FOR EACH ROW EXECUTE FUNCTION x3sproxy.announce_workspace();

policy own_workspace on x3sproxy.agents PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.api_keys PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.providers PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.proxy_tokens PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.secret_versions PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.secrets PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.users PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.workspaces PERMISSIVE for ALL to x3sproxy_control using ((id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);

grant execute on function x3sproxy.authenticate_api_key(bytea) to x3sproxy_control;
grant execute on function x3sproxy.redeem_setup_link(bytea) to x3sproxy_control;
grant execute on function x3sproxy.resolve_token(bytea) to x3sproxy_proxy;
grant usage on schema x3sproxy to x3sproxy_control;
grant usage on schema x3sproxy to x3sproxy_proxy;
grant delete, insert, select, update on table x3sproxy.agents to x3sproxy_control;
grant delete, insert, select, update on table x3sproxy.api_keys to x3sproxy_control;
grant select on table x3sproxy.master_keys to x3sproxy_control;
grant delete, insert, select, update on table x3sproxy.providers to x3sproxy_control;
grant delete, insert, select on table x3sproxy.proxy_tokens to x3sproxy_control;
grant delete, insert, select on table x3sproxy.secret_versions to x3sproxy_control;
grant delete, insert, select, update on table x3sproxy.secrets to x3sproxy_control;
grant delete, insert, select, update on table x3sproxy.users to x3sproxy_control;
grant select on table x3sproxy.workspaces to x3sproxy_control;
