-- Which master keys each process holds, which one is active, and where a credential saved by an older version goes.

-- A process says that it is there; returns the active key, and whether something may be left under another one. Writes no more often
-- than every ten seconds, unless something is new.
create or replace function x3sproxy.report_keys(of_process text, held text[], sealing_with text)
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

create or replace function x3sproxy.forget_process(of_process text) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  delete from x3sproxy.process_keys where process = of_process
$$;

-- Makes another key the active one. `done`, or why not: home_workspace_only, unknown, active (it is already), not_held (by each process
-- that was seen within the last minute). Waits for processes that start: each registers under the same lock.
create or replace function x3sproxy.activate_master_key(to_key text) returns text
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
create or replace function x3sproxy.list_master_keys()
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
create or replace function x3sproxy.list_process_keys()
returns table (process text, key_ids text[], seals_with text, started_at timestamptz, seen_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select p.process, p.key_ids, p.seals_with, p.started_at, p.seen_at
  from x3sproxy.process_keys p
  where x3sproxy.at_home() and p.seen_at > now() - interval '1 minute' order by p.started_at, p.process
$$;

-- For a value that was sealed without them, and for one that a process of the version before saves while it still runs: what the
-- provider's are as of now. Empty when there is no such provider, so that the key goes nowhere until it is saved again.
create or replace function x3sproxy.place_credential() returns trigger
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

revoke all on function x3sproxy.report_keys, x3sproxy.forget_process, x3sproxy.activate_master_key, x3sproxy.list_master_keys,
  x3sproxy.list_process_keys, x3sproxy.place_credential from public, x3sproxy_control, x3sproxy_proxy;
grant execute on function x3sproxy.report_keys, x3sproxy.forget_process, x3sproxy.activate_master_key, x3sproxy.list_master_keys,
  x3sproxy.list_process_keys to x3sproxy_control;
