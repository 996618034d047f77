-- Several master keys. One is active: new values are sealed under it, by all processes. What is sealed under another one is rewrapped.

alter table x3sproxy.master_keys
  add column active boolean not null default false,
  add column activated_at timestamptz,
  add column rotated_at timestamptz, -- since when nothing is sealed under another key; null: something may be
  add column rewrapped bigint not null default 0, -- values that came to this key from others
  add column unreadable bigint not null default 0; -- values under other keys that the last round could not open
update x3sproxy.master_keys set active = true, activated_at = created_at, rotated_at = created_at
  where key_id = (select k.key_id from x3sproxy.master_keys k order by k.created_at limit 1);
create unique index master_keys_active on x3sproxy.master_keys (active) where active;

create index secret_versions_key on x3sproxy.secret_versions (key_id, secret_id, version);
create index second_factors_key on x3sproxy.second_factors (key_id, user_id);

-- Which process holds which keys, and under which of them it has sealed for a while. A process that ends takes its row along.
create table x3sproxy.process_keys (
  process text primary key check (process ~ '^[0-9a-f]{12}$'),
  key_ids text[] not null check (cardinality(key_ids) between 1 and 100),
  seals_with text not null,
  started_at timestamptz not null default now(),
  seen_at timestamptz not null default now()
);

-- A process says that it is there; returns the active key, and whether something may be left under another one. Writes no more often
-- than every ten seconds, unless something is new.
create function x3sproxy.report_keys(of_process text, held text[], sealing_with text)
returns table (active_key text, rotating boolean)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
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
end $$;

create function x3sproxy.forget_process(of_process text) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  delete from x3sproxy.process_keys where process = of_process
$$;

-- Makes another key the active one. `done`, or why not: home_workspace_only, unknown, active (it is already), not_held (by each process
-- that was seen within the last minute). Waits for processes that start: each registers under the same lock.
create function x3sproxy.activate_master_key(to_key text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
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
end $$;

-- The keys, and how many values are sealed under each. Nothing from anywhere but home.
create function x3sproxy.list_master_keys()
returns table (key_id text, active boolean, created_at timestamptz, activated_at timestamptz, rotated_at timestamptz,
  rewrapped bigint, unreadable bigint, sealed bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select k.key_id, k.active, k.created_at, k.activated_at, k.rotated_at, k.rewrapped, k.unreadable,
    (select count(*) from x3sproxy.secret_versions v where v.key_id = k.key_id)
    + (select count(*) from x3sproxy.second_factors f where f.key_id = k.key_id)
    + (select count(*) from x3sproxy.sealed_keys s where s.key_id = k.key_id)
  from x3sproxy.master_keys k where x3sproxy.at_home() order by k.created_at, k.key_id
$$;

-- The processes that were seen within the last minute. Nothing from anywhere but home.
create function x3sproxy.list_process_keys()
returns table (process text, key_ids text[], seals_with text, started_at timestamptz, seen_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select p.process, p.key_ids, p.seals_with, p.started_at, p.seen_at
  from x3sproxy.process_keys p
  where x3sproxy.at_home() and p.seen_at > now() - interval '1 minute' order by p.started_at, p.process
$$;

-- A value that is rewrapped is the same value: whoever remembers it may go on. Rewrapping always changes the key's id; whatever else
-- changes is announced as before.
drop trigger announce on x3sproxy.secret_versions;
create trigger announce after insert or delete on x3sproxy.secret_versions
  for each row execute function x3sproxy.announce_workspace();
create trigger announce_update after update on x3sproxy.secret_versions
  for each row when (new.key_id = old.key_id
    or (new.secret_id, new.workspace_id, new.version, new.origin) is distinct from (old.secret_id, old.workspace_id, old.version, old.origin))
  execute function x3sproxy.announce_workspace();

revoke all on x3sproxy.process_keys from public;
revoke all on function x3sproxy.report_keys(text, text[], text), x3sproxy.forget_process(text), x3sproxy.activate_master_key(text),
  x3sproxy.list_master_keys(), x3sproxy.list_process_keys() from public;
grant execute on function x3sproxy.report_keys(text, text[], text), x3sproxy.forget_process(text), x3sproxy.activate_master_key(text),
  x3sproxy.list_master_keys(), x3sproxy.list_process_keys() to x3sproxy_control;
