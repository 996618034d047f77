-- Signing in: attempts and their limits, sessions, API keys, and links that are used once.

-- Counts a try, under `of_known` if that has been made known, else under `of_subject`; which one is `subject`. `wait_s` above 0: there
-- have been too many, and nothing was counted. `note`: that is to be written down.
create or replace function x3sproxy.begin_attempt(of_subject bytea, of_known bytea,
  out subject bytea, out wait_s integer, out note boolean)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
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
end $$;

-- Says how a try ended; `of_known` is known from then on if it succeeded.
create or replace function x3sproxy.settle_attempt(of_subject bytea, of_known bytea, outcome text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
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
end $$;

-- Who signs in with this address (lower-case). The hash of the password is for one comparison.
create or replace function x3sproxy.find_user(user_email text)
returns table (id uuid, workspace_id uuid, email text, password_hash text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select u.id, u.workspace_id, u.email, u.password_hash from x3sproxy.users u where lower(u.email) = user_email
$$;

-- Whose session this is, if it is live, as things stand now; and that it was used.
create or replace function x3sproxy.authenticate_session(session_hash bytea)
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

-- Whose API key this is; comes before a workspace is known.
create or replace function x3sproxy.authenticate_api_key(key_hash bytea)
returns table (id uuid, workspace_id uuid, name text, role text, agents text[], allowed_addresses text[],
  limited boolean, used_lately boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select k.id, k.workspace_id, k.name, k.role, k.agents, k.allowed_addresses, k.requests_per_minute is not null,
    coalesce(k.last_used_at > now() - interval '1 minute', false)
  from x3sproxy.api_keys k
  where k.hash = key_hash and (k.expires_at is null or k.expires_at > now())
$$;

-- What a one-time link is for, without using it up. needs_code: whether a second factor has to be shown, too.
create or replace function x3sproxy.look_at_link(link_hash bytea)
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
create or replace function x3sproxy.redeem_invitation(link_hash bytea)
returns table (id uuid, workspace_id uuid, email text, role text, agents text[])
language sql security definer set search_path = pg_catalog, pg_temp as $$
  delete from x3sproxy.invitations i where i.hash = link_hash and i.expires_at > now()
  returning i.id, i.workspace_id, i.email, i.role, i.agents
$$;

create or replace function x3sproxy.redeem_reset(link_hash bytea)
returns table (user_id uuid, workspace_id uuid, second_factor boolean)
language sql security definer set search_path = pg_catalog, pg_temp as $$
  delete from x3sproxy.resets r where r.hash = link_hash and r.expires_at > now()
  returning r.user_id, r.workspace_id, r.second_factor
$$;

create or replace function x3sproxy.redeem_setup_link(link_hash bytea) returns uuid
language sql security definer set search_path = pg_catalog, pg_temp as $$
  delete from x3sproxy.setup_links where hash = link_hash and expires_at > now() returning workspace_id
$$;

revoke all on function x3sproxy.begin_attempt, x3sproxy.settle_attempt, x3sproxy.find_user, x3sproxy.authenticate_session,
  x3sproxy.authenticate_api_key, x3sproxy.look_at_link, x3sproxy.redeem_invitation, x3sproxy.redeem_reset,
  x3sproxy.redeem_setup_link from public, x3sproxy_control, x3sproxy_proxy;
grant execute on function x3sproxy.begin_attempt, x3sproxy.settle_attempt, x3sproxy.find_user, x3sproxy.authenticate_session,
  x3sproxy.authenticate_api_key, x3sproxy.look_at_link, x3sproxy.redeem_invitation, x3sproxy.redeem_reset,
  x3sproxy.redeem_setup_link to x3sproxy_control;
