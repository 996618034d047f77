-- An index for each filter and each order that the lists have, and pruning in parts that go on where the last one ended. A condition can
-- use an index under row-level security only if it is leakproof: comparisons of plain columns are, casts and functions are not.

-- Lists are in the order of time: with that of ids a filter by time would read all that is newer.
drop index x3sproxy.audit_events_newest;
create index audit_events_latest on x3sproxy.audit_events (workspace_id, created_at, id);
create index audit_events_action on x3sproxy.audit_events (workspace_id, action, created_at, id);
create index audit_events_actor_name on x3sproxy.audit_events (workspace_id, actor_name, created_at, id);
create index audit_events_actor_id on x3sproxy.audit_events (workspace_id, actor_id, created_at, id) where actor_id is not null;
create index audit_events_target_name on x3sproxy.audit_events (workspace_id, target_name, created_at, id);
create index audit_events_target_id on x3sproxy.audit_events (workspace_id, target_id, created_at, id);

-- Pruning goes along the primary key. The ranges of a BRIN index never become narrower, so that in the end it would name all of the table.
drop index x3sproxy.activity_minutes_age;
create index activity_minutes_agent on x3sproxy.activity_minutes (workspace_id, agent, minute, provider);
create index activity_minutes_provider on x3sproxy.activity_minutes (workspace_id, provider, minute, agent);
create index activity_contexts_agent on x3sproxy.activity_contexts (workspace_id, agent, minute, provider, context_hash);

create index users_listed on x3sproxy.users (workspace_id, email collate "C");
create index api_keys_listed on x3sproxy.api_keys (workspace_id, name collate "C", id);
create index invitations_listed on x3sproxy.invitations (workspace_id, created_at, id);
create index setup_links_workspace on x3sproxy.setup_links (workspace_id);
create index workspaces_listed on x3sproxy.workspaces (name collate "C");
drop index x3sproxy.sessions_user;
create index sessions_user on x3sproxy.sessions (user_id, created_at, id);
create index sessions_ended on x3sproxy.sessions (workspace_id, ends_at);
-- Deleting an agent, and deploying it, looks for all of its tokens.
drop index x3sproxy.proxy_tokens_leases;
create index proxy_tokens_agent on x3sproxy.proxy_tokens (agent_id);

-- A page of the workspaces, by name, with what is in each. `only`: this one alone.
drop function x3sproxy.list_workspaces();
create function x3sproxy.list_workspaces(after_name text default '', most integer default null, only_id uuid default null)
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
revoke all on function x3sproxy.list_workspaces(text, integer, uuid) from public;
grant execute on function x3sproxy.list_workspaces(text, integer, uuid) to x3sproxy_control;

-- A part of the pruning of one table of what agents did: at most 5,000 rows of one place (a workspace, with an agent or a secret where
-- the table's key goes on with one), or a look at 500 places of which nothing has had its time. Goes along the primary key, from the
-- place after the one given. `pruned`: rows; the place after which to go on: null, null at the table's end, and while another process
-- is at it.
drop function x3sproxy.prune_activity();
create function x3sproxy.prune_activity(of_table text, after_workspace uuid, after_id uuid,
  out pruned bigint, out at_workspace uuid, out at_id uuid)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
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
end $$;
revoke all on function x3sproxy.prune_activity(text, uuid, uuid) from public;
grant execute on function x3sproxy.prune_activity(text, uuid, uuid) to x3sproxy_control;

-- A part of the pruning of the audit. Deletes events that are older than the rule in force, in whole days (UTC), and of checkpoints that
-- are older than 30 days all but each day's last: at most 1,000 of both, of at most 200 workspaces, from the one after `after_workspace`.
-- What goes is a prefix of each tree: it ends before the first event that is young enough. A leaf whose event is gone already goes with
-- what was sealed after it, and never by itself: what somebody took away yesterday stays missing. `pruned`: how many; `at_workspace`:
-- the one after which to go on, null at the end and while another process is at it.
drop function x3sproxy.prune_audit();
create function x3sproxy.prune_audit(after_workspace uuid default null, out pruned bigint, out at_workspace uuid)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
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
end $$;
revoke all on function x3sproxy.prune_audit(uuid) from public;
grant execute on function x3sproxy.prune_audit(uuid) to x3sproxy_control;

-- With the time in a variable: a condition with clock_timestamp() can use no index, so that each try to sign in read all that others had
-- made.
drop index x3sproxy.account_attempts_touched;
create index account_attempts_touched on x3sproxy.account_attempts (known, touched_at);
create or replace function x3sproxy.begin_attempt(of_network bytea, of_account bytea, of_place bytea, OUT subject bytea, OUT wait_s integer, OUT note boolean)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
    select network from x3sproxy.network_attempts where touched_at < t - interval '1 minute'
    order by touched_at limit 10 for update skip locked);
  delete from x3sproxy.account_attempts a where a.subject in (
    select o.subject from x3sproxy.account_attempts o
    where not o.known and o.touched_at < t - interval '1 day'
    order by o.touched_at limit 10 for update skip locked);
  delete from x3sproxy.account_attempts a where a.subject in (
    select o.subject from x3sproxy.account_attempts o
    where o.known and o.touched_at < t - interval '90 days'
    order by o.touched_at limit 10 for update skip locked);
end $function$;

-- Only workspaces with the rule are looked at.
create index workspaces_with_unused on x3sproxy.workspaces (id) where unused_days is not null;
create or replace function x3sproxy.expire_unused_tokens()
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
       before_hash, after_hash, result)
    values (token.workspace_id, 'service', 'x3sproxy', 'service', 'token.expire', 'agent', token.agent_id, token.name,
      encode(sha256(convert_to(format('{"expiresAt":%s}', x3sproxy.json_time(token.expires_at)), 'utf8')), 'hex'),
      encode(sha256(convert_to(format('{"expiresAt":%s}', x3sproxy.json_time(this_moment)), 'utf8')), 'hex'), 'unused');
    ended := ended + 1;
  end loop;
  return ended;
end $function$;
