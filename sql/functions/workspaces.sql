-- Workspaces, from the home workspace.

-- Whether the transaction's workspace is home. For the functions below.
create or replace function x3sproxy.at_home() returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from x3sproxy.workspaces where home and id = nullif(current_setting('x3sproxy.workspace', true), '')::uuid)
$$;

-- All workspaces; from anywhere but home, only the transaction's own.
create or replace function x3sproxy.list_workspaces(after_name text default '', most integer default null, only_id uuid default null)
returns table (id uuid, name text, home boolean, created_at timestamptz, users bigint, agents bigint, secrets bigint, setup_ends_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
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
$$;

-- Makes a workspace and the link for its first user; returns when the link ends. Null, and nothing is made, from anywhere but home.
create or replace function x3sproxy.create_workspace(new_id uuid, new_name text, link_hash bytea) returns timestamptz
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
create or replace function x3sproxy.renew_setup_link(of_workspace uuid, link_hash bytea) returns timestamptz
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

-- Deletes a workspace of this name with all that is in it but its audit and its minutes of activity. False,
-- and nothing is deleted, from anywhere but home, for home itself, and when there is no such workspace.
create or replace function x3sproxy.delete_workspace(of_workspace uuid, of_name text) returns boolean
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

revoke all on function x3sproxy.at_home, x3sproxy.list_workspaces, x3sproxy.create_workspace, x3sproxy.renew_setup_link,
  x3sproxy.delete_workspace from public, x3sproxy_control, x3sproxy_proxy;
grant execute on function x3sproxy.list_workspaces, x3sproxy.create_workspace, x3sproxy.renew_setup_link,
  x3sproxy.delete_workspace to x3sproxy_control;
