-- What the migrations add up to. Made by: node test/support/schema-snapshot.ts --write
-- For reading and comparing; it is never run.

table x3sproxy.account_attempts (
  subject bytea not null,
  known boolean not null default false,
  tries integer not null default 0,
  next_at timestamp with time zone not null default '-infinity'::timestamp with time zone,
  touched_at timestamp with time zone not null default now(),
  refusal_noted_at timestamp with time zone not null default '-infinity'::timestamp with time zone,
  constraint account_attempts_pkey PRIMARY KEY (subject),
  constraint account_attempts_subject_check CHECK ((octet_length(subject) = 32)),
  CREATE INDEX account_attempts_few ON x3sproxy.account_attempts USING btree (touched_at) WHERE ((NOT known) AND (tries < 5)),
  CREATE INDEX account_attempts_known ON x3sproxy.account_attempts USING btree (touched_at) WHERE known,
  CREATE INDEX account_attempts_many ON x3sproxy.account_attempts USING btree (touched_at) WHERE ((NOT known) AND (tries >= 5))
);
table x3sproxy.activity_agents (
  workspace_id uuid not null,
  agent_id uuid not null,
  provider text not null,
  deployment integer not null,
  last_used_at timestamp with time zone not null,
  constraint activity_agents_pkey PRIMARY KEY (workspace_id, agent_id, provider),
  constraint activity_agents_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES x3sproxy.workspaces(id) ON DELETE CASCADE
) with row level security;
table x3sproxy.activity_calls (
  workspace_id uuid not null,
  agent_id uuid not null,
  hour timestamp with time zone not null,
  provider text not null,
  method text not null,
  path text not null,
  address text not null,
  requests bigint not null,
  constraint activity_calls_pkey PRIMARY KEY (workspace_id, agent_id, hour, provider, method, path, address)
) with row level security;
table x3sproxy.activity_contexts (
  workspace_id uuid not null,
  minute timestamp with time zone not null,
  agent text not null,
  provider text not null,
  context jsonb not null,
  context_hash text not null default md5((context)::text),
  requests bigint not null,
  constraint activity_contexts_pkey PRIMARY KEY (workspace_id, minute, agent, provider, context_hash),
  CREATE INDEX activity_contexts_agent ON x3sproxy.activity_contexts USING btree (workspace_id, agent, minute, provider, context_hash)
) with row level security;
table x3sproxy.activity_minutes (
  workspace_id uuid not null,
  minute timestamp with time zone not null,
  agent text not null,
  provider text not null,
  requests bigint not null,
  status_2xx bigint not null,
  status_3xx bigint not null,
  status_4xx bigint not null,
  status_5xx bigint not null,
  status_none bigint not null,
  errors bigint not null,
  refusals bigint not null,
  broken bigint not null,
  request_bytes bigint not null,
  response_bytes bigint not null,
  first_byte_count bigint not null,
  first_byte_ms double precision not null,
  total_count bigint not null,
  total_ms double precision not null,
  open_peak bigint not null,
  constraint activity_minutes_pkey PRIMARY KEY (workspace_id, minute, agent, provider),
  CREATE INDEX activity_minutes_agent ON x3sproxy.activity_minutes USING btree (workspace_id, agent, minute, provider),
  CREATE INDEX activity_minutes_provider ON x3sproxy.activity_minutes USING btree (workspace_id, provider, minute, agent)
) with row level security;
table x3sproxy.activity_versions (
  workspace_id uuid not null,
  secret_id uuid not null,
  version integer not null,
  agent text not null,
  first_used_at timestamp with time zone not null,
  last_used_at timestamp with time zone not null,
  requests bigint not null,
  accepted_at timestamp with time zone,
  refused_401 bigint not null default 0,
  refused_403 bigint not null default 0,
  refused_429 bigint not null default 0,
  refused_since timestamp with time zone,
  refused_at timestamp with time zone,
  constraint activity_versions_pkey PRIMARY KEY (workspace_id, secret_id, version, agent),
  constraint activity_versions_times_check CHECK (((EXTRACT(epoch FROM first_used_at) > (0)::numeric) AND COALESCE((EXTRACT(epoch FROM refused_since) > (0)::numeric), true) AND COALESCE((EXTRACT(epoch FROM refused_at) > (0)::numeric), true) AND COALESCE((EXTRACT(epoch FROM accepted_at) > (0)::numeric), true))),
  constraint activity_versions_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES x3sproxy.workspaces(id) ON DELETE CASCADE,
  CREATE INDEX activity_versions_refused ON x3sproxy.activity_versions USING btree (workspace_id, secret_id, version) WHERE (refused_since IS NOT NULL)
) with row level security;
table x3sproxy.activity_writers (
  writer uuid not null,
  batch bigint not null,
  wrote_at timestamp with time zone not null default now(),
  constraint activity_writers_pkey PRIMARY KEY (writer)
);
table x3sproxy.agent_first_uses (
  workspace_id uuid not null,
  agent_id uuid not null,
  kind text not null,
  value text not null,
  first_used_at timestamp with time zone not null,
  address text,
  unusual boolean not null,
  constraint agent_first_uses_kind_check CHECK ((kind = ANY (ARRAY['provider'::text, 'path'::text, 'address'::text]))),
  constraint agent_first_uses_pkey PRIMARY KEY (workspace_id, agent_id, kind, value),
  constraint agent_first_uses_value_check CHECK (((length(value) >= 1) AND (length(value) <= 200))),
  constraint agent_first_uses_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES x3sproxy.workspaces(id) ON DELETE CASCADE,
  CREATE INDEX agent_first_uses_unusual ON x3sproxy.agent_first_uses USING btree (workspace_id, first_used_at) WHERE unusual
) with row level security;
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
  rules text[],
  addresses text[],
  models text[],
  scope_expires_at timestamp with time zone,
  requests_per_minute integer,
  open_streams integer,
  bytes_per_minute bigint,
  suspended_at timestamp with time zone,
  constraint agents_bytes_per_minute_check CHECK ((bytes_per_minute > 0)),
  constraint agents_environment_check CHECK ((environment ~ '^[a-z0-9][a-z0-9-]{0,62}$'::text)),
  constraint agents_id_workspace_id_key UNIQUE (id, workspace_id),
  constraint agents_name_check CHECK ((name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'::text)),
  constraint agents_open_streams_check CHECK ((open_streams > 0)),
  constraint agents_pkey PRIMARY KEY (id),
  constraint agents_requests_per_minute_check CHECK ((requests_per_minute > 0)),
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
  agents text[],
  allowed_addresses text[] not null default '{}'::text[],
  requests_per_minute integer,
  last_used_at timestamp with time zone,
  used_until timestamp with time zone,
  constraint api_keys_agents_check CHECK (((agents IS NULL) OR (role = ANY (ARRAY['viewer'::text, 'operator'::text])))),
  constraint api_keys_hash_check CHECK ((octet_length(hash) = 32)),
  constraint api_keys_hash_key UNIQUE (hash),
  constraint api_keys_name_check CHECK (((length(name) >= 1) AND (length(name) <= 100))),
  constraint api_keys_pkey PRIMARY KEY (id),
  constraint api_keys_requests_per_minute_check CHECK ((requests_per_minute > 0)),
  constraint api_keys_role_check CHECK ((role = ANY (ARRAY['viewer'::text, 'operator'::text, 'admin'::text, 'owner'::text, 'auditor'::text]))),
  constraint api_keys_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES x3sproxy.workspaces(id) ON DELETE CASCADE,
  CREATE INDEX api_keys_listed ON x3sproxy.api_keys USING btree (workspace_id, name COLLATE "C", id)
) with row level security;
table x3sproxy.audit_checkpoints (
  workspace_id uuid not null,
  size bigint not null,
  note text not null,
  created_at timestamp with time zone not null default now(),
  constraint audit_checkpoints_pkey PRIMARY KEY (workspace_id, size),
  constraint audit_checkpoints_size_check CHECK ((size > 0))
) with row level security;
table x3sproxy.audit_erasures (
  workspace_id uuid not null,
  leaf_index bigint not null,
  part text not null,
  erasure_event_id bigint not null,
  constraint audit_erasures_part_check CHECK ((part = ANY (ARRAY['actor'::text, 'target'::text]))),
  constraint audit_erasures_pkey PRIMARY KEY (workspace_id, leaf_index, part),
  CREATE INDEX audit_erasures_event ON x3sproxy.audit_erasures USING btree (erasure_event_id)
) with row level security;
table x3sproxy.audit_events (
  id bigint not null,
  workspace_id uuid not null,
  created_at timestamp with time zone not null default now(),
  actor_kind text not null,
  actor_id uuid,
  actor_name text not null,
  address text,
  method text not null,
  action text not null,
  target_kind text not null,
  target_id text not null,
  target_name text not null,
  before_hash text,
  after_hash text,
  result text not null,
  actor_salt uuid default gen_random_uuid(),
  target_salt uuid default gen_random_uuid(),
  detail text,
  constraint audit_events_action_check CHECK ((length(action) <= 100)),
  constraint audit_events_actor_kind_check CHECK ((actor_kind = ANY (ARRAY['user'::text, 'api_key'::text, 'link'::text, 'service'::text, 'agent'::text]))),
  constraint audit_events_actor_name_check CHECK ((length(actor_name) <= 300)),
  constraint audit_events_address_check CHECK ((length(address) <= 100)),
  constraint audit_events_after_hash_check CHECK ((after_hash ~ '^[0-9a-f]{64}$'::text)),
  constraint audit_events_before_hash_check CHECK ((before_hash ~ '^[0-9a-f]{64}$'::text)),
  constraint audit_events_detail_check CHECK ((length(detail) <= 4000)),
  constraint audit_events_method_check CHECK ((length(method) <= 100)),
  constraint audit_events_pkey PRIMARY KEY (id),
  constraint audit_events_result_check CHECK ((length(result) <= 100)),
  constraint audit_events_target_id_check CHECK ((length(target_id) <= 300)),
  constraint audit_events_target_kind_check CHECK ((length(target_kind) <= 100)),
  constraint audit_events_target_name_check CHECK ((length(target_name) <= 300)),
  CREATE INDEX audit_events_action ON x3sproxy.audit_events USING btree (workspace_id, action, created_at, id),
  CREATE INDEX audit_events_actor_id ON x3sproxy.audit_events USING btree (workspace_id, actor_id, created_at, id) WHERE (actor_id IS NOT NULL),
  CREATE INDEX audit_events_actor_name ON x3sproxy.audit_events USING btree (workspace_id, actor_name, created_at, id),
  CREATE INDEX audit_events_latest ON x3sproxy.audit_events USING btree (workspace_id, created_at, id),
  CREATE INDEX audit_events_of_people ON x3sproxy.audit_events USING btree (workspace_id, id) WHERE ((actor_name ~~ '%@%'::text) OR (target_name ~~ '%@%'::text)),
  CREATE INDEX audit_events_target_id ON x3sproxy.audit_events USING btree (workspace_id, target_id, created_at, id),
  CREATE INDEX audit_events_target_name ON x3sproxy.audit_events USING btree (workspace_id, target_name, created_at, id)
) with row level security;
table x3sproxy.audit_events_id_seq (
  last_value bigint not null,
  log_cnt bigint not null,
  is_called boolean not null
);
table x3sproxy.audit_leaves (
  workspace_id uuid not null,
  leaf_index bigint not null,
  event_id bigint not null,
  leaf_hash bytea not null,
  actor_commitment bytea not null,
  target_commitment bytea not null,
  constraint audit_leaves_actor_commitment_check CHECK ((octet_length(actor_commitment) = 32)),
  constraint audit_leaves_event_id_key UNIQUE (event_id),
  constraint audit_leaves_leaf_hash_check CHECK ((octet_length(leaf_hash) = 32)),
  constraint audit_leaves_leaf_index_check CHECK ((leaf_index >= 0)),
  constraint audit_leaves_pkey PRIMARY KEY (workspace_id, leaf_index),
  constraint audit_leaves_target_commitment_check CHECK ((octet_length(target_commitment) = 32))
) with row level security;
table x3sproxy.audit_nodes (
  workspace_id uuid not null,
  level smallint not null,
  node_index bigint not null,
  hash bytea not null,
  constraint audit_nodes_hash_check CHECK ((octet_length(hash) = 32)),
  constraint audit_nodes_level_check CHECK (((level > 0) AND (((level)::integer % 8) = 0))),
  constraint audit_nodes_node_index_check CHECK ((node_index >= 0)),
  constraint audit_nodes_pkey PRIMARY KEY (workspace_id, level, node_index)
) with row level security;
table x3sproxy.audit_pending (
  event_id bigint not null,
  workspace_id uuid not null,
  created_at timestamp with time zone not null,
  constraint audit_pending_pkey PRIMARY KEY (event_id),
  CREATE INDEX audit_pending_workspace ON x3sproxy.audit_pending USING btree (workspace_id, event_id)
) with row level security;
table x3sproxy.audit_retentions (
  workspace_id uuid not null,
  days integer default 365,
  days_before integer,
  changed_at timestamp with time zone,
  pruned_before bigint not null default 0,
  pruned_until timestamp with time zone,
  pruned_days integer,
  thinned_size bigint not null default 0,
  constraint audit_retentions_days_check CHECK (((days >= 30) AND (days <= 36500))),
  constraint audit_retentions_pkey PRIMARY KEY (workspace_id)
) with row level security;
table x3sproxy.deployment_requests (
  workspace_id uuid not null,
  key_hash bytea not null,
  request_hash bytea not null,
  agent_id uuid not null,
  deployment integer not null,
  created_at timestamp with time zone not null,
  constraint deployment_requests_key_hash_check CHECK ((octet_length(key_hash) = 32)),
  constraint deployment_requests_pkey PRIMARY KEY (workspace_id, key_hash),
  constraint deployment_requests_request_hash_check CHECK ((octet_length(request_hash) = 32)),
  constraint deployment_requests_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES x3sproxy.workspaces(id) ON DELETE CASCADE,
  CREATE INDEX deployment_requests_oldest ON x3sproxy.deployment_requests USING btree (workspace_id, created_at)
) with row level security;
table x3sproxy.invitations (
  id uuid not null,
  workspace_id uuid not null,
  hash bytea not null,
  email text not null,
  role text not null,
  agents text[],
  invited_by text not null,
  created_at timestamp with time zone not null default now(),
  expires_at timestamp with time zone not null default (now() + '72:00:00'::interval),
  constraint invitations_check CHECK (((agents IS NULL) OR (role = ANY (ARRAY['viewer'::text, 'operator'::text])))),
  constraint invitations_email_check CHECK ((length(email) <= 254)),
  constraint invitations_hash_check CHECK ((octet_length(hash) = 32)),
  constraint invitations_hash_key UNIQUE (hash),
  constraint invitations_invited_by_check CHECK ((length(invited_by) <= 300)),
  constraint invitations_pkey PRIMARY KEY (id),
  constraint invitations_role_check CHECK ((role = ANY (ARRAY['viewer'::text, 'operator'::text, 'admin'::text, 'owner'::text, 'auditor'::text]))),
  constraint invitations_workspace_id_email_key UNIQUE (workspace_id, email),
  constraint invitations_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES x3sproxy.workspaces(id) ON DELETE CASCADE,
  CREATE INDEX invitations_listed ON x3sproxy.invitations USING btree (workspace_id, created_at, id)
) with row level security;
table x3sproxy.master_keys (
  key_id text not null,
  check_value bytea not null,
  created_at timestamp with time zone not null default now(),
  active boolean not null default false,
  activated_at timestamp with time zone,
  rotated_at timestamp with time zone,
  rewrapped bigint not null default 0,
  unreadable bigint not null default 0,
  constraint master_keys_pkey PRIMARY KEY (key_id),
  CREATE UNIQUE INDEX master_keys_active ON x3sproxy.master_keys USING btree (active) WHERE active
);
table x3sproxy.new_agent_scopes (
  workspace_id uuid not null,
  agent text not null,
  environments text[],
  providers text[],
  rules text[],
  allowed_endpoints text[] not null default '{}'::text[],
  addresses text[],
  models text[],
  scope_expires_at timestamp with time zone,
  requests_per_minute integer,
  open_streams integer,
  bytes_per_minute bigint,
  set_at timestamp with time zone not null default now(),
  constraint new_agent_scopes_bytes_per_minute_check CHECK ((bytes_per_minute > 0)),
  constraint new_agent_scopes_open_streams_check CHECK ((open_streams > 0)),
  constraint new_agent_scopes_pkey PRIMARY KEY (workspace_id, agent),
  constraint new_agent_scopes_requests_per_minute_check CHECK ((requests_per_minute > 0)),
  constraint new_agent_scopes_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES x3sproxy.workspaces(id) ON DELETE CASCADE,
  CREATE INDEX new_agent_scopes_oldest ON x3sproxy.new_agent_scopes USING btree (workspace_id, set_at)
) with row level security;
table x3sproxy.process_keys (
  process text not null,
  key_ids text[] not null,
  seals_with text not null,
  started_at timestamp with time zone not null default now(),
  seen_at timestamp with time zone not null default now(),
  constraint process_keys_key_ids_check CHECK (((cardinality(key_ids) >= 1) AND (cardinality(key_ids) <= 100))),
  constraint process_keys_pkey PRIMARY KEY (process),
  constraint process_keys_process_check CHECK ((process ~ '^[0-9a-f]{12}$'::text))
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
  id uuid not null default gen_random_uuid(),
  kind text not null default 'deployment'::text,
  ttl_ms bigint,
  end_recorded boolean not null default false,
  constraint proxy_tokens_agent_id_workspace_id_fkey FOREIGN KEY (agent_id, workspace_id) REFERENCES x3sproxy.agents(id, workspace_id) ON DELETE CASCADE,
  constraint proxy_tokens_check CHECK (((kind = 'deployment'::text) OR (expires_at IS NOT NULL))),
  constraint proxy_tokens_hash_check CHECK ((octet_length(hash) = 32)),
  constraint proxy_tokens_id_key UNIQUE (id),
  constraint proxy_tokens_kind_check CHECK ((kind = ANY (ARRAY['deployment'::text, 'lease'::text]))),
  constraint proxy_tokens_pkey PRIMARY KEY (hash),
  constraint proxy_tokens_ttl_ms_check CHECK ((ttl_ms > 0)),
  CREATE INDEX proxy_tokens_agent ON x3sproxy.proxy_tokens USING btree (agent_id),
  CREATE INDEX proxy_tokens_ending ON x3sproxy.proxy_tokens USING btree (expires_at) WHERE ((kind = 'deployment'::text) AND (NOT end_recorded)),
  CREATE UNIQUE INDEX proxy_tokens_deployment ON x3sproxy.proxy_tokens USING btree (agent_id) WHERE (kind = 'deployment'::text)
) with row level security;
table x3sproxy.recovery_codes (
  hash bytea not null,
  workspace_id uuid not null,
  user_id uuid not null,
  created_at timestamp with time zone not null default now(),
  constraint recovery_codes_hash_check CHECK ((octet_length(hash) = 32)),
  constraint recovery_codes_pkey PRIMARY KEY (hash),
  constraint recovery_codes_user_id_workspace_id_fkey FOREIGN KEY (user_id, workspace_id) REFERENCES x3sproxy.users(id, workspace_id) ON DELETE CASCADE,
  CREATE INDEX recovery_codes_user ON x3sproxy.recovery_codes USING btree (user_id)
) with row level security;
table x3sproxy.registrations (
  id uuid not null,
  workspace_id uuid not null,
  agent_id uuid not null,
  hash bytea not null,
  created_by text not null,
  created_at timestamp with time zone not null default now(),
  expires_at timestamp with time zone not null,
  refusal_noted_at timestamp with time zone,
  constraint registrations_agent_id_workspace_id_fkey FOREIGN KEY (agent_id, workspace_id) REFERENCES x3sproxy.agents(id, workspace_id) ON DELETE CASCADE,
  constraint registrations_check CHECK ((expires_at <= (created_at + '1 day'::interval))),
  constraint registrations_created_by_check CHECK ((length(created_by) <= 300)),
  constraint registrations_hash_check CHECK ((octet_length(hash) = 32)),
  constraint registrations_hash_key UNIQUE (hash),
  constraint registrations_pkey PRIMARY KEY (id),
  CREATE INDEX registrations_agent ON x3sproxy.registrations USING btree (agent_id)
) with row level security;
table x3sproxy.resets (
  user_id uuid not null,
  workspace_id uuid not null,
  hash bytea not null,
  second_factor boolean not null,
  created_at timestamp with time zone not null default now(),
  expires_at timestamp with time zone not null default (now() + '24:00:00'::interval),
  constraint resets_hash_check CHECK ((octet_length(hash) = 32)),
  constraint resets_hash_key UNIQUE (hash),
  constraint resets_pkey PRIMARY KEY (user_id),
  constraint resets_user_id_workspace_id_fkey FOREIGN KEY (user_id, workspace_id) REFERENCES x3sproxy.users(id, workspace_id) ON DELETE CASCADE
) with row level security;
table x3sproxy.schema_functions (
  name text not null,
  sha256 text not null,
  applied_at timestamp with time zone not null default now(),
  constraint schema_functions_pkey PRIMARY KEY (name)
);
table x3sproxy.schema_migrations (
  name text not null,
  sha256 text not null,
  applied_at timestamp with time zone not null default now(),
  recorded boolean not null default false,
  constraint schema_migrations_pkey PRIMARY KEY (name)
);
table x3sproxy.sealed_keys (
  name text not null,
  key_id text not null,
  wrapped_key bytea not null,
  ciphertext bytea not null,
  constraint sealed_keys_key_id_fkey FOREIGN KEY (key_id) REFERENCES x3sproxy.master_keys(key_id),
  constraint sealed_keys_pkey PRIMARY KEY (name)
);
table x3sproxy.second_factors (
  user_id uuid not null,
  workspace_id uuid not null,
  key_id text not null,
  wrapped_key bytea not null,
  ciphertext bytea not null,
  newest_step bigint not null,
  created_at timestamp with time zone not null default now(),
  constraint second_factors_key_id_fkey FOREIGN KEY (key_id) REFERENCES x3sproxy.master_keys(key_id),
  constraint second_factors_pkey PRIMARY KEY (user_id),
  constraint second_factors_user_id_workspace_id_fkey FOREIGN KEY (user_id, workspace_id) REFERENCES x3sproxy.users(id, workspace_id) ON DELETE CASCADE,
  CREATE INDEX second_factors_key ON x3sproxy.second_factors USING btree (key_id, user_id)
) with row level security;
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
  header text not null,
  scheme text not null,
  constraint secret_versions_key_id_fkey FOREIGN KEY (key_id) REFERENCES x3sproxy.master_keys(key_id),
  constraint secret_versions_mask_check CHECK ((length(mask) <= 16)),
  constraint secret_versions_pkey PRIMARY KEY (secret_id, version),
  constraint secret_versions_secret_id_workspace_id_fkey FOREIGN KEY (secret_id, workspace_id) REFERENCES x3sproxy.secrets(id, workspace_id) ON DELETE CASCADE,
  constraint secret_versions_version_check CHECK ((version > 0)),
  CREATE INDEX secret_versions_key ON x3sproxy.secret_versions USING btree (key_id, secret_id, version)
) with row level security;
table x3sproxy.secrets (
  id uuid not null,
  workspace_id uuid not null,
  provider text not null,
  environment text not null,
  label text not null default ''::text,
  active_version integer not null,
  created_at timestamp with time zone not null default now(),
  candidate_version integer,
  last_version integer not null default 1,
  constraint secrets_candidate_check CHECK ((candidate_version <> active_version)),
  constraint secrets_environment_check CHECK ((environment ~ '^[a-z0-9][a-z0-9-]{0,62}$'::text)),
  constraint secrets_id_active_version_fkey FOREIGN KEY (id, active_version) REFERENCES x3sproxy.secret_versions(secret_id, version) DEFERRABLE INITIALLY DEFERRED,
  constraint secrets_id_candidate_version_fkey FOREIGN KEY (id, candidate_version) REFERENCES x3sproxy.secret_versions(secret_id, version) DEFERRABLE INITIALLY DEFERRED,
  constraint secrets_id_workspace_id_key UNIQUE (id, workspace_id),
  constraint secrets_label_check CHECK ((length(label) <= 200)),
  constraint secrets_pkey PRIMARY KEY (id),
  constraint secrets_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES x3sproxy.workspaces(id) ON DELETE CASCADE,
  constraint secrets_workspace_id_provider_environment_key UNIQUE (workspace_id, provider, environment)
) with row level security;
table x3sproxy.sessions (
  id uuid not null,
  workspace_id uuid not null,
  user_id uuid not null,
  hash bytea not null,
  created_at timestamp with time zone not null default now(),
  last_seen_at timestamp with time zone not null default now(),
  proved_at timestamp with time zone not null default now(),
  ends_at timestamp with time zone not null default (now() + '12:00:00'::interval),
  address text,
  user_agent text,
  constraint sessions_address_check CHECK ((length(address) <= 100)),
  constraint sessions_hash_check CHECK ((octet_length(hash) = 32)),
  constraint sessions_hash_key UNIQUE (hash),
  constraint sessions_pkey PRIMARY KEY (id),
  constraint sessions_user_agent_check CHECK ((length(user_agent) <= 300)),
  constraint sessions_user_id_workspace_id_fkey FOREIGN KEY (user_id, workspace_id) REFERENCES x3sproxy.users(id, workspace_id) ON DELETE CASCADE,
  CREATE INDEX sessions_ended ON x3sproxy.sessions USING btree (workspace_id, ends_at),
  CREATE INDEX sessions_user ON x3sproxy.sessions USING btree (user_id, created_at, id)
) with row level security;
table x3sproxy.setup_links (
  hash bytea not null,
  workspace_id uuid not null,
  created_at timestamp with time zone not null default now(),
  expires_at timestamp with time zone not null,
  constraint setup_links_hash_check CHECK ((octet_length(hash) = 32)),
  constraint setup_links_pkey PRIMARY KEY (hash),
  constraint setup_links_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES x3sproxy.workspaces(id) ON DELETE CASCADE,
  CREATE INDEX setup_links_workspace ON x3sproxy.setup_links USING btree (workspace_id)
);
table x3sproxy.spent_registrations (
  hash bytea not null,
  id uuid not null,
  workspace_id uuid not null,
  agent_id uuid not null,
  created_by text not null,
  spent_at timestamp with time zone not null default now(),
  refusal_noted_at timestamp with time zone,
  constraint spent_registrations_hash_check CHECK ((octet_length(hash) = 32)),
  constraint spent_registrations_pkey PRIMARY KEY (hash),
  constraint spent_registrations_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES x3sproxy.workspaces(id) ON DELETE CASCADE,
  CREATE INDEX spent_registrations_oldest ON x3sproxy.spent_registrations USING btree (spent_at),
  CREATE INDEX spent_registrations_workspace ON x3sproxy.spent_registrations USING btree (workspace_id)
) with row level security;
table x3sproxy.users (
  id uuid not null,
  workspace_id uuid not null,
  email text not null,
  password_hash text not null,
  role text not null,
  created_at timestamp with time zone not null default now(),
  agents text[],
  last_sign_in_at timestamp with time zone,
  constraint users_agents_check CHECK (((agents IS NULL) OR (role = ANY (ARRAY['viewer'::text, 'operator'::text])))),
  constraint users_email_check CHECK ((length(email) <= 254)),
  constraint users_id_workspace_id_key UNIQUE (id, workspace_id),
  constraint users_pkey PRIMARY KEY (id),
  constraint users_role_check CHECK ((role = ANY (ARRAY['viewer'::text, 'operator'::text, 'admin'::text, 'owner'::text, 'auditor'::text]))),
  constraint users_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES x3sproxy.workspaces(id) ON DELETE CASCADE,
  CREATE INDEX users_listed ON x3sproxy.users USING btree (workspace_id, email COLLATE "C"),
  CREATE UNIQUE INDEX users_email ON x3sproxy.users USING btree (lower(email))
) with row level security;
table x3sproxy.workspaces (
  id uuid not null,
  name text not null,
  created_at timestamp with time zone not null default now(),
  second_factor_required boolean not null default false,
  rotation_days integer not null default 90,
  idle_days integer not null default 14,
  home boolean not null default false,
  requests_per_minute integer,
  open_streams integer,
  bytes_per_minute bigint,
  open_websockets integer,
  agents_suspended_at timestamp with time zone,
  unused_days integer,
  constraint workspaces_bytes_per_minute_check CHECK ((bytes_per_minute > 0)),
  constraint workspaces_idle_days_check CHECK (((idle_days >= 1) AND (idle_days <= 3650))),
  constraint workspaces_name_check CHECK ((name ~ '^[a-z0-9][a-z0-9-]{0,62}$'::text)),
  constraint workspaces_name_key UNIQUE (name),
  constraint workspaces_open_streams_check CHECK ((open_streams > 0)),
  constraint workspaces_open_websockets_check CHECK ((open_websockets > 0)),
  constraint workspaces_pkey PRIMARY KEY (id),
  constraint workspaces_requests_per_minute_check CHECK ((requests_per_minute > 0)),
  constraint workspaces_rotation_days_check CHECK (((rotation_days >= 1) AND (rotation_days <= 3650))),
  constraint workspaces_unused_days_check CHECK (((unused_days >= 1) AND (unused_days <= 3650))),
  CREATE INDEX workspaces_listed ON x3sproxy.workspaces USING btree (name COLLATE "C"),
  CREATE INDEX workspaces_with_unused ON x3sproxy.workspaces USING btree (id) WHERE (unused_days IS NOT NULL),
  CREATE UNIQUE INDEX workspaces_home ON x3sproxy.workspaces USING btree (home) WHERE home
) with row level security;

CREATE OR REPLACE FUNCTION x3sproxy.activate_master_key(to_key text)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if not x3sproxy.at_home() then return 'home_workspace_only'; end if;
  lock table x3sproxy.master_keys in share row exclusive mode;
  if not exists (select from x3sproxy.master_keys where key_id = to_key) then return 'unknown'; end if;
  if exists (select from x3sproxy.master_keys where key_id = to_key and active) then return 'active'; end if;
  if exists (select from x3sproxy.process_keys where seen_at > now() - interval '1 minute' and not to_key = any (key_ids)) then
    return 'not_held';
  end if;
  update x3sproxy.master_keys set active = false where active;
  update x3sproxy.master_keys
    set active = true, activated_at = now(), rotated_at = null, rewrapped = 0, unreadable = 0 where key_id = to_key;
  return 'done';
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.add_activity(from_writer uuid, batch_number bigint, sums jsonb)
 RETURNS void
 LANGUAGE plpgsql
 STRICT SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if jsonb_typeof(sums) <> 'array' or jsonb_array_length(sums) > 2000 then
    raise exception 'a batch is an array of up to 2000 rows' using errcode = '22023';
  end if;
  if exists (
    select from jsonb_populate_recordset(null::x3sproxy.activity_minutes, sums) m
    where least(m.requests, m.status_2xx, m.status_3xx, m.status_4xx, m.status_5xx, m.status_none, m.errors, m.refusals,
        m.broken, m.request_bytes, m.response_bytes, m.first_byte_count, m.total_count, m.open_peak) < 0
      or greatest(m.requests, m.status_2xx, m.status_3xx, m.status_4xx, m.status_5xx, m.status_none, m.errors, m.refusals,
        m.broken, m.request_bytes, m.response_bytes, m.first_byte_count, m.total_count, m.open_peak) > 1e15
      or not m.first_byte_ms between 0 and 1e15 or not m.total_ms between 0 and 1e15
      or m.agent !~ '^[a-z0-9][a-z0-9._-]{0,62}$' or m.provider !~ '^([a-z0-9][a-z0-9-]{0,62})?$'
  ) then
    raise exception 'a row is out of bounds' using errcode = '22023';
  end if;
  if exists (
    select from jsonb_populate_recordset(null::x3sproxy.activity_versions, sums) v
    where least(v.refused_401, v.refused_403, v.refused_429) < 0 or greatest(v.refused_401, v.refused_403, v.refused_429) > 1e15
  ) then
    raise exception 'a refusal is out of bounds' using errcode = '22023';
  end if;

  insert into x3sproxy.activity_writers as w (writer, batch) values (from_writer, batch_number)
  on conflict (writer) do update set batch = excluded.batch, wrote_at = now() where w.batch < excluded.batch;
  if not found then return; end if;

  insert into x3sproxy.activity_minutes as m
  select g.workspace_id, date_trunc('minute', g.minute), g.agent, g.provider, sum(g.requests),
    sum(g.status_2xx), sum(g.status_3xx), sum(g.status_4xx), sum(g.status_5xx), sum(g.status_none),
    sum(g.errors), sum(g.refusals), sum(g.broken), sum(g.request_bytes), sum(g.response_bytes),
    sum(g.first_byte_count), sum(g.first_byte_ms), sum(g.total_count), sum(g.total_ms), sum(g.open_peak)
  from jsonb_populate_recordset(null::x3sproxy.activity_minutes, sums) g
  join x3sproxy.workspaces k on k.id = g.workspace_id
  where g.minute between now() - interval '35 days' and now() + interval '10 minutes'
  group by 1, 2, 3, 4 order by 1, 2, 3, 4
  on conflict (workspace_id, minute, agent, provider) do update set
    requests = m.requests + excluded.requests,
    status_2xx = m.status_2xx + excluded.status_2xx,
    status_3xx = m.status_3xx + excluded.status_3xx,
    status_4xx = m.status_4xx + excluded.status_4xx,
    status_5xx = m.status_5xx + excluded.status_5xx,
    status_none = m.status_none + excluded.status_none,
    errors = m.errors + excluded.errors,
    refusals = m.refusals + excluded.refusals,
    broken = m.broken + excluded.broken,
    request_bytes = m.request_bytes + excluded.request_bytes,
    response_bytes = m.response_bytes + excluded.response_bytes,
    first_byte_count = m.first_byte_count + excluded.first_byte_count,
    first_byte_ms = m.first_byte_ms + excluded.first_byte_ms,
    total_count = m.total_count + excluded.total_count,
    total_ms = m.total_ms + excluded.total_ms,
    open_peak = m.open_peak + excluded.open_peak;

  with batch as materialized (
    select g.workspace_id, g.secret_id, g.version, g.agent, g.first_used_at, g.last_used_at, g.requests, g.accepted_at,
      coalesce(g.refused_401, 0) as refused_401, coalesce(g.refused_403, 0) as refused_403, coalesce(g.refused_429, 0) as refused_429,
      g.refused_since, g.refused_at,
      max(g.accepted_at) over (partition by g.workspace_id, g.secret_id, g.version, g.agent) as agents_accepted_at
    from jsonb_populate_recordset(null::x3sproxy.activity_versions, sums) g
    join x3sproxy.workspaces k on k.id = g.workspace_id
    where g.secret_id is not null and g.last_used_at >= now() - interval '35 days'
      and greatest(g.last_used_at, g.accepted_at, g.refused_since, g.refused_at) <= now() + interval '10 minutes'
  ), taken as materialized (
    select u.workspace_id, u.secret_id, u.version, max(u.accepted_at) as at
    from (select distinct b.workspace_id, b.secret_id, b.version from batch b where b.refused_since is not null) r
    join x3sproxy.activity_versions u using (workspace_id, secret_id, version) group by 1, 2, 3
  )
  insert into x3sproxy.activity_versions as v (workspace_id, secret_id, version, agent, first_used_at, last_used_at, requests, accepted_at,
    refused_401, refused_403, refused_429, refused_since, refused_at)
  select b.workspace_id, b.secret_id, b.version, b.agent, min(b.first_used_at), max(b.last_used_at), sum(b.requests), max(b.accepted_at),
    coalesce(sum(b.refused_401) filter (where b.refused_since >= coalesce(b.agents_accepted_at, '-infinity')), 0),
    coalesce(sum(b.refused_403) filter (where b.refused_since >= coalesce(b.agents_accepted_at, '-infinity')), 0),
    coalesce(sum(b.refused_429) filter (where b.refused_since >= coalesce(b.agents_accepted_at, '-infinity')), 0),
    min(b.refused_since) filter (where b.refused_since >= coalesce(b.agents_accepted_at, '-infinity')),
    max(b.refused_at) filter (where b.refused_since >= coalesce(b.agents_accepted_at, '-infinity'))
  from batch b group by 1, 2, 3, 4 order by 1, 2, 3, 4
  on conflict (workspace_id, secret_id, version, agent) do update set
    first_used_at = least(v.first_used_at, excluded.first_used_at),
    last_used_at = greatest(v.last_used_at, excluded.last_used_at),
    requests = v.requests + excluded.requests,
    accepted_at = greatest(v.accepted_at, excluded.accepted_at),
    (refused_401, refused_403, refused_429, refused_since, refused_at) = (
      select excluded.refused_401 + case when stays then v.refused_401 else 0 end,
        excluded.refused_403 + case when stays then v.refused_403 else 0 end,
        excluded.refused_429 + case when stays then v.refused_429 else 0 end,
        least(excluded.refused_since, case when stays then v.refused_since end),
        greatest(excluded.refused_at, case when stays then v.refused_at end)
      from (select coalesce(v.refused_since >= coalesce(greatest(excluded.accepted_at, (
          select t.at from taken t
          where t.workspace_id = v.workspace_id and t.secret_id = v.secret_id and t.version = v.version)), '-infinity'), false) as stays) s);

  insert into x3sproxy.activity_agents as a
  select g.workspace_id, g.agent_id, g.provider, max(g.deployment), max(g.last_used_at)
  from jsonb_populate_recordset(null::x3sproxy.activity_agents, sums) g
  join x3sproxy.workspaces k on k.id = g.workspace_id
  where g.last_used_at between now() - interval '35 days' and now() + interval '10 minutes'
  group by 1, 2, 3 order by 1, 2, 3
  on conflict (workspace_id, agent_id, provider) do update set
    deployment = greatest(a.deployment, excluded.deployment),
    last_used_at = greatest(a.last_used_at, excluded.last_used_at);
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.add_calls(from_writer uuid, batch_number bigint, calls jsonb, contexts jsonb, uses jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 STRICT SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  most_calls constant integer := 500; -- rows of an agent in an hour
  most_contexts constant integer := 5; -- of an agent and provider in a minute
  most_uses constant integer := 500; -- of an agent and kind
  learning constant interval := '1 hour'; -- after an agent's first use, in which nothing is unusual
  found_uses jsonb;
begin
  if exists (
    select from (values (calls), (contexts), (uses)) given (rows)
    where jsonb_typeof(rows) <> 'array' or jsonb_array_length(rows) > 2000
  ) then
    raise exception 'a batch is arrays of up to 2000 rows' using errcode = '22023';
  end if;
  if exists (
    select from jsonb_populate_recordset(null::x3sproxy.activity_calls, calls) c
    where c.requests not between 0 and 1e15 or c.provider !~ '^([a-z0-9][a-z0-9-]{0,62})?$' or c.method !~ '^([A-Z-]{1,20})?$'
      or length(c.path) > 200 or c.path !~ '^(/|$)' or c.address !~ '^([0-9a-f:.]{2,45}(%[\w.-]{1,20})?)?$'
  ) or exists (
    select from jsonb_populate_recordset(null::x3sproxy.activity_contexts, contexts) c
    where c.requests not between 0 and 1e15 or c.agent !~ '^[a-z0-9][a-z0-9._-]{0,62}$'
      or c.provider !~ '^([a-z0-9][a-z0-9-]{0,62})?$' or jsonb_typeof(c.context) <> 'object'
      or (select count(*) not between 1 and 8 or bool_or(jsonb_typeof(e.value) <> 'string' or e.key !~ '^[a-z0-9-]{1,32}$'
          or e.value #>> '{}' !~ '^[ -~]{1,200}$') from jsonb_each(c.context) e)
  ) or exists (
    select from jsonb_populate_recordset(null::x3sproxy.agent_first_uses, uses) u
    where u.kind not in ('provider', 'path', 'address') or length(u.value) not between 1 and 200 or length(u.address) > 100
  ) then
    raise exception 'a row is out of bounds' using errcode = '22023';
  end if;

  insert into x3sproxy.activity_writers as w (writer, batch) values (from_writer, batch_number)
  on conflict (writer) do update set batch = excluded.batch, wrote_at = now() where w.batch < excluded.batch;
  if not found then return '{}'; end if;
  perform pg_advisory_xact_lock(7233004);

  insert into x3sproxy.activity_calls as c
  with given as (
    select g.workspace_id, g.agent_id, date_trunc('hour', g.hour, 'UTC') as hour, g.provider, g.method, g.path, g.address,
      sum(g.requests) as requests
    from jsonb_populate_recordset(null::x3sproxy.activity_calls, calls) g
    join x3sproxy.workspaces k on k.id = g.workspace_id
    where g.hour between now() - interval '47 hours' and now() + interval '10 minutes'
    group by 1, 2, 3, 4, 5, 6, 7
  ), placed as (
    select g.*, c.requests is not null as known,
      count(*) filter (where c.requests is null) over (
        partition by g.workspace_id, g.agent_id, g.hour order by g.provider, g.method, g.path, g.address) as place
    from given g left join x3sproxy.activity_calls c using (workspace_id, agent_id, hour, provider, method, path, address)
  ), fitting as (
    select p.*, p.known or p.place <= most_calls - (
      select count(*) from x3sproxy.activity_calls c
      where c.workspace_id = p.workspace_id and c.agent_id = p.agent_id and c.hour = p.hour) as fits
    from placed p
  )
  select workspace_id, agent_id, hour, case when fits then provider else '' end, case when fits then method else '' end,
    case when fits then path else '' end, case when fits then address else '' end, sum(requests)
  from fitting group by 1, 2, 3, 4, 5, 6, 7
  on conflict (workspace_id, agent_id, hour, provider, method, path, address) do update set
    requests = c.requests + excluded.requests;

  insert into x3sproxy.activity_contexts as c (workspace_id, minute, agent, provider, context, requests)
  with given as (
    select g.workspace_id, date_trunc('minute', g.minute) as minute, g.agent, g.provider, g.context, sum(g.requests) as requests
    from jsonb_populate_recordset(null::x3sproxy.activity_contexts, contexts) g
    join x3sproxy.workspaces k on k.id = g.workspace_id
    where g.minute between now() - interval '35 days' and now() + interval '10 minutes'
    group by 1, 2, 3, 4, 5
  ), placed as (
    select g.*, c.requests is not null as known,
      count(*) filter (where c.requests is null) over (
        partition by g.workspace_id, g.minute, g.agent, g.provider order by g.requests desc, g.context) as place
    from given g left join x3sproxy.activity_contexts c
      on (c.workspace_id, c.minute, c.agent, c.provider, c.context_hash)
        = (g.workspace_id, g.minute, g.agent, g.provider, md5(g.context::text))
  )
  select workspace_id, minute, agent, provider, context, requests from placed p
  where known or place <= most_contexts - (
    select count(*) from x3sproxy.activity_contexts c
    where (c.workspace_id, c.minute, c.agent, c.provider) = (p.workspace_id, p.minute, p.agent, p.provider))
  on conflict (workspace_id, minute, agent, provider, context_hash) do update set requests = c.requests + excluded.requests;

  with given as (
    select g.workspace_id, g.agent_id, a.name, g.kind, g.value, min(g.first_used_at) as at, min(g.address) as address
    from jsonb_populate_recordset(null::x3sproxy.agent_first_uses, uses) g
    join x3sproxy.agents a on a.id = g.agent_id and a.workspace_id = g.workspace_id
    where g.first_used_at between now() - interval '35 days' and now() + interval '10 minutes'
    group by 1, 2, 3, 4, 5
  ), placed as (
    select g.*, row_number() over (partition by g.agent_id, g.kind order by g.at, g.value) <= most_uses - (
        select count(*) from x3sproxy.agent_first_uses u
        where (u.workspace_id, u.agent_id, u.kind) = (g.workspace_id, g.agent_id, g.kind)) as fits,
      least(min(g.at) over (partition by g.agent_id), (
        select min(u.first_used_at) from x3sproxy.agent_first_uses u
        where (u.workspace_id, u.agent_id) = (g.workspace_id, g.agent_id))) as began
    from given g
    where not exists (
      select from x3sproxy.agent_first_uses u
      where (u.workspace_id, u.agent_id, u.kind, u.value) = (g.workspace_id, g.agent_id, g.kind, g.value))
  ), added as (
    insert into x3sproxy.agent_first_uses (workspace_id, agent_id, kind, value, first_used_at, address, unusual)
    select workspace_id, agent_id, kind, value, at, address, at - began >= learning from placed where fits
    union all
    select workspace_id, agent_id, kind, '…', min(at), null, false from placed where not fits group by 1, 2, 3
    on conflict do nothing
    returning *
  ), events as (
    insert into x3sproxy.audit_events
      (workspace_id, actor_kind, actor_name, address, method, action, target_kind, target_id, target_name, result)
    select n.workspace_id, 'service', 'x3sproxy', n.address, 'activity', 'agent.unusual', 'agent', n.agent_id::text, a.name,
      case when length(n.value) <= 80 then n.kind || ' ' || n.value else n.kind || ' ' || left(n.value, 80) || '…' end
    from added n join x3sproxy.agents a on a.id = n.agent_id where n.unusual
    order by n.first_used_at, n.kind, n.value
  )
  select coalesce(jsonb_object_agg(kind, number), '{}') into found_uses
  from (select kind, count(*) as number from added where unusual group by kind) each;
  return found_uses;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.add_expiry(of_workspace uuid, agent_id uuid, agent_name text, deployment integer, ended_at timestamp with time zone)
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  insert into x3sproxy.audit_events
    (workspace_id, actor_kind, actor_name, method, action, target_kind, target_id, target_name, result, detail)
  values (of_workspace, 'service', 'x3sproxy', 'service', 'token.expire', 'agent', agent_id, agent_name, 'ttl',
    format('{"deployment":%s,"expiredAt":%s}', deployment, x3sproxy.json_time(ended_at)))
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.add_release(of_workspace uuid, agent_id uuid, agent_name text, deployment integer, secret_id uuid, provider text, environment text, secret_version integer, process text, from_address text)
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  insert into x3sproxy.audit_events
    (workspace_id, actor_kind, actor_id, actor_name, address, method, action, target_kind, target_id, target_name, result, detail)
  values (of_workspace, 'agent', agent_id, agent_name, left(from_address, 100), 'proxy_token', 'secret.release', 'secret', secret_id,
    provider || '/' || environment, 'done',
    format('{"deployment":%s,"process":"%s","provider":"%s","version":%s}', deployment, process, provider, secret_version))
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.agent_state(agent_id uuid)
 RETURNS text
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select coalesce((
    select case when a.suspended_at is null and w.agents_suspended_at is null then 'live' else 'suspended' end
    from x3sproxy.agents a join x3sproxy.workspaces w on w.id = a.workspace_id
    where a.id = agent_state.agent_id), 'gone')
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.announce_agent_row()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform pg_notify('x3sproxy_changes', 'agent ' || coalesce(new.id, old.id));
  return null;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.announce_token()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
CREATE OR REPLACE FUNCTION x3sproxy.announce_workspace_row()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if (new.requests_per_minute, new.open_streams, new.bytes_per_minute, new.open_websockets, new.agents_suspended_at)
    is distinct from
    (old.requests_per_minute, old.open_streams, old.bytes_per_minute, old.open_websockets, old.agents_suspended_at)
  then
    perform pg_notify('x3sproxy_changes', 'workspace ' || new.id);
  end if;
  return null;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.at_home()
 RETURNS boolean
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select exists (
    select from x3sproxy.workspaces where home and id = nullif(current_setting('x3sproxy.workspace', true), '')::uuid)
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.audit_days_in_force(days integer, days_before integer, changed_at timestamp with time zone)
 RETURNS integer
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select case
    when changed_at is null or changed_at <= now() - interval '7 days' then days
    when days is null or days_before is null then null
    else greatest(days, days_before) end
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.authenticate_api_key(key_hash bytea)
 RETURNS TABLE(id uuid, workspace_id uuid, name text, role text, agents text[], allowed_addresses text[], limited boolean, used_lately boolean)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select k.id, k.workspace_id, k.name, k.role, k.agents, k.allowed_addresses, k.requests_per_minute is not null,
    coalesce(k.last_used_at > now() - interval '1 minute', false)
  from x3sproxy.api_keys k
  where k.hash = key_hash and (k.expires_at is null or k.expires_at > now())
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.authenticate_session(session_hash bytea)
 RETURNS TABLE(id uuid, user_id uuid, workspace_id uuid, email text, role text, agents text[], proved_at timestamp with time zone, ends_at timestamp with time zone, fresh boolean, must_enrol boolean)
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with seen as (
    update x3sproxy.sessions s set last_seen_at = now()
    where s.hash = session_hash and s.ends_at > now()
      and s.last_seen_at > now() - interval '30 minutes' and s.last_seen_at < now() - interval '1 minute')
  select s.id, u.id, u.workspace_id, u.email, u.role, u.agents, s.proved_at, s.ends_at,
    s.proved_at > now() - interval '5 minutes',
    w.second_factor_required and not exists (select from x3sproxy.second_factors f where f.user_id = u.id)
  from x3sproxy.sessions s
  join x3sproxy.users u on u.id = s.user_id and u.workspace_id = s.workspace_id
  join x3sproxy.workspaces w on w.id = u.workspace_id
  where s.hash = session_hash and s.ends_at > now() and s.last_seen_at > now() - interval '30 minutes'
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.await_sealing()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  insert into x3sproxy.audit_pending (event_id, workspace_id, created_at) values (new.id, new.workspace_id, new.created_at);
  return null;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.begin_attempt(of_subject bytea, of_known bytea, OUT subject bytea, OUT wait_s integer, OUT note boolean)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  counted x3sproxy.account_attempts;
  t timestamptz;
begin
  subject := coalesce(
    (select a.subject from x3sproxy.account_attempts a where a.subject = of_known and a.known), of_subject);
  -- Locks the row, whether it was there or not.
  insert into x3sproxy.account_attempts as a (subject) values (begin_attempt.subject)
    on conflict on constraint account_attempts_pkey do update set touched_at = a.touched_at
    returning a.* into counted;
  t := clock_timestamp();
  wait_s := case when counted.next_at > t then ceil(extract(epoch from counted.next_at - t)) else 0 end;
  note := wait_s > 0 and counted.refusal_noted_at < t - interval '1 hour';
  if note then
    update x3sproxy.account_attempts a set refusal_noted_at = t where a.subject = begin_attempt.subject;
  end if;
  if wait_s > 0 then return; end if;
  update x3sproxy.account_attempts a set tries = a.tries + 1, touched_at = t, refusal_noted_at = '-infinity', next_at = case
      when a.tries + 1 < 5 then '-infinity'
      else t + least(900, 2 ^ least(a.tries + 1 - 5, 10)) * interval '1 second' end
    where a.subject = begin_attempt.subject;

  -- What is of no use any more, a little at a time. Last, and passing over what is held: nobody waits for this with something held.
  -- Four tries an hour are as many as the longest delay lets through.
  delete from x3sproxy.account_attempts a where a.subject in (
    select o.subject from x3sproxy.account_attempts o
    where not o.known and o.tries < 5 and o.touched_at < t - interval '1 hour'
    order by o.touched_at limit 10 for update skip locked);
  delete from x3sproxy.account_attempts a where a.subject in (
    select o.subject from x3sproxy.account_attempts o
    where not o.known and o.tries >= 5 and o.touched_at < t - interval '1 day'
    order by o.touched_at limit 10 for update skip locked);
  delete from x3sproxy.account_attempts a where a.subject in (
    select o.subject from x3sproxy.account_attempts o
    where o.known and o.touched_at < t - interval '90 days'
    order by o.touched_at limit 10 for update skip locked);
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.begin_audit_retention()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  insert into x3sproxy.audit_retentions (workspace_id) values (new.id) on conflict do nothing;
  return null;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.cap_minutes()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  new.requests := least(new.requests, 1000000000000000);
  new.status_2xx := least(new.status_2xx, 1000000000000000);
  new.status_3xx := least(new.status_3xx, 1000000000000000);
  new.status_4xx := least(new.status_4xx, 1000000000000000);
  new.status_5xx := least(new.status_5xx, 1000000000000000);
  new.status_none := least(new.status_none, 1000000000000000);
  new.errors := least(new.errors, 1000000000000000); new.refusals := least(new.refusals, 1000000000000000);
  new.broken := least(new.broken, 1000000000000000);
  new.request_bytes := least(new.request_bytes, 1000000000000000);
  new.response_bytes := least(new.response_bytes, 1000000000000000);
  new.first_byte_count := least(new.first_byte_count, 1000000000000000);
  new.total_count := least(new.total_count, 1000000000000000);
  new.open_peak := least(new.open_peak, 1000000000000000);
  return new;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.cap_requests()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  new.requests := least(new.requests, 1000000000000000);
  return new;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.cap_versions()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  new.requests := least(new.requests, 1000000000000); new.refused_401 := least(new.refused_401, 1000000000000);
  new.refused_403 := least(new.refused_403, 1000000000000);
  new.refused_429 := least(new.refused_429, 1000000000000);
  return new;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.check_process(process text)
 RETURNS void
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if process is null or process !~ '^[0-9a-f]{12}$' then
    raise exception 'a process is named by 12 hex digits' using errcode = '22023';
  end if;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.count_refused_keys()
 RETURNS integer
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select count(*)::integer
  from (select distinct v.workspace_id from x3sproxy.activity_versions v where v.refused_since is not null) w
  cross join lateral x3sproxy.key_refusals(w.workspace_id) k
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.create_workspace(new_id uuid, new_name text, link_hash bytea)
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare ends_at timestamptz := now() + interval '72 hours';
begin
  if not x3sproxy.at_home() then return null; end if;
  insert into x3sproxy.workspaces (id, name) values (new_id, new_name);
  insert into x3sproxy.setup_links (hash, workspace_id, expires_at) values (link_hash, new_id, ends_at);
  return ends_at;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.delete_workspace(of_workspace uuid, of_name text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if not x3sproxy.at_home() then return false; end if;
  perform from x3sproxy.workspaces where id = of_workspace and name = of_name and not home;
  if not found then return false; end if;
  -- First, in the order of whoever uses the link, so that neither waits for the other in a ring.
  delete from x3sproxy.setup_links where workspace_id = of_workspace;
  delete from x3sproxy.workspaces where id = of_workspace and name = of_name and not home;
  return found;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.erase_person(subject text, by_kind text, by_id uuid, by_name text, by_address text, by_method text, OUT parts bigint, OUT waiting bigint, OUT others bigint)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  most constant integer := 1000;
  nobody constant text := 'an erased person';
  here uuid := nullif(current_setting('x3sproxy.workspace', true), '')::uuid;
  emails text[];
  ids text[] := '{}';
  pattern text; -- one of the addresses, and not a part of a longer one
  registrars text[]; -- what events call those of the addresses that no API key had for its name
  event_id bigint;
  indexes bigint[];
  which text[];
  of_actors bigint[];
  of_targets bigint[];
  changed bigint;
begin
  if here is null then raise exception 'a workspace is needed' using errcode = '22023'; end if;
  perform pg_advisory_xact_lock(7233022);
  if subject ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
    ids := array[subject];
    select coalesce(array_agg(distinct lower(n.name)), '{}') into emails from (
      select e.actor_name from x3sproxy.audit_events e
      where e.workspace_id = here and (e.actor_name like '%@%' or e.target_name like '%@%')
        and e.actor_kind = 'user' and e.actor_id::text = subject
      union
      select e.target_name from x3sproxy.audit_events e
      where e.workspace_id = here and (e.actor_name like '%@%' or e.target_name like '%@%')
        and e.target_kind = 'user' and e.target_id = subject) n (name)
    where n.name like '%@%';
  elsif subject ~ '^[^@[:space:]]+@[^@[:space:]]+$' then
    emails := array[lower(subject)];
  else
    raise exception 'neither an id nor an e-mail address' using errcode = '22023';
  end if;
  -- Whoever was deleted and invited again has had several ids.
  ids := ids || array(
    select e.actor_id::text from x3sproxy.audit_events e
    where e.workspace_id = here and (e.actor_name like '%@%' or e.target_name like '%@%')
      and e.actor_kind = 'user' and e.actor_id is not null and lower(e.actor_name) = any (emails)
    union
    select e.target_id from x3sproxy.audit_events e
    where e.workspace_id = here and (e.actor_name like '%@%' or e.target_name like '%@%')
      and e.target_kind = 'user' and lower(e.target_name) = any (emails));
  if exists (select from x3sproxy.users u where u.workspace_id = here and (u.id::text = any (ids) or lower(u.email) = any (emails))) then
    return;
  end if;
  parts := 0;
  waiting := 0;
  others := 0;
  -- Such an event says by name alone who made the registration.
  select coalesce(array_agg('registration by ' || a.address), '{}') into registrars from unnest(emails) a (address)
    where not exists (
      select from x3sproxy.audit_events k
      where k.workspace_id = here and k.actor_kind = 'api_key' and k.actor_name = a.address);
  select '(?<![[:alnum:]._%+@-])(' || string_agg(regexp_replace(a.address, '([^[:alnum:]])', '\\\1', 'g'), '|')
      || ')(?![[:alnum:]@_-]|\.[[:alnum:]])' into pattern
    from unnest(emails) a (address);

  with hit as materialized (
    select h.*, row_number() over (order by h.leaf_index) <= most and h.leaf_index is not null as now from (
      select e.id, l.leaf_index,
        e.actor_salt is not null and case e.actor_kind
          when 'user' then coalesce(e.actor_id::text = any (ids), lower(e.actor_name) = any (emails))
          when 'link' then lower(e.actor_name) = any (emails) or e.actor_name = any (registrars)
          else false end as actor,
        e.target_salt is not null and case e.target_kind
          when 'user' then e.target_id = any (ids)
          when 'invitation' then lower(e.target_name) = any (emails)
          when 'session' then lower(e.target_name) = any (emails)
          else false end as target
      from x3sproxy.audit_events e
      left join lateral (select p.leaf_index from x3sproxy.audit_leaves p where p.event_id = e.id limit 1) l on true
      where e.workspace_id = here and (e.actor_name like '%@%' or e.target_name like '%@%')) h
    where h.actor or h.target
  ), list as (
    select h.leaf_index, 'actor' as part, h.id from hit h where h.actor and h.now
    union all
    select h.leaf_index, 'target', h.id from hit h where h.target and h.now
  )
  select coalesce(array_agg(l.leaf_index order by l.leaf_index, l.part), '{}'), array_agg(l.part order by l.leaf_index, l.part),
    array_agg(l.id) filter (where l.part = 'actor'), array_agg(l.id) filter (where l.part = 'target'),
    (select coalesce(sum(h.actor::integer + h.target::integer), 0) from hit h where not h.now)
    into indexes, which, of_actors, of_targets, waiting from list l;
  update x3sproxy.audit_events e set actor_salt = null, actor_id = null, actor_name = '', address = null
    where e.id = any (of_actors);
  update x3sproxy.audit_events e set target_salt = null, target_id = '', target_name = ''
    where e.id = any (of_targets);
  parts := cardinality(indexes);

  if pattern is not null then
    delete from x3sproxy.invitations i where i.workspace_id = here and lower(i.email) = any (emails);
    get diagnostics changed = row_count;
    others := others + changed;
    update x3sproxy.invitations i set invited_by = left(regexp_replace(i.invited_by, pattern, nobody, 'gi'), 300)
      where i.workspace_id = here and i.invited_by ~* pattern;
    get diagnostics changed = row_count;
    others := others + changed;
    update x3sproxy.registrations r set created_by = left(regexp_replace(r.created_by, pattern, nobody, 'gi'), 300)
      where r.workspace_id = here and r.created_by ~* pattern;
    get diagnostics changed = row_count;
    others := others + changed;
    update x3sproxy.spent_registrations r set created_by = left(regexp_replace(r.created_by, pattern, nobody, 'gi'), 300)
      where r.workspace_id = here and r.created_by ~* pattern;
    get diagnostics changed = row_count;
    others := others + changed;
    update x3sproxy.api_keys k set name = left(regexp_replace(k.name, pattern, nobody, 'gi'), 100)
      where k.workspace_id = here and k.name ~* pattern;
    get diagnostics changed = row_count;
    others := others + changed;
    update x3sproxy.secrets s set label = left(regexp_replace(s.label, pattern, nobody, 'gi'), 200)
      where s.workspace_id = here and s.label ~* pattern;
    get diagnostics changed = row_count;
    others := others + changed;
    delete from x3sproxy.activity_contexts c where c.workspace_id = here and c.context::text like '%@%' and c.context::text ~* pattern;
    get diagnostics changed = row_count;
    others := others + changed;
  end if;

  if parts = 0 and others = 0 then return; end if;
  insert into x3sproxy.audit_events
    (workspace_id, actor_kind, actor_id, actor_name, address, method, action, target_kind, target_id, target_name, result, detail)
  values (here, by_kind, by_id, by_name, by_address, by_method, 'audit.erase', 'erasure', gen_random_uuid(), 'a person', 'done',
    format('{"list":"%s","parts":%s}', (
      select encode(sha256(convert_to(coalesce(string_agg(l.leaf_index || ' ' || l.part || e'\n', '' order by l.place), ''), 'utf8')), 'hex')
      from unnest(indexes, which) with ordinality l (leaf_index, part, place)), parts))
  returning id into event_id;
  insert into x3sproxy.audit_erasures (workspace_id, leaf_index, part, erasure_event_id)
    select here, l.leaf_index, l.part, event_id from unnest(indexes, which) l (leaf_index, part);
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.expire_agents_token()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform x3sproxy.add_expiry(old.workspace_id, old.id, old.name, t.deployment, t.expires_at)
  from x3sproxy.proxy_tokens t
  where t.agent_id = old.id and t.kind = 'deployment' and not t.end_recorded and t.expires_at <= now();
  return old;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.expire_deleted_token()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  -- Without its agent it goes with the agent, where it was recorded.
  perform x3sproxy.add_expiry(a.workspace_id, a.id, a.name, old.deployment, old.expires_at)
  from x3sproxy.agents a where a.id = old.agent_id;
  return old;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.expire_unused_tokens()
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  ended integer := 0;
  token record;
  this_moment timestamptz := date_trunc('milliseconds', now());
begin
  if not pg_try_advisory_xact_lock(7233010) then return 0; end if;
  for token in
    select t.hash, t.expires_at, a.id as agent_id, a.name, a.workspace_id
    from x3sproxy.proxy_tokens t
    join x3sproxy.agents a on a.id = t.agent_id
    join x3sproxy.workspaces w on w.id = a.workspace_id
    where w.unused_days is not null and t.kind = 'deployment' and (t.expires_at is null or t.expires_at > now())
      and t.created_at < now() - make_interval(days => w.unused_days)
      and not exists (
        select from x3sproxy.activity_agents u
        where u.agent_id = a.id and u.workspace_id = a.workspace_id
          and u.last_used_at >= now() - make_interval(days => w.unused_days))
    order by a.id limit 500
    for update of t skip locked
  loop
    update x3sproxy.proxy_tokens t set expires_at = this_moment, end_recorded = true where t.hash = token.hash;
    insert into x3sproxy.audit_events
      (workspace_id, actor_kind, actor_name, method, action, target_kind, target_id, target_name,
       result, detail)
    values (token.workspace_id, 'service', 'x3sproxy', 'service', 'token.expire', 'agent', token.agent_id, token.name, 'unused',
      format('{"expiresAt":"%s → %s"}', coalesce(x3sproxy.json_time(token.expires_at)::jsonb #>> '{}', 'never'),
        x3sproxy.json_time(this_moment)::jsonb #>> '{}'));
    ended := ended + 1;
  end loop;
  return ended;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.figures(new_for interval, ages interval[])
 RETURNS TABLE(used_tokens integer, unused_tokens integer, new_tokens integer, secrets_by_age jsonb, secrets integer, oldest_secret_s double precision, master_key_s double precision, audit_lag_s double precision)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with token as (
    select t.created_at >= now() - new_for as is_new, exists (
      select from x3sproxy.activity_agents u
      where u.workspace_id = t.workspace_id and u.agent_id = t.agent_id and u.deployment >= t.deployment) as is_used
    from x3sproxy.proxy_tokens t
    where t.kind = 'deployment' and (t.expires_at is null or t.expires_at > now())
  ), secret as (
    select v.created_at
    from x3sproxy.secrets s
    join x3sproxy.secret_versions v on v.secret_id = s.id and v.version = s.active_version
  )
  select
    (select count(*) filter (where is_used) from token)::integer,
    (select count(*) filter (where not is_used and not is_new) from token)::integer,
    (select count(*) filter (where not is_used and is_new) from token)::integer,
    (select jsonb_agg((select count(*) from secret where created_at >= now() - age) order by place)
      from unnest(ages) with ordinality each (age, place)),
    (select count(*) from secret)::integer,
    coalesce((select extract(epoch from now() - min(created_at)) from secret), 0)::double precision,
    (select extract(epoch from now() - max(created_at)) from x3sproxy.master_keys)::double precision,
    coalesce((select greatest(0, extract(epoch from now() - min(created_at))) from x3sproxy.audit_pending), 0)::double precision
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.find_user(user_email text)
 RETURNS TABLE(id uuid, workspace_id uuid, email text, password_hash text)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select u.id, u.workspace_id, u.email, u.password_hash from x3sproxy.users u where lower(u.email) = user_email
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.forget_process(of_process text)
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  delete from x3sproxy.process_keys where process = of_process
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.json_time(at timestamp with time zone)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select coalesce('"' || to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"', 'null')
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.keep_spent_registration()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  insert into x3sproxy.spent_registrations (hash, id, workspace_id, agent_id, created_by)
  select old.hash, old.id, w.id, old.agent_id, old.created_by from x3sproxy.workspaces w where w.id = old.workspace_id
  on conflict do nothing;
  return null;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.key_refusals(of_workspace uuid, of_agents text[] DEFAULT NULL::text[])
 RETURNS TABLE(secret_id uuid, version integer, calls bigint, status_401 bigint, status_403 bigint, status_429 bigint, agents bigint, since timestamp with time zone, latest timestamp with time zone)
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with refused as materialized (
    select distinct v.secret_id, v.version
    from x3sproxy.activity_versions v
    join x3sproxy.secrets s on s.id = v.secret_id and s.workspace_id = v.workspace_id and s.active_version = v.version
    where v.workspace_id = of_workspace and v.refused_since is not null
  )
  select r.secret_id, r.version, sum(each.refused_401 + each.refused_403 + each.refused_429)::bigint, sum(each.refused_401)::bigint,
    sum(each.refused_403)::bigint, sum(each.refused_429)::bigint, count(*), min(each.refused_since), max(each.refused_at)
  from refused r
  cross join lateral (
    select max(v.accepted_at) as at from x3sproxy.activity_versions v
    where v.workspace_id = of_workspace and v.secret_id = r.secret_id and v.version = r.version) accepted
  join x3sproxy.activity_versions each on each.workspace_id = of_workspace and each.secret_id = r.secret_id and each.version = r.version
    and each.refused_since >= coalesce(accepted.at, '-infinity')
  where of_agents is null or each.agent = any (of_agents)
  group by r.secret_id, r.version
  having sum(each.refused_401 + each.refused_403 + each.refused_429) >= 5
    and (sum(each.refused_401 + each.refused_403) > 0 or max(each.refused_at) > now() - interval '15 minutes')
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.latest_checkpoints()
 RETURNS TABLE(workspace_id uuid, size bigint, note text)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with recursive logs (id) as (
    (select c.workspace_id from x3sproxy.audit_checkpoints c order by c.workspace_id limit 1)
    union all
    select (select c.workspace_id from x3sproxy.audit_checkpoints c where c.workspace_id > l.id order by c.workspace_id limit 1)
    from logs l where l.id is not null
  )
  select l.id, last.size, last.note
  from logs l cross join lateral (
    select c.size, c.note from x3sproxy.audit_checkpoints c where c.workspace_id = l.id order by c.size desc limit 1
  ) last
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.list_master_keys()
 RETURNS TABLE(key_id text, active boolean, created_at timestamp with time zone, activated_at timestamp with time zone, rotated_at timestamp with time zone, rewrapped bigint, unreadable bigint, sealed bigint)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select k.key_id, k.active, k.created_at, k.activated_at, k.rotated_at, k.rewrapped, k.unreadable,
    (select count(*) from x3sproxy.secret_versions v where v.key_id = k.key_id)
    + (select count(*) from x3sproxy.second_factors f where f.key_id = k.key_id)
    + (select count(*) from x3sproxy.sealed_keys s where s.key_id = k.key_id)
  from x3sproxy.master_keys k where x3sproxy.at_home() order by k.created_at, k.key_id
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.list_process_keys()
 RETURNS TABLE(process text, key_ids text[], seals_with text, started_at timestamp with time zone, seen_at timestamp with time zone)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select p.process, p.key_ids, p.seals_with, p.started_at, p.seen_at
  from x3sproxy.process_keys p
  where x3sproxy.at_home() and p.seen_at > now() - interval '1 minute' order by p.started_at, p.process
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.list_workspaces(after_name text DEFAULT ''::text, most integer DEFAULT NULL::integer, only_id uuid DEFAULT NULL::uuid)
 RETURNS TABLE(id uuid, name text, home boolean, created_at timestamp with time zone, users bigint, agents bigint, secrets bigint, setup_ends_at timestamp with time zone)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select w.id, w.name, w.home, w.created_at,
    (select count(*) from x3sproxy.users u where u.workspace_id = w.id),
    (select count(*) from x3sproxy.agents a where a.workspace_id = w.id),
    (select count(*) from x3sproxy.secrets s where s.workspace_id = w.id),
    (select max(l.expires_at) from x3sproxy.setup_links l where l.workspace_id = w.id
      and not exists (select from x3sproxy.users u where u.workspace_id = w.id))
  from x3sproxy.workspaces w
  where (w.id = nullif(current_setting('x3sproxy.workspace', true), '')::uuid or (select x3sproxy.at_home()))
    and w.name collate "C" > after_name and (only_id is null or w.id = only_id)
  order by w.name collate "C" limit most
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.look_at_link(link_hash bytea)
 RETURNS TABLE(kind text, email text, role text, workspace_id uuid, user_id uuid, needs_code boolean)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select 'invitation', i.email, i.role, i.workspace_id, null::uuid, false
  from x3sproxy.invitations i where i.hash = link_hash and i.expires_at > now()
  union all
  select 'reset', u.email, u.role, u.workspace_id, u.id,
    not r.second_factor and exists (select from x3sproxy.second_factors f where f.user_id = u.id)
  from x3sproxy.resets r
  join x3sproxy.users u on u.id = r.user_id and u.workspace_id = r.workspace_id
  where r.hash = link_hash and r.expires_at > now()
  union all
  select 'setup', null, 'owner', l.workspace_id, null, false
  from x3sproxy.setup_links l
  where l.hash = link_hash and l.expires_at > now()
    and not exists (select from x3sproxy.users u where u.workspace_id = l.workspace_id)
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.note_audit_retention()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if new.days is not distinct from old.days then return new; end if;
  new.days_before := x3sproxy.audit_days_in_force(old.days, old.days_before, old.changed_at);
  new.changed_at := clock_timestamp();
  insert into x3sproxy.audit_events
    (workspace_id, actor_kind, actor_name, method, action, target_kind, target_id, target_name, result, detail)
  values (new.workspace_id, 'service', 'x3sproxy', 'retention', 'workspace.change', 'audit', new.workspace_id, 'audit', 'done',
    format('{"auditRetentionDays":%s,"auditRetentionDaysBefore":%s}',
      coalesce(new.days::text, '"forever"'), coalesce(old.days::text, '"forever"')));
  return new;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.note_refused_trade(registration_hash bytea, from_address text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  t timestamptz := clock_timestamp();
  refused record;
begin
  update x3sproxy.registrations r set refusal_noted_at = t
  where r.hash = registration_hash and coalesce(r.refusal_noted_at, '-infinity') < t - interval '1 hour'
  returning r.id, r.workspace_id, r.agent_id, r.created_by,
    case when r.expires_at <= t then 'expired' else 'suspended' end as why into refused;
  if not found then
    update x3sproxy.spent_registrations r set refusal_noted_at = t
    where r.hash = registration_hash and coalesce(r.refusal_noted_at, '-infinity') < t - interval '1 hour'
    returning r.id, r.workspace_id, r.agent_id, r.created_by, 'spent' as why into refused;
  end if;
  if not found then return; end if;
  insert into x3sproxy.audit_events
    (workspace_id, actor_kind, actor_id, actor_name, address, method, action, target_kind, target_id, target_name, result)
  values (refused.workspace_id, 'link', refused.id, 'registration by ' || left(refused.created_by, 284), left(from_address, 100),
    'registration', 'registration.trade_refused', 'agent', refused.agent_id,
    coalesce((select a.name from x3sproxy.agents a where a.id = refused.agent_id), ''), refused.why);
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.place_credential()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.prune_activity(of_table text, after_workspace uuid, after_id uuid, OUT pruned bigint, OUT at_workspace uuid, OUT at_id uuid)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  most constant integer := 5000;
  most_places constant integer := 500;
  lowest constant uuid := '00000000-0000-0000-0000-000000000000';
  -- Rows with an agent or a secret have it in the second column of the key.
  second text := case of_table
    when 'activity_calls' then 'agent_id' when 'activity_agents' then 'agent_id' when 'agent_first_uses' then 'agent_id'
    when 'activity_versions' then 'secret_id' end;
  age text := case of_table
    when 'activity_minutes' then 'minute' when 'activity_contexts' then 'minute' when 'activity_calls' then 'hour'
    when 'activity_versions' then 'last_used_at' end;
  kept constant interval := case of_table when 'activity_calls' then interval '48 hours' else interval '35 days' end;
  key text;
  place record;
  is_gone boolean;
begin
  pruned := 0;
  if not pg_try_advisory_xact_lock(7233003) then return; end if;
  if of_table = 'activity_writers' then
    delete from x3sproxy.activity_writers where wrote_at < now() - interval '1 day';
    return;
  end if;
  if second is null and age is null then raise exception 'no such activity' using errcode = '22023'; end if;
  at_workspace := coalesce(after_workspace, lowest);
  at_id := coalesce(after_id, lowest);
  key := 'workspace_id' || coalesce(', ' || second, '');
  for looked in 1 .. most_places loop
    execute format(
        'select workspace_id, %s as id from x3sproxy.%I where (%s) > (%s) order by %s limit 1',
        coalesce(second, '$2'), of_table, key, case when second is null then '$1' else '$1, $2' end, key)
      into place using at_workspace, at_id;
    if place.workspace_id is null then
      at_workspace := null;
      at_id := null;
      return;
    end if;
    is_gone := case
      when second = 'agent_id' then not exists (
        select from x3sproxy.agents a where a.id = place.id and a.workspace_id = place.workspace_id)
      else not exists (select from x3sproxy.workspaces w where w.id = place.workspace_id) end;
    if is_gone or age is not null then
      execute format(
          'delete from x3sproxy.%1$I where ctid = any (array(
            select ctid from x3sproxy.%1$I where workspace_id = $1 %2$s %3$s order by %4$s limit %5$s))',
          of_table, 'and ' || second || ' = $2', 'and ' || age || ' < $3', concat_ws(', ', key, age), most)
        using place.workspace_id, place.id, case when is_gone then 'infinity' else now() - kept end;
      get diagnostics pruned = row_count;
      if pruned > 0 then return; end if;
    end if;
    at_workspace := place.workspace_id;
    at_id := place.id;
  end loop;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.prune_audit(after_workspace uuid DEFAULT NULL::uuid, OUT pruned bigint, OUT at_workspace uuid)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  most constant bigint := 1000;
  most_workspaces constant integer := 200;
  -- Past as many leaves without an event the next part of the log isn't looked for.
  most_missing constant integer := 100000;
  checkpoints_until constant timestamptz := date_trunc('day', now() - interval '30 days', 'UTC');
  rule x3sproxy.audit_retentions;
  in_force integer;
  events_until timestamptz;
  new_before bigint;
  thinned bigint;
  due bigint[];
  gone bigint;
  seen integer := 0;
begin
  pruned := 0;
  if not pg_try_advisory_xact_lock(7233021) then return; end if;
  at_workspace := after_workspace;
  for rule in
    select * from x3sproxy.audit_retentions
    where workspace_id > coalesce(after_workspace, '00000000-0000-0000-0000-000000000000')
    order by workspace_id limit most_workspaces for update skip locked
  loop
    seen := seen + 1;
    in_force := x3sproxy.audit_days_in_force(rule.days, rule.days_before, rule.changed_at);
    events_until := date_trunc('day', now(), 'UTC') - make_interval(hours => 24 * in_force);
    -- One after the other by their keys, here and below: no plan may come to read a whole table. Most logs begin with what is young.
    if in_force is not null and (
      select a.created_at from x3sproxy.audit_events a where a.workspace_id = rule.workspace_id
      order by a.created_at, a.id limit 1) < events_until
    then
      with part as (
        select l.leaf_index, e.id, e.created_at
        from (
          select p.leaf_index, p.event_id from x3sproxy.audit_leaves p
          where p.workspace_id = rule.workspace_id and p.leaf_index >= rule.pruned_before
          order by p.leaf_index limit most_missing) l
        cross join lateral (
          select a.id, a.created_at from x3sproxy.audit_events a
          where a.id = l.event_id and a.workspace_id = rule.workspace_id limit 1) e
        order by l.leaf_index limit most - pruned
      ), young as (
        select min(p.leaf_index) as first from part p where p.created_at >= events_until
      )
      select max(p.leaf_index) + 1, array_agg(p.id) into new_before, due from part p, young y
      where y.first is null or p.leaf_index < y.first;
      if new_before is not null then
        delete from x3sproxy.audit_erasures x where x.erasure_event_id = any (due);
        delete from x3sproxy.audit_events e where e.id = any (due);
        get diagnostics gone = row_count;
        pruned := pruned + gone;
        update x3sproxy.audit_retentions
          set pruned_before = new_before, pruned_until = events_until, pruned_days = in_force
          where workspace_id = rule.workspace_id;
        insert into x3sproxy.audit_events
          (workspace_id, actor_kind, actor_name, method, action, target_kind, target_id, target_name, result, detail)
        values (rule.workspace_id, 'service', 'x3sproxy', 'retention', 'audit.prune', 'audit', rule.workspace_id, 'audit', 'done',
          format('{"before":%s,"count":%s,"days":%s,"until":%s}', new_before, gone, in_force, x3sproxy.json_time(events_until)));
      end if;
    end if;
    if pruned >= most then return; end if;

    if exists (
      select from x3sproxy.audit_checkpoints c
      where c.workspace_id = rule.workspace_id and c.created_at < checkpoints_until and c.size = (
        select min(f.size) from x3sproxy.audit_checkpoints f
        where f.workspace_id = rule.workspace_id and f.size > rule.thinned_size)
    ) then
      -- A day's last is known by the one after it, which is of another day.
      with part as (
        select p.size, p.created_at, lead(p.created_at) over (order by p.size) as next_at
        from (
          select c.size, c.created_at from x3sproxy.audit_checkpoints c
          where c.workspace_id = rule.workspace_id and c.size > rule.thinned_size
          order by c.size limit most - pruned) p
      )
      select max(p.size), array_agg(p.size) filter (
          where date_trunc('day', p.created_at, 'UTC') = date_trunc('day', p.next_at, 'UTC'))
        into thinned, due
        from part p where p.created_at < checkpoints_until and p.next_at is not null;
      if thinned is not null then
        delete from x3sproxy.audit_checkpoints c where c.workspace_id = rule.workspace_id and c.size = any (due);
        get diagnostics gone = row_count;
        update x3sproxy.audit_retentions set thinned_size = thinned where workspace_id = rule.workspace_id;
        pruned := pruned + gone;
      end if;
    end if;
    if pruned >= most then return; end if;
    at_workspace := rule.workspace_id;
  end loop;
  if pruned = 0 and seen < most_workspaces then at_workspace := null; end if;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.record_cuts(from_writer uuid, batch_number bigint, cuts jsonb, process text)
 RETURNS void
 LANGUAGE plpgsql
 STRICT SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.record_expired_tokens()
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  ended integer := 0;
  token record;
begin
  if not pg_try_advisory_xact_lock(7233014) then return 0; end if;
  for token in
    select t.id, t.deployment, t.expires_at, a.id as agent_id, a.name, a.workspace_id
    from x3sproxy.proxy_tokens t join x3sproxy.agents a on a.id = t.agent_id
    where t.kind = 'deployment' and not t.end_recorded and t.expires_at <= now()
    order by t.expires_at limit 500
    for update of t skip locked
  loop
    update x3sproxy.proxy_tokens t set end_recorded = true where t.id = token.id;
    perform x3sproxy.add_expiry(token.workspace_id, token.agent_id, token.name, token.deployment, token.expires_at);
    ended := ended + 1;
  end loop;
  delete from x3sproxy.spent_registrations where hash in (
    select s.hash from x3sproxy.spent_registrations s where s.spent_at < now() - interval '30 days' limit 500);
  return ended;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.record_migrations()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare home_id uuid := (select w.id from x3sproxy.workspaces w where w.home);
begin
  if home_id is null then return; end if;
  with applied as (
    update x3sproxy.schema_migrations set recorded = true where not recorded returning name
  )
  insert into x3sproxy.audit_events
    (workspace_id, actor_kind, actor_name, method, action, target_kind, target_id, target_name, result, detail)
  select home_id, 'service', 'x3sproxy', 'service', 'maintenance.migrate', 'database', 'schema', 'schema', 'done',
    format('{"count":%s,"first":"%s","last":"%s"}', count(*), min(name), max(name))
  from applied having count(*) > 0;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.redeem_invitation(link_hash bytea)
 RETURNS TABLE(id uuid, workspace_id uuid, email text, role text, agents text[])
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  delete from x3sproxy.invitations i where i.hash = link_hash and i.expires_at > now()
  returning i.id, i.workspace_id, i.email, i.role, i.agents
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.redeem_reset(link_hash bytea)
 RETURNS TABLE(user_id uuid, workspace_id uuid, second_factor boolean)
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  delete from x3sproxy.resets r where r.hash = link_hash and r.expires_at > now()
  returning r.user_id, r.workspace_id, r.second_factor
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.redeem_setup_link(link_hash bytea)
 RETURNS uuid
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  delete from x3sproxy.setup_links where hash = link_hash and expires_at > now() returning workspace_id
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.release_secret(token_hash bytea, secret_id uuid, secret_version integer, process text, from_address text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.renew_grant(token_hash bytea, in_use uuid[], process text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.renew_setup_link(of_workspace uuid, link_hash bytea)
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare ends_at timestamptz := now() + interval '72 hours';
begin
  if not x3sproxy.at_home() then return null; end if;
  perform from x3sproxy.workspaces where id = of_workspace for no key update;
  if not found then return null; end if;
  -- Waits for whoever is using the link at this moment, who is then seen as a user.
  delete from x3sproxy.setup_links where workspace_id = of_workspace;
  if exists (select from x3sproxy.users where workspace_id = of_workspace) then return null; end if;
  insert into x3sproxy.setup_links (hash, workspace_id, expires_at) values (link_hash, of_workspace, ends_at);
  return ends_at;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.report_keys(of_process text, held text[], sealing_with text)
 RETURNS TABLE(active_key text, rotating boolean)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  insert into x3sproxy.process_keys as p (process, key_ids, seals_with) values (of_process, held, sealing_with)
    on conflict (process) do update set key_ids = excluded.key_ids, seals_with = excluded.seals_with, seen_at = now()
    where p.seen_at < now() - interval '10 seconds' or (p.key_ids, p.seals_with) is distinct from (excluded.key_ids, excluded.seals_with);
  if found then
    delete from x3sproxy.process_keys p where p.seen_at < now() - interval '1 hour';
  end if;
  return query
    -- The least and the greatest come straight from the ends of an index, however many rows there are.
    select k.key_id, k.rotated_at is null
      or (select min(v.key_id) <> k.key_id or max(v.key_id) <> k.key_id from x3sproxy.secret_versions v) is true
      or (select min(f.key_id) <> k.key_id or max(f.key_id) <> k.key_id from x3sproxy.second_factors f) is true
      or (select min(s.key_id) <> k.key_id or max(s.key_id) <> k.key_id from x3sproxy.sealed_keys s) is true
    from x3sproxy.master_keys k where k.active;
end $function$;
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
$function$;
CREATE OR REPLACE FUNCTION x3sproxy.settle_attempt(of_subject bytea, of_known bytea, outcome text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  update x3sproxy.account_attempts a set
    tries = case outcome when 'failed' then a.tries when 'undecided' then greatest(0, a.tries - 1) else 0 end,
    next_at = case when outcome = 'failed' or outcome = 'undecided' and a.tries > 5 then a.next_at else '-infinity' end,
    touched_at = clock_timestamp()
    where a.subject = of_subject;
  delete from x3sproxy.account_attempts a where a.subject = of_subject and not a.known and a.tries = 0;
  if of_known is not null and outcome = 'succeeded' then
    insert into x3sproxy.account_attempts (subject, known) values (of_known, true)
    on conflict (subject) do update set known = true, touched_at = excluded.touched_at;
  end if;
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.trade_registration(registration_hash bytea, new_token_hash bytea, from_address text)
 RETURNS jsonb
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  wanted uuid;
  registration x3sproxy.registrations;
  agent x3sproxy.agents;
  life_ms bigint;
  ends timestamptz;
begin
  select r.agent_id into wanted from x3sproxy.registrations r where r.hash = registration_hash;
  select a.* into agent
  from x3sproxy.agents a join x3sproxy.workspaces w on w.id = a.workspace_id
  where a.id = wanted and a.suspended_at is null and w.agents_suspended_at is null
  for update of a;
  if found then
    delete from x3sproxy.registrations r
    where r.hash = registration_hash and r.agent_id = agent.id and r.expires_at > clock_timestamp()
    returning * into registration;
  end if;
  if not found then
    perform x3sproxy.note_refused_trade(registration_hash, from_address);
    return null;
  end if;

  select t.ttl_ms into life_ms from x3sproxy.proxy_tokens t where t.agent_id = agent.id and t.kind = 'deployment';
  delete from x3sproxy.proxy_tokens t where t.agent_id = agent.id;
  update x3sproxy.agents a set deployments = a.deployments + 1, deployed_at = now() where a.id = agent.id;
  ends := clock_timestamp() + life_ms * interval '1 millisecond';
  insert into x3sproxy.proxy_tokens (hash, workspace_id, agent_id, deployment, created_at, expires_at, ttl_ms)
  values (new_token_hash, agent.workspace_id, agent.id, agent.deployments + 1, now(), ends, life_ms);
  insert into x3sproxy.audit_events
    (workspace_id, actor_kind, actor_id, actor_name, address, method, action,
     target_kind, target_id, target_name, result, detail)
  values (agent.workspace_id, 'link', registration.id, 'registration by ' || left(registration.created_by, 284), from_address,
    'registration', 'registration.trade', 'agent', agent.id, agent.name, 'done',
    format('{"deployment":"%s → %s"}', agent.deployments, agent.deployments + 1));
  return jsonb_build_object(
    'workspaceId', agent.workspace_id,
    'agentId', agent.id,
    'agentName', agent.name,
    'environment', agent.environment,
    'deployment', agent.deployments + 1,
    'expiresAtMs', (extract(epoch from ends) * 1000)::bigint,
    'providers', to_jsonb(agent.providers),
    'customProviders', coalesce((
      select jsonb_agg(p.name order by p.name) from x3sproxy.providers p where p.workspace_id = agent.workspace_id), '[]'));
end $function$;
CREATE OR REPLACE FUNCTION x3sproxy.unsealed_workspaces()
 RETURNS SETOF uuid
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  with recursive waiting (id) as (
    (select p.workspace_id from x3sproxy.audit_pending p order by p.workspace_id limit 1)
    union all
    select (select p.workspace_id from x3sproxy.audit_pending p where p.workspace_id > w.id order by p.workspace_id limit 1)
    from waiting w where w.id is not null
  )
  select id from waiting where id is not null
$function$;

CREATE TRIGGER cap BEFORE INSERT OR UPDATE ON x3sproxy.activity_calls FOR EACH ROW WHEN ((new.requests > '1000000000000000'::bigint)) EXECUTE FUNCTION x3sproxy.cap_requests();
CREATE TRIGGER cap BEFORE INSERT OR UPDATE ON x3sproxy.activity_contexts FOR EACH ROW WHEN ((new.requests > '1000000000000000'::bigint)) EXECUTE FUNCTION x3sproxy.cap_requests();
CREATE TRIGGER cap BEFORE INSERT OR UPDATE ON x3sproxy.activity_minutes FOR EACH ROW WHEN ((GREATEST(new.requests, new.status_2xx, new.status_3xx, new.status_4xx, new.status_5xx, new.status_none, new.errors, new.refusals, new.broken, new.request_bytes, new.response_bytes, new.first_byte_count, new.total_count, new.open_peak) > '1000000000000000'::bigint)) EXECUTE FUNCTION x3sproxy.cap_minutes();
CREATE TRIGGER cap BEFORE INSERT OR UPDATE ON x3sproxy.activity_versions FOR EACH ROW WHEN ((GREATEST(new.requests, new.refused_401, new.refused_403, new.refused_429) > '1000000000000'::bigint)) EXECUTE FUNCTION x3sproxy.cap_versions();
CREATE TRIGGER announce AFTER DELETE OR UPDATE ON x3sproxy.agents FOR EACH ROW EXECUTE FUNCTION x3sproxy.announce_agent_row();
CREATE TRIGGER record_end BEFORE DELETE ON x3sproxy.agents FOR EACH ROW EXECUTE FUNCTION x3sproxy.expire_agents_token();
CREATE TRIGGER await_sealing AFTER INSERT ON x3sproxy.audit_events FOR EACH ROW EXECUTE FUNCTION x3sproxy.await_sealing();
CREATE TRIGGER note_audit_retention BEFORE UPDATE OF days ON x3sproxy.audit_retentions FOR EACH ROW EXECUTE FUNCTION x3sproxy.note_audit_retention();
CREATE TRIGGER announce AFTER INSERT OR DELETE OR UPDATE ON x3sproxy.providers FOR EACH ROW EXECUTE FUNCTION x3sproxy.announce_workspace();
CREATE TRIGGER announce AFTER INSERT OR DELETE OR UPDATE OF hash, workspace_id, agent_id, deployment, expires_at, kind ON x3sproxy.proxy_tokens FOR EACH ROW EXECUTE FUNCTION x3sproxy.announce_token();
CREATE TRIGGER record_end BEFORE DELETE ON x3sproxy.proxy_tokens FOR EACH ROW WHEN (((old.kind = 'deployment'::text) AND (NOT old.end_recorded) AND (old.expires_at <= now()))) EXECUTE FUNCTION x3sproxy.expire_deleted_token();
CREATE TRIGGER keep_spent AFTER DELETE ON x3sproxy.registrations FOR EACH ROW EXECUTE FUNCTION x3sproxy.keep_spent_registration();
CREATE TRIGGER announce AFTER INSERT OR DELETE ON x3sproxy.secret_versions FOR EACH ROW EXECUTE FUNCTION x3sproxy.announce_workspace();
CREATE TRIGGER announce_update AFTER UPDATE ON x3sproxy.secret_versions FOR EACH ROW WHEN (((new.key_id = old.key_id) OR ((((((new.secret_id IS DISTINCT FROM old.secret_id) OR (new.workspace_id IS DISTINCT FROM old.workspace_id)) OR (new.version IS DISTINCT FROM old.version)) OR (new.origin IS DISTINCT FROM old.origin)) OR (new.header IS DISTINCT FROM old.header)) OR (new.scheme IS DISTINCT FROM old.scheme)))) EXECUTE FUNCTION x3sproxy.announce_workspace();
CREATE TRIGGER place_credential BEFORE INSERT OR UPDATE ON x3sproxy.secret_versions FOR EACH ROW WHEN (((new.header IS NULL) OR (new.scheme IS NULL))) EXECUTE FUNCTION x3sproxy.place_credential();
CREATE TRIGGER announce AFTER INSERT OR DELETE OR UPDATE ON x3sproxy.secrets FOR EACH ROW EXECUTE FUNCTION x3sproxy.announce_workspace();
CREATE TRIGGER announce AFTER UPDATE ON x3sproxy.workspaces FOR EACH ROW EXECUTE FUNCTION x3sproxy.announce_workspace_row();
CREATE TRIGGER begin_audit_retention AFTER INSERT ON x3sproxy.workspaces FOR EACH ROW EXECUTE FUNCTION x3sproxy.begin_audit_retention();

policy own_workspace on x3sproxy.activity_agents PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.activity_calls PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.activity_contexts PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.activity_minutes PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.activity_versions PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.agent_first_uses PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.agents PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.api_keys PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.audit_checkpoints PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.audit_erasures PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.audit_events PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid) AND (action <> ALL (ARRAY['audit.prune'::text, 'audit.erase'::text]))));
policy own_workspace on x3sproxy.audit_leaves PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.audit_nodes PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.audit_pending PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.audit_retentions PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.deployment_requests PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.invitations PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.new_agent_scopes PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.providers PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.proxy_tokens PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.recovery_codes PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.registrations PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.resets PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.second_factors PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.secret_versions PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.secrets PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.sessions PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.spent_registrations PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.users PERMISSIVE for ALL to x3sproxy_control using ((workspace_id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);
policy own_workspace on x3sproxy.workspaces PERMISSIVE for ALL to x3sproxy_control using ((id = (NULLIF(current_setting('x3sproxy.workspace'::text, true), ''::text))::uuid)) with check (the same);

grant insert on column x3sproxy.audit_events.action to x3sproxy_control;
grant insert on column x3sproxy.audit_events.actor_id to x3sproxy_control;
grant insert on column x3sproxy.audit_events.actor_kind to x3sproxy_control;
grant insert on column x3sproxy.audit_events.actor_name to x3sproxy_control;
grant insert on column x3sproxy.audit_events.address to x3sproxy_control;
grant insert on column x3sproxy.audit_events.after_hash to x3sproxy_control;
grant insert on column x3sproxy.audit_events.before_hash to x3sproxy_control;
grant insert on column x3sproxy.audit_events.detail to x3sproxy_control;
grant insert on column x3sproxy.audit_events.method to x3sproxy_control;
grant insert on column x3sproxy.audit_events.result to x3sproxy_control;
grant insert on column x3sproxy.audit_events.target_id to x3sproxy_control;
grant insert on column x3sproxy.audit_events.target_kind to x3sproxy_control;
grant insert on column x3sproxy.audit_events.target_name to x3sproxy_control;
grant insert on column x3sproxy.audit_events.workspace_id to x3sproxy_control;
grant update on column x3sproxy.audit_retentions.days to x3sproxy_control;
grant update on column x3sproxy.proxy_tokens.expires_at to x3sproxy_control;
grant update on column x3sproxy.second_factors.newest_step to x3sproxy_control;
grant update on column x3sproxy.sessions.proved_at to x3sproxy_control;
grant update on column x3sproxy.workspaces.agents_suspended_at to x3sproxy_control;
grant update on column x3sproxy.workspaces.bytes_per_minute to x3sproxy_control;
grant update on column x3sproxy.workspaces.idle_days to x3sproxy_control;
grant update on column x3sproxy.workspaces.name to x3sproxy_control;
grant update on column x3sproxy.workspaces.open_streams to x3sproxy_control;
grant update on column x3sproxy.workspaces.open_websockets to x3sproxy_control;
grant update on column x3sproxy.workspaces.requests_per_minute to x3sproxy_control;
grant update on column x3sproxy.workspaces.rotation_days to x3sproxy_control;
grant update on column x3sproxy.workspaces.second_factor_required to x3sproxy_control;
grant update on column x3sproxy.workspaces.unused_days to x3sproxy_control;
grant execute on function x3sproxy.activate_master_key(text) to x3sproxy_control;
grant execute on function x3sproxy.add_activity(uuid,bigint,jsonb) to x3sproxy_proxy;
grant execute on function x3sproxy.add_calls(uuid,bigint,jsonb,jsonb,jsonb) to x3sproxy_proxy;
grant execute on function x3sproxy.agent_state(uuid) to x3sproxy_proxy;
grant execute on function x3sproxy.audit_days_in_force(integer,integer,timestamp with time zone) to x3sproxy_control;
grant execute on function x3sproxy.authenticate_api_key(bytea) to x3sproxy_control;
grant execute on function x3sproxy.authenticate_session(bytea) to x3sproxy_control;
grant execute on function x3sproxy.begin_attempt(bytea,bytea) to x3sproxy_control;
grant execute on function x3sproxy.count_refused_keys() to x3sproxy_control;
grant execute on function x3sproxy.create_workspace(uuid,text,bytea) to x3sproxy_control;
grant execute on function x3sproxy.delete_workspace(uuid,text) to x3sproxy_control;
grant execute on function x3sproxy.erase_person(text,text,uuid,text,text,text) to x3sproxy_control;
grant execute on function x3sproxy.expire_unused_tokens() to x3sproxy_control;
grant execute on function x3sproxy.figures(interval,interval[]) to x3sproxy_control;
grant execute on function x3sproxy.find_user(text) to x3sproxy_control;
grant execute on function x3sproxy.forget_process(text) to x3sproxy_control;
grant execute on function x3sproxy.key_refusals(uuid,text[]) to x3sproxy_control;
grant execute on function x3sproxy.latest_checkpoints() to x3sproxy_control;
grant execute on function x3sproxy.list_master_keys() to x3sproxy_control;
grant execute on function x3sproxy.list_process_keys() to x3sproxy_control;
grant execute on function x3sproxy.list_workspaces(text,integer,uuid) to x3sproxy_control;
grant execute on function x3sproxy.look_at_link(bytea) to x3sproxy_control;
grant execute on function x3sproxy.prune_activity(text,uuid,uuid) to x3sproxy_control;
grant execute on function x3sproxy.prune_audit(uuid) to x3sproxy_control;
grant execute on function x3sproxy.record_cuts(uuid,bigint,jsonb,text) to x3sproxy_proxy;
grant execute on function x3sproxy.record_expired_tokens() to x3sproxy_control;
grant execute on function x3sproxy.redeem_invitation(bytea) to x3sproxy_control;
grant execute on function x3sproxy.redeem_reset(bytea) to x3sproxy_control;
grant execute on function x3sproxy.redeem_setup_link(bytea) to x3sproxy_control;
grant execute on function x3sproxy.release_secret(bytea,uuid,integer,text,text) to x3sproxy_proxy;
grant execute on function x3sproxy.renew_grant(bytea,uuid[],text) to x3sproxy_proxy;
grant execute on function x3sproxy.renew_setup_link(uuid,bytea) to x3sproxy_control;
grant execute on function x3sproxy.report_keys(text,text[],text) to x3sproxy_control;
grant execute on function x3sproxy.resolve_token(bytea) to x3sproxy_proxy;
grant execute on function x3sproxy.settle_attempt(bytea,bytea,text) to x3sproxy_control;
grant execute on function x3sproxy.trade_registration(bytea,bytea,text) to x3sproxy_proxy;
grant execute on function x3sproxy.unsealed_workspaces() to x3sproxy_control;
grant usage on schema x3sproxy to x3sproxy_control;
grant usage on schema x3sproxy to x3sproxy_proxy;
grant select on table x3sproxy.activity_agents to x3sproxy_control;
grant select on table x3sproxy.activity_calls to x3sproxy_control;
grant select on table x3sproxy.activity_contexts to x3sproxy_control;
grant select on table x3sproxy.activity_minutes to x3sproxy_control;
grant select on table x3sproxy.activity_versions to x3sproxy_control;
grant select on table x3sproxy.agent_first_uses to x3sproxy_control;
grant delete, insert, select, update on table x3sproxy.agents to x3sproxy_control;
grant delete, insert, select, update on table x3sproxy.api_keys to x3sproxy_control;
grant insert, select on table x3sproxy.audit_checkpoints to x3sproxy_control;
grant select on table x3sproxy.audit_erasures to x3sproxy_control;
grant select on table x3sproxy.audit_events to x3sproxy_control;
grant insert, select on table x3sproxy.audit_leaves to x3sproxy_control;
grant insert, select on table x3sproxy.audit_nodes to x3sproxy_control;
grant delete, select on table x3sproxy.audit_pending to x3sproxy_control;
grant select on table x3sproxy.audit_retentions to x3sproxy_control;
grant delete, insert, select on table x3sproxy.deployment_requests to x3sproxy_control;
grant delete, insert, select on table x3sproxy.invitations to x3sproxy_control;
grant select on table x3sproxy.master_keys to x3sproxy_control;
grant delete, insert, select, update on table x3sproxy.new_agent_scopes to x3sproxy_control;
grant delete, insert, select, update on table x3sproxy.providers to x3sproxy_control;
grant delete, insert, select on table x3sproxy.proxy_tokens to x3sproxy_control;
grant delete, insert, select on table x3sproxy.recovery_codes to x3sproxy_control;
grant delete, insert, select on table x3sproxy.registrations to x3sproxy_control;
grant delete, insert, select on table x3sproxy.resets to x3sproxy_control;
grant delete, insert, select on table x3sproxy.second_factors to x3sproxy_control;
grant delete, insert, select on table x3sproxy.secret_versions to x3sproxy_control;
grant delete, insert, select, update on table x3sproxy.secrets to x3sproxy_control;
grant delete, insert, select on table x3sproxy.sessions to x3sproxy_control;
grant select on table x3sproxy.spent_registrations to x3sproxy_control;
grant delete, insert, select, update on table x3sproxy.users to x3sproxy_control;
grant select on table x3sproxy.workspaces to x3sproxy_control;
