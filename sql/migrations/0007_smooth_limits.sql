-- What an API key has used up, as one moment instead of a window (the generic cell rate algorithm): each request moves used_until on
-- by its share of a minute, from now at the earliest, and is refused where that would lead more than a minute ahead. So an unused key
-- has its requests of a minute at once, then one after each share of a minute, and no edge at which it has them twice.
alter table x3sproxy.api_keys
  drop column window_started_at,
  drop column window_requests,
  add column used_until timestamptz; -- null: nothing yet

-- When a refusal of a try at this subject was last told to be written down; as if never, once a try goes on.
alter table x3sproxy.account_attempts
  add column refusal_noted_at timestamptz not null default '-infinity';

-- As before, and of a refusal also whether to write it down: the first one after a try that went on, and one in each hour after it. So
-- the refusals of a subject that are written down are hardly more than its tries, from however many networks they come.
drop function x3sproxy.begin_attempt(bytea, bytea, bytea);
create function x3sproxy.begin_attempt(of_network bytea, of_account bytea, of_place bytea,
  out subject bytea, out wait_s integer, out note boolean)
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
  note := wait_s > 0 and at_account.refusal_noted_at < t - interval '1 hour';
  if note then
    update x3sproxy.account_attempts a set refusal_noted_at = t where a.subject = begin_attempt.subject;
  end if;
  if wait_s > 0 then return; end if;
  update x3sproxy.network_attempts set recent = at_network.recent || t, touched_at = t where network = of_network;
  update x3sproxy.account_attempts a set tries = a.tries + 1, touched_at = t, refusal_noted_at = '-infinity', next_at = case
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
revoke all on function x3sproxy.begin_attempt(bytea, bytea, bytea) from public;
grant execute on function x3sproxy.begin_attempt(bytea, bytea, bytea) to x3sproxy_control;
