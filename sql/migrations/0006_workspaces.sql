-- More than one workspace. One is the installation's home: its owners make further ones and delete them, by functions of the owner's
-- that look at the workspace of the transaction. Called from another, they see that one alone and change nothing.
alter table x3sproxy.workspaces add column home boolean not null default false;
update x3sproxy.workspaces set home = true
  where id = (select id from x3sproxy.workspaces order by created_at, id limit 1);
create unique index workspaces_home on x3sproxy.workspaces (home) where home;

-- What was done in a workspace outlives it: events name their workspace and do not refer to it.
alter table x3sproxy.audit_events drop constraint audit_events_workspace_id_fkey;

-- Whether the transaction's workspace is home. For the functions below.
create function x3sproxy.at_home() returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from x3sproxy.workspaces where home and id = nullif(current_setting('x3sproxy.workspace', true), '')::uuid)
$$;

-- All workspaces; from anywhere but home, only the transaction's own.
create function x3sproxy.list_workspaces()
returns table (id uuid, name text, home boolean, created_at timestamptz, users bigint, agents bigint, secrets bigint,
  setup_ends_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select w.id, w.name, w.home, w.created_at,
    (select count(*) from x3sproxy.users u where u.workspace_id = w.id),
    (select count(*) from x3sproxy.agents a where a.workspace_id = w.id),
    (select count(*) from x3sproxy.secrets s where s.workspace_id = w.id),
    (select max(l.expires_at) from x3sproxy.setup_links l where l.workspace_id = w.id
      and not exists (select from x3sproxy.users u where u.workspace_id = w.id))
  from x3sproxy.workspaces w
  where w.id = nullif(current_setting('x3sproxy.workspace', true), '')::uuid or x3sproxy.at_home()
$$;

-- Makes a workspace and the link for its first user; returns when the link ends. Null, and nothing is made, from anywhere but home.
create function x3sproxy.create_workspace(new_id uuid, new_name text, link_hash bytea) returns timestamptz
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare ends_at timestamptz := now() + interval '72 hours';
begin
  if not x3sproxy.at_home() then return null; end if;
  insert into x3sproxy.workspaces (id, name) values (new_id, new_name);
  insert into x3sproxy.setup_links (hash, workspace_id, expires_at) values (link_hash, new_id, ends_at);
  return ends_at;
end $$;

-- Puts another link in the place of a workspace's; returns when it ends. Null from anywhere but home, for a workspace that has a user
-- and for one that there is not.
create function x3sproxy.renew_setup_link(of_workspace uuid, link_hash bytea) returns timestamptz
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
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
end $$;

-- Deletes a workspace of this name with all that is in it but its audit and its minutes of activity. False, and nothing is deleted, from anywhere but home, for home
-- itself, and when there is no such workspace.
create function x3sproxy.delete_workspace(of_workspace uuid, of_name text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not x3sproxy.at_home() then return false; end if;
  perform from x3sproxy.workspaces where id = of_workspace and name = of_name and not home;
  if not found then return false; end if;
  -- First, in the order of whoever uses the link, so that neither waits for the other in a ring.
  delete from x3sproxy.setup_links where workspace_id = of_workspace;
  delete from x3sproxy.workspaces where id = of_workspace and name = of_name and not home;
  return found;
end $$;

-- A workspace may have millions of minutes, more than one statement could delete in its time: they stay, seen by nobody, until
-- prune_activity comes to them.
alter table x3sproxy.activity_minutes drop constraint activity_minutes_workspace_id_fkey;
create or replace function x3sproxy.prune_activity() returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  gone uuid[];
  pruned bigint;
  orphaned bigint;
begin
  if not pg_try_advisory_xact_lock(7233003) then return 0; end if;
  delete from x3sproxy.activity_minutes where ctid = any (array(
    select ctid from x3sproxy.activity_minutes where minute < now() - interval '35 days' limit 5000));
  get diagnostics pruned = row_count;
  -- From each workspace to the next along the primary key, without reading what lies between.
  with recursive named (id) as (
    (select m.workspace_id from x3sproxy.activity_minutes m order by m.workspace_id limit 1)
    union all
    select (select m.workspace_id from x3sproxy.activity_minutes m where m.workspace_id > n.id
      order by m.workspace_id limit 1)
    from named n where n.id is not null)
  select array_agg(n.id) into gone from named n
  where n.id is not null and not exists (select from x3sproxy.workspaces w where w.id = n.id);
  delete from x3sproxy.activity_minutes where ctid = any (array(
    select ctid from x3sproxy.activity_minutes where workspace_id = any (gone) limit 5000));
  get diagnostics orphaned = row_count;
  delete from x3sproxy.activity_versions where last_used_at < now() - interval '35 days';
  delete from x3sproxy.activity_agents u where not exists (
    select from x3sproxy.agents a where a.id = u.agent_id and a.workspace_id = u.workspace_id);
  delete from x3sproxy.activity_writers where wrote_at < now() - interval '1 day';
  return pruned + orphaned;
end $$;

revoke all on function x3sproxy.at_home(), x3sproxy.list_workspaces(), x3sproxy.create_workspace(uuid, text, bytea),
  x3sproxy.renew_setup_link(uuid, bytea), x3sproxy.delete_workspace(uuid, text) from public;
grant execute on function x3sproxy.list_workspaces(), x3sproxy.create_workspace(uuid, text, bytea),
  x3sproxy.renew_setup_link(uuid, bytea), x3sproxy.delete_workspace(uuid, text) to x3sproxy_control;
