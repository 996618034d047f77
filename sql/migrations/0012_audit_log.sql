-- The audit as a log that nobody can quietly edit: events are sealed, in the order of their ids, as the leaves of one Merkle tree
-- (RFC 6962) a workspace. What makes up the tree is only ever added to.

-- What of an event is about a person goes into its leaf as two commitments, each over a salt of its own. With its salt gone a part
-- can be forgotten: the commitment stays, and tells nothing.
alter table x3sproxy.audit_events
  add column actor_salt uuid default gen_random_uuid(), -- null: actor and address were erased
  add column target_salt uuid default gen_random_uuid(), -- null: the target was erased
  add column detail text check (length(detail) <= 1000), -- JSON: a flat object, and nothing of a person
  drop constraint audit_events_actor_kind_check,
  add constraint audit_events_actor_kind_check check (actor_kind in ('user', 'api_key', 'link', 'service', 'agent'));

-- Events that wait to be sealed.
create table x3sproxy.audit_pending (
  event_id bigint primary key,
  workspace_id uuid not null,
  created_at timestamptz not null
);
create index audit_pending_workspace on x3sproxy.audit_pending (workspace_id, event_id);
insert into x3sproxy.audit_pending (event_id, workspace_id, created_at)
  select id, workspace_id, created_at from x3sproxy.audit_events;
create function x3sproxy.await_sealing() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into x3sproxy.audit_pending (event_id, workspace_id, created_at) values (new.id, new.workspace_id, new.created_at);
  return null;
end $$;
create trigger await_sealing after insert on x3sproxy.audit_events
  for each row execute function x3sproxy.await_sealing();

-- The leaves, in their order. A leaf outlives the event that it stands for.
create table x3sproxy.audit_leaves (
  workspace_id uuid not null,
  leaf_index bigint not null check (leaf_index >= 0),
  event_id bigint not null unique,
  leaf_hash bytea not null check (octet_length(leaf_hash) = 32),
  actor_commitment bytea not null check (octet_length(actor_commitment) = 32),
  target_commitment bytea not null check (octet_length(target_commitment) = 32),
  primary key (workspace_id, leaf_index)
);

-- The hashes of full subtrees of 256 leaves (level 8), of 256 of these (level 16), and so on.
create table x3sproxy.audit_nodes (
  workspace_id uuid not null,
  level smallint not null check (level > 0 and level % 8 = 0),
  node_index bigint not null check (node_index >= 0),
  hash bytea not null check (octet_length(hash) = 32),
  primary key (workspace_id, level, node_index)
);

-- The signed tree heads (C2SP signed notes).
create table x3sproxy.audit_checkpoints (
  workspace_id uuid not null,
  size bigint not null check (size > 0),
  note text not null,
  created_at timestamptz not null default now(),
  primary key (workspace_id, size)
);

-- Which parts of which events an erasure took, so that an erased part can be told from one that somebody blanked. The event of the
-- erasure itself holds a hash of the list.
create table x3sproxy.audit_erasures (
  workspace_id uuid not null,
  leaf_index bigint not null,
  part text not null check (part in ('actor', 'target')),
  erasure_event_id bigint not null,
  primary key (workspace_id, leaf_index, part)
);

-- Keys of the service itself, sealed under the master key: the one that signs the audit's checkpoints.
create table x3sproxy.sealed_keys (
  name text primary key,
  key_id text not null references x3sproxy.master_keys,
  wrapped_key bytea not null,
  ciphertext bytea not null
);

-- Which workspaces have events that wait.
create function x3sproxy.unsealed_workspaces() returns setof uuid
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  with recursive waiting (id) as (
    (select p.workspace_id from x3sproxy.audit_pending p order by p.workspace_id limit 1)
    union all
    select (select p.workspace_id from x3sproxy.audit_pending p where p.workspace_id > w.id order by p.workspace_id limit 1)
    from waiting w where w.id is not null
  )
  select id from waiting where id is not null
$$;

revoke all on x3sproxy.audit_pending, x3sproxy.audit_leaves, x3sproxy.audit_nodes, x3sproxy.audit_checkpoints,
  x3sproxy.audit_erasures, x3sproxy.sealed_keys from public;
revoke all on function x3sproxy.unsealed_workspaces(), x3sproxy.await_sealing() from public;
grant execute on function x3sproxy.unsealed_workspaces() to x3sproxy_control;
grant select, delete on x3sproxy.audit_pending to x3sproxy_control;
grant select, insert on x3sproxy.audit_leaves, x3sproxy.audit_nodes, x3sproxy.audit_checkpoints to x3sproxy_control;
grant select on x3sproxy.audit_erasures to x3sproxy_control;
do $$ declare t text; begin
  foreach t in array array['audit_pending', 'audit_leaves', 'audit_nodes', 'audit_checkpoints', 'audit_erasures']
  loop
    execute format('alter table x3sproxy.%I enable row level security', t);
    execute format('create policy own_workspace on x3sproxy.%I to x3sproxy_control
      using (workspace_id = nullif(current_setting(''x3sproxy.workspace'', true), '''')::uuid)', t);
  end loop;
end $$;
