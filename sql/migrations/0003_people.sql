-- People: what a user may do, second factors, sessions, invitations, resets, limits on guessing; what API keys are held to.
-- The control role stays confined to its workspace. What comes before a workspace is known (who is this session, this e-mail
-- address, this link; has this client tried too often) is a function of the owner's that gives one answer and no table.

alter table x3sproxy.workspaces
  add column second_factor_required boolean not null default false,
  add column rotation_days integer not null default 90 check (rotation_days between 1 and 3650),
  add column idle_days integer not null default 14 check (idle_days between 1 and 3650);

-- agents, here and below: the names of those that the role is limited to; null: it is not.
alter table x3sproxy.users
  add column agents text[],
  add column last_sign_in_at timestamptz,
  add constraint users_agents_check check (agents is null or role in ('viewer', 'operator')),
  add constraint users_id_workspace_id_key unique (id, workspace_id);

alter table x3sproxy.api_keys
  add column agents text[],
  add column allowed_addresses text[] not null default '{}', -- blocks in CIDR form; empty: from everywhere
  add column requests_per_minute integer check (requests_per_minute > 0),
  add column last_used_at timestamptz, -- to the minute
  add column window_started_at timestamptz, -- the minute that is being counted
  add column window_requests integer not null default 0,
  add constraint api_keys_agents_check check (agents is null or role in ('viewer', 'operator'));

-- A seed exists only here, sealed as a secret's version is. A code works once: newest_step is the time step (RFC 6238) of the
-- newest code that was used, and codes of that step and of earlier ones are refused.
create table x3sproxy.second_factors (
  user_id uuid primary key,
  workspace_id uuid not null,
  key_id text not null references x3sproxy.master_keys,
  wrapped_key bytea not null,
  ciphertext bytea not null,
  newest_step bigint not null,
  created_at timestamptz not null default now(),
  foreign key (user_id, workspace_id) references x3sproxy.users (id, workspace_id) on delete cascade
);

-- Deleted as they are used. A hash is of the user and the code.
create table x3sproxy.recovery_codes (
  hash bytea primary key check (octet_length(hash) = 32),
  workspace_id uuid not null,
  user_id uuid not null,
  created_at timestamptz not null default now(),
  foreign key (user_id, workspace_id) references x3sproxy.users (id, workspace_id) on delete cascade
);
create index recovery_codes_user on x3sproxy.recovery_codes (user_id);

-- A session ends at ends_at, and after half an hour in which it was not used. A new value is a new row.
create table x3sproxy.sessions (
  id uuid primary key,
  workspace_id uuid not null,
  user_id uuid not null,
  hash bytea not null unique check (octet_length(hash) = 32),
  created_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(), -- to the minute
  proved_at timestamptz not null default now(), -- when the user last gave a password or a code
  ends_at timestamptz not null default now() + interval '12 hours',
  address text check (length(address) <= 100),
  user_agent text check (length(user_agent) <= 300),
  foreign key (user_id, workspace_id) references x3sproxy.users (id, workspace_id) on delete cascade
);
create index sessions_user on x3sproxy.sessions (user_id);

create table x3sproxy.invitations (
  id uuid primary key,
  workspace_id uuid not null references x3sproxy.workspaces on delete cascade,
  hash bytea not null unique check (octet_length(hash) = 32),
  email text not null check (length(email) <= 254),
  role text not null check (role in ('viewer', 'operator', 'admin', 'owner', 'auditor')),
  agents text[],
  invited_by text not null check (length(invited_by) <= 300),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null default now() + interval '72 hours',
  unique (workspace_id, email),
  check (agents is null or role in ('viewer', 'operator'))
);

-- At most one reset a user.
create table x3sproxy.resets (
  user_id uuid primary key,
  workspace_id uuid not null,
  hash bytea not null unique check (octet_length(hash) = 32),
  second_factor boolean not null, -- whether it takes the second factor away, too
  created_at timestamptz not null default now(),
  expires_at timestamptz not null default now() + interval '24 hours',
  foreign key (user_id, workspace_id) references x3sproxy.users (id, workspace_id) on delete cascade
);

-- Guesses. Networks and accounts are kept as hashes, those of accounts that don't exist like those that do.
create table x3sproxy.network_attempts (
  network bytea primary key check (octet_length(network) = 32),
  recent timestamptz[] not null default '{}', -- of the last minute, oldest first
  touched_at timestamptz not null default now()
);
create index network_attempts_touched on x3sproxy.network_attempts (touched_at);

-- A subject is an account, or an account at a network from which it has signed in before (known): the delay that strangers bring
-- upon an account does not hold up its user at home.
create table x3sproxy.account_attempts (
  subject bytea primary key check (octet_length(subject) = 32),
  known boolean not null default false,
  tries integer not null default 0, -- since the last that succeeded
  next_at timestamptz not null default '-infinity',
  touched_at timestamptz not null default now()
);
create index account_attempts_touched on x3sproxy.account_attempts (touched_at);

-- Counts a try before its outcome is known: 5 a minute for a network; for an account 5 at once, and then after 1, 2, 4 … s up to a
-- quarter of an hour each. wait_s is 0 when it may go on, else how long to wait, and then nothing was counted. A row is held from
-- its first reading to the end, so that tries at the same time come one after the other, the network's row always first.
create function x3sproxy.begin_attempt(of_network bytea, of_account bytea, of_place bytea,
  out subject bytea, out wait_s integer)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  at_network x3sproxy.network_attempts;
  at_account x3sproxy.account_attempts;
  t timestamptz;
begin
  insert into x3sproxy.network_attempts (network) values (of_network) on conflict do nothing;
  select * into at_network from x3sproxy.network_attempts where network = of_network for update;
  subject := coalesce(
    (select a.subject from x3sproxy.account_attempts a where a.subject = of_place and a.known), of_account);
  insert into x3sproxy.account_attempts (subject) values (begin_attempt.subject) on conflict do nothing;
  select * into at_account from x3sproxy.account_attempts a where a.subject = begin_attempt.subject for update;

  t := clock_timestamp();
  at_network.recent := array(
    select r from unnest(at_network.recent) r where r > t - interval '1 minute' order by r);
  wait_s := ceil(greatest(
    case when cardinality(at_network.recent) >= 5
      then extract(epoch from at_network.recent[cardinality(at_network.recent) - 4] + interval '1 minute' - t) else 0 end,
    case when at_account.next_at > t then extract(epoch from at_account.next_at - t) else 0 end));
  if wait_s > 0 then return; end if;
  update x3sproxy.network_attempts set recent = at_network.recent || t, touched_at = t where network = of_network;
  update x3sproxy.account_attempts a set tries = a.tries + 1, touched_at = t, next_at = case
      when a.tries + 1 < 5 then '-infinity'
      else t + least(900, 2 ^ least(a.tries + 1 - 5, 10)) * interval '1 second' end
    where a.subject = begin_attempt.subject;

  -- What is of no use any more, a little at a time. Last, and passing over what is held: nobody waits for this with something held.
  delete from x3sproxy.network_attempts where network in (
    select network from x3sproxy.network_attempts where touched_at < clock_timestamp() - interval '1 minute'
    order by touched_at limit 10 for update skip locked);
  delete from x3sproxy.account_attempts a where a.subject in (
    select o.subject from x3sproxy.account_attempts o
    where o.touched_at < clock_timestamp() - interval '1 day' and not o.known
      or o.touched_at < clock_timestamp() - interval '90 days'
    order by o.touched_at limit 10 for update skip locked);
end $$;

-- Says how a try ended. succeeded: it no longer counts, nor do those of its account before it; with known, its place is one from
-- which the account signs in. undecided: it is taken back. failed: it stays (and costs as much time as the others).
create function x3sproxy.settle_attempt(of_network bytea, of_subject bytea, of_place bytea, outcome text, known boolean)
returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update x3sproxy.network_attempts set
    recent = case when outcome = 'failed' then recent else trim_array(recent, least(1, cardinality(recent))) end
    where network = of_network;
  update x3sproxy.account_attempts a set
    tries = case outcome when 'failed' then a.tries when 'undecided' then greatest(0, a.tries - 1) else 0 end,
    next_at = case when outcome = 'failed' or outcome = 'undecided' and a.tries > 5 then a.next_at else '-infinity' end,
    touched_at = clock_timestamp()
    where a.subject = of_subject;
  if settle_attempt.known and outcome = 'succeeded' then
    insert into x3sproxy.account_attempts (subject, known) values (of_place, true)
    on conflict (subject) do update set known = true, touched_at = excluded.touched_at;
  end if;
end $$;

-- Who signs in with this address (lower-case). The hash of the password is for one comparison.
create function x3sproxy.find_user(user_email text)
returns table (id uuid, workspace_id uuid, email text, password_hash text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select u.id, u.workspace_id, u.email, u.password_hash from x3sproxy.users u where lower(u.email) = user_email
$$;

-- Whose session this is, if it is live, as things stand now; and that it was used.
create function x3sproxy.authenticate_session(session_hash bytea)
returns table (id uuid, user_id uuid, workspace_id uuid, email text, role text, agents text[],
  proved_at timestamptz, ends_at timestamptz, fresh boolean, must_enrol boolean)
language sql security definer set search_path = pg_catalog, pg_temp as $$
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
$$;

-- The same for API keys, now with what a key is held to. used_lately: whether its use within the last minute is recorded.
drop function x3sproxy.authenticate_api_key(bytea);
create function x3sproxy.authenticate_api_key(key_hash bytea)
returns table (id uuid, workspace_id uuid, name text, role text, agents text[], allowed_addresses text[],
  limited boolean, used_lately boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select k.id, k.workspace_id, k.name, k.role, k.agents, k.allowed_addresses, k.requests_per_minute is not null,
    coalesce(k.last_used_at > now() - interval '1 minute', false)
  from x3sproxy.api_keys k
  where k.hash = key_hash and (k.expires_at is null or k.expires_at > now())
$$;

-- What a one-time link is for, without using it up. needs_code: whether a second factor has to be shown, too.
create function x3sproxy.look_at_link(link_hash bytea)
returns table (kind text, email text, role text, workspace_id uuid, user_id uuid, needs_code boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
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
$$;

-- Use an invitation or a reset up: one caller gets the row, and gives it back by rolling back.
create function x3sproxy.redeem_invitation(link_hash bytea)
returns table (id uuid, workspace_id uuid, email text, role text, agents text[])
language sql security definer set search_path = pg_catalog, pg_temp as $$
  delete from x3sproxy.invitations i where i.hash = link_hash and i.expires_at > now()
  returning i.id, i.workspace_id, i.email, i.role, i.agents
$$;
create function x3sproxy.redeem_reset(link_hash bytea)
returns table (user_id uuid, workspace_id uuid, second_factor boolean)
language sql security definer set search_path = pg_catalog, pg_temp as $$
  delete from x3sproxy.resets r where r.hash = link_hash and r.expires_at > now()
  returning r.user_id, r.workspace_id, r.second_factor
$$;

revoke all on x3sproxy.second_factors, x3sproxy.recovery_codes, x3sproxy.sessions, x3sproxy.invitations, x3sproxy.resets,
  x3sproxy.network_attempts, x3sproxy.account_attempts from public;
revoke all on all functions in schema x3sproxy from public;
grant execute on function x3sproxy.begin_attempt(bytea, bytea, bytea),
  x3sproxy.settle_attempt(bytea, bytea, bytea, text, boolean), x3sproxy.find_user(text),
  x3sproxy.authenticate_session(bytea), x3sproxy.authenticate_api_key(bytea), x3sproxy.look_at_link(bytea),
  x3sproxy.redeem_invitation(bytea), x3sproxy.redeem_reset(bytea) to x3sproxy_control;

grant update (name, second_factor_required, rotation_days, idle_days) on x3sproxy.workspaces to x3sproxy_control;
grant select, insert, delete on x3sproxy.second_factors, x3sproxy.recovery_codes, x3sproxy.sessions,
  x3sproxy.invitations, x3sproxy.resets to x3sproxy_control;
grant update (newest_step) on x3sproxy.second_factors to x3sproxy_control;
grant update (proved_at) on x3sproxy.sessions to x3sproxy_control;

do $$ declare t text; begin
  foreach t in array array['second_factors', 'recovery_codes', 'sessions', 'invitations', 'resets']
  loop
    execute format('alter table x3sproxy.%I enable row level security', t);
    execute format('create policy own_workspace on x3sproxy.%I to x3sproxy_control
      using (workspace_id = nullif(current_setting(''x3sproxy.workspace'', true), '''')::uuid)', t);
  end loop;
end $$;
