-- A session is the hash of two values, the cookie's and the one that the dashboard's origin holds. Those from before have only the
-- cookie's: they end.
delete from x3sproxy.sessions;

-- Wrong tries count for one account and one network, or for a device on which its user has signed in: what strangers do elsewhere keeps
-- nobody out.
drop function x3sproxy.begin_attempt(bytea, bytea, bytea);
drop function x3sproxy.settle_attempt(bytea, bytea, bytea, text, boolean);
drop table x3sproxy.network_attempts;
delete from x3sproxy.account_attempts;
drop index x3sproxy.account_attempts_touched;
create index account_attempts_few on x3sproxy.account_attempts (touched_at) where not known and tries < 5;
create index account_attempts_many on x3sproxy.account_attempts (touched_at) where not known and tries >= 5;
create index account_attempts_known on x3sproxy.account_attempts (touched_at) where known;

-- Counts a try, under `of_known` if that has been made known, else under `of_subject`; which one is `subject`. `wait_s` above 0: there
-- have been too many, and nothing was counted. `note`: that is to be written down.
create function x3sproxy.begin_attempt(of_subject bytea, of_known bytea,
  OUT subject bytea, OUT wait_s integer, OUT note boolean)
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
create function x3sproxy.settle_attempt(of_subject bytea, of_known bytea, outcome text) returns void
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

revoke all on function x3sproxy.begin_attempt(bytea, bytea), x3sproxy.settle_attempt(bytea, bytea, text) from public;
grant execute on function x3sproxy.begin_attempt(bytea, bytea), x3sproxy.settle_attempt(bytea, bytea, text) to x3sproxy_control;
