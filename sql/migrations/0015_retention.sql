-- How long the audit keeps its events, how old ones are pruned, and how a person is erased from it. The three functions below are the
-- only ways by which anything of an event goes away. Leaves, nodes, and with them the signed tree, stay.

-- A workspace's rule. Outlives its workspace, as the events do. The control role sets `days` and nothing else.
create table x3sproxy.audit_retentions (
  workspace_id uuid primary key,
  days integer default 365 check (days between 30 and 36500), -- null: for ever
  days_before integer, -- what was in force until changed_at; null: for ever
  changed_at timestamptz, -- null: never
  pruned_before bigint not null default 0, -- the leaves below have no event any more
  pruned_until timestamptz, -- the events before were pruned
  pruned_days integer, -- the rule under which they were
  thinned_size bigint not null default 0 -- of the checkpoints up to this size one a day is left
);
-- To those that there are already the rule is as new as a change: see audit_days_in_force.
insert into x3sproxy.audit_retentions (workspace_id, changed_at)
  select id, now() from x3sproxy.workspaces union select workspace_id, now() from x3sproxy.audit_events;

-- For how many days events are kept now; null: for ever. A rule that was made shorter counts a week later, so that whoever has made it
-- without a right to can be noticed while everything is still there.
create function x3sproxy.audit_days_in_force(days integer, days_before integer, changed_at timestamptz) returns integer
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case
    when changed_at is null or changed_at <= now() - interval '7 days' then days
    when days is null or days_before is null then null
    else greatest(days, days_before) end
$$;

create function x3sproxy.begin_audit_retention() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into x3sproxy.audit_retentions (workspace_id) values (new.id) on conflict do nothing;
  return null;
end $$;
create trigger begin_audit_retention after insert on x3sproxy.workspaces
  for each row execute function x3sproxy.begin_audit_retention();

-- The event is written here, so that there is no change of the rule without it.
create function x3sproxy.note_audit_retention() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if new.days is not distinct from old.days then return new; end if;
  new.days_before := x3sproxy.audit_days_in_force(old.days, old.days_before, old.changed_at);
  new.changed_at := clock_timestamp();
  insert into x3sproxy.audit_events
    (workspace_id, actor_kind, actor_name, method, action, target_kind, target_id, target_name, result, detail)
  values (new.workspace_id, 'service', 'x3sproxy', 'retention', 'workspace.change', 'audit', new.workspace_id, 'audit', 'done',
    format('{"auditRetentionDays":%s,"auditRetentionDaysBefore":%s}',
      coalesce(new.days::text, '"forever"'), coalesce(old.days::text, '"forever"')));
  return new;
end $$;
create trigger note_audit_retention before update of days on x3sproxy.audit_retentions
  for each row execute function x3sproxy.note_audit_retention();

-- Deletes events of all workspaces that are older than the rule in force, in whole days (UTC), and of checkpoints that are older than
-- 30 days all but each day's last; returns how many. A few at a time, by one process at a time: 0 to any other, and when nothing is
-- left to do. What goes is a prefix of each tree: it ends before the first event that is young enough. A leaf whose event is gone
-- already goes with what was sealed after it, and never by itself: what somebody took away yesterday stays missing.
create function x3sproxy.prune_audit() returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  most constant bigint := 1000;
  checkpoints_until constant timestamptz := date_trunc('day', now() - interval '30 days', 'UTC');
  rule x3sproxy.audit_retentions;
  in_force integer;
  events_until timestamptz;
  new_before bigint;
  thinned bigint;
  due bigint[];
  pruned bigint;
  gone bigint := 0;
begin
  if not pg_try_advisory_xact_lock(7233021) then return 0; end if;
  for rule in select * from x3sproxy.audit_retentions order by workspace_id for update skip locked
  loop
    exit when gone >= most;
    in_force := x3sproxy.audit_days_in_force(rule.days, rule.days_before, rule.changed_at);
    if in_force is not null then
      events_until := date_trunc('day', now(), 'UTC') - make_interval(hours => 24 * in_force);
      -- One after the other by their keys, here and below: no plan may come to read a whole table.
      with part as (
        select l.leaf_index, e.id, e.created_at
        from (
          select p.leaf_index, p.event_id from x3sproxy.audit_leaves p
          where p.workspace_id = rule.workspace_id and p.leaf_index >= rule.pruned_before
          order by p.leaf_index limit most - gone) l
        left join lateral (
          select a.id, a.created_at from x3sproxy.audit_events a
          where a.id = l.event_id and a.workspace_id = rule.workspace_id limit 1) e on true
      ), young as (
        select min(p.leaf_index) as first from part p where p.created_at >= events_until
      )
      select max(p.leaf_index) + 1, array_agg(p.id) into new_before, due from part p, young y
      where p.created_at < events_until and (y.first is null or p.leaf_index < y.first);
      if new_before is not null then
        delete from x3sproxy.audit_erasures x where x.erasure_event_id = any (due);
        delete from x3sproxy.audit_events e where e.id = any (due);
        get diagnostics pruned = row_count;
        gone := gone + pruned;
        update x3sproxy.audit_retentions
          set pruned_before = new_before, pruned_until = events_until, pruned_days = in_force
          where workspace_id = rule.workspace_id;
        insert into x3sproxy.audit_events
          (workspace_id, actor_kind, actor_name, method, action, target_kind, target_id, target_name, result, detail)
        values (rule.workspace_id, 'service', 'x3sproxy', 'retention', 'audit.prune', 'audit', rule.workspace_id, 'audit', 'done',
          format('{"before":%s,"count":%s,"days":%s,"until":%s}', new_before, pruned, in_force, x3sproxy.json_time(events_until)));
      end if;
    end if;
    exit when gone >= most;

    -- A day's last is known by the one after it, which is of another day.
    with part as (
      select p.size, p.created_at, lead(p.created_at) over (order by p.size) as next_at
      from (
        select c.size, c.created_at from x3sproxy.audit_checkpoints c
        where c.workspace_id = rule.workspace_id and c.size > rule.thinned_size
        order by c.size limit most - gone) p
    )
    select max(p.size), array_agg(p.size) filter (
        where date_trunc('day', p.created_at, 'UTC') = date_trunc('day', p.next_at, 'UTC'))
      into thinned, due
      from part p where p.created_at < checkpoints_until and p.next_at is not null;
    continue when thinned is null;
    delete from x3sproxy.audit_checkpoints c where c.workspace_id = rule.workspace_id and c.size = any (due);
    get diagnostics pruned = row_count;
    update x3sproxy.audit_retentions set thinned_size = thinned where workspace_id = rule.workspace_id;
    gone := gone + pruned;
  end loop;
  return gone;
end $$;

-- Events that may be about a person: an e-mail address is in them. Few beside what agents and the service do.
create index audit_events_of_people on x3sproxy.audit_events (workspace_id, id)
  where actor_name like '%@%' or target_name like '%@%';
create index audit_erasures_event on x3sproxy.audit_erasures (erasure_event_id);

-- Erases a person from the transaction's workspace: of the sealed events the parts that are about that person, and from what stands
-- beside the audit the address. `subject`: an id of a user, or an e-mail address in lower case. `parts`: how many were erased; null,
-- and nothing was done: the user still exists. `waiting`: how many parts are left, since their events aren't sealed yet or there are
-- too many for one transaction. `others`: how many rows elsewhere were changed or deleted. One at a time. by_…: the actor.
create function x3sproxy.erase_person(subject text, by_kind text, by_id uuid, by_name text, by_address text, by_method text,
  out parts bigint, out waiting bigint, out others bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  most constant integer := 1000;
  nobody constant text := 'an erased person';
  here uuid := nullif(current_setting('x3sproxy.workspace', true), '')::uuid;
  emails text[];
  ids text[] := '{}';
  pattern text; -- one of the addresses, and not a part of a longer one
  event_id bigint;
  indexes bigint[];
  which text[];
  of_actors bigint[];
  of_targets bigint[];
  changed bigint;
begin
  if here is null then raise exception 'a workspace is needed' using errcode = '22023'; end if;
  perform pg_advisory_xact_lock(7233022);
  if subject ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
    ids := array[subject];
    select coalesce(array_agg(distinct lower(n.name)), '{}') into emails from (
      select e.actor_name from x3sproxy.audit_events e
      where e.workspace_id = here and (e.actor_name like '%@%' or e.target_name like '%@%')
        and e.actor_kind = 'user' and e.actor_id::text = subject
      union
      select e.target_name from x3sproxy.audit_events e
      where e.workspace_id = here and (e.actor_name like '%@%' or e.target_name like '%@%')
        and e.target_kind = 'user' and e.target_id = subject) n (name)
    where n.name like '%@%';
  elsif subject ~ '^[^@[:space:]]+@[^@[:space:]]+$' then
    emails := array[lower(subject)];
  else
    raise exception 'neither an id nor an e-mail address' using errcode = '22023';
  end if;
  -- Whoever was deleted and invited again has had several ids.
  ids := ids || array(
    select e.actor_id::text from x3sproxy.audit_events e
    where e.workspace_id = here and (e.actor_name like '%@%' or e.target_name like '%@%')
      and e.actor_kind = 'user' and e.actor_id is not null and lower(e.actor_name) = any (emails)
    union
    select e.target_id from x3sproxy.audit_events e
    where e.workspace_id = here and (e.actor_name like '%@%' or e.target_name like '%@%')
      and e.target_kind = 'user' and lower(e.target_name) = any (emails));
  if exists (select from x3sproxy.users u where u.workspace_id = here and (u.id::text = any (ids) or lower(u.email) = any (emails))) then
    return;
  end if;
  parts := 0;
  waiting := 0;
  others := 0;
  select '(?<![[:alnum:]._%+@-])(' || string_agg(regexp_replace(a.address, '([^[:alnum:]])', '\\\1', 'g'), '|')
      || ')(?![[:alnum:]@_-]|\.[[:alnum:]])' into pattern
    from unnest(emails) a (address);

  with hit as materialized (
    select h.*, row_number() over (order by h.leaf_index) <= most and h.leaf_index is not null as now from (
      select e.id, l.leaf_index,
        e.actor_salt is not null
          and (e.actor_kind = 'user' and e.actor_id::text = any (ids) or coalesce(e.actor_name ~* pattern, false)) as actor,
        e.target_salt is not null
          and (e.target_kind = 'user' and e.target_id = any (ids) or coalesce(e.target_name ~* pattern, false)) as target
      from x3sproxy.audit_events e
      left join lateral (select p.leaf_index from x3sproxy.audit_leaves p where p.event_id = e.id limit 1) l on true
      where e.workspace_id = here and (e.actor_name like '%@%' or e.target_name like '%@%')) h
    where h.actor or h.target
  ), list as (
    select h.leaf_index, 'actor' as part, h.id from hit h where h.actor and h.now
    union all
    select h.leaf_index, 'target', h.id from hit h where h.target and h.now
  )
  select coalesce(array_agg(l.leaf_index order by l.leaf_index, l.part), '{}'), array_agg(l.part order by l.leaf_index, l.part),
    array_agg(l.id) filter (where l.part = 'actor'), array_agg(l.id) filter (where l.part = 'target'),
    (select coalesce(sum(h.actor::integer + h.target::integer), 0) from hit h where not h.now)
    into indexes, which, of_actors, of_targets, waiting from list l;
  update x3sproxy.audit_events e set actor_salt = null, actor_id = null, actor_name = '', address = null
    where e.id = any (of_actors);
  update x3sproxy.audit_events e set target_salt = null, target_id = '', target_name = ''
    where e.id = any (of_targets);
  parts := cardinality(indexes);

  if pattern is not null then
    delete from x3sproxy.invitations i where i.workspace_id = here and lower(i.email) = any (emails);
    get diagnostics changed = row_count;
    others := others + changed;
    update x3sproxy.invitations i set invited_by = nobody where i.workspace_id = here and i.invited_by ~* pattern;
    get diagnostics changed = row_count;
    others := others + changed;
    update x3sproxy.registrations r set created_by = nobody where r.workspace_id = here and r.created_by ~* pattern;
    get diagnostics changed = row_count;
    others := others + changed;
    update x3sproxy.spent_registrations r set created_by = nobody where r.workspace_id = here and r.created_by ~* pattern;
    get diagnostics changed = row_count;
    others := others + changed;
    update x3sproxy.api_keys k set name = left(regexp_replace(k.name, pattern, nobody, 'gi'), 100)
      where k.workspace_id = here and k.name ~* pattern;
    get diagnostics changed = row_count;
    others := others + changed;
    update x3sproxy.secrets s set label = left(regexp_replace(s.label, pattern, nobody, 'gi'), 200)
      where s.workspace_id = here and s.label ~* pattern;
    get diagnostics changed = row_count;
    others := others + changed;
    delete from x3sproxy.activity_contexts c where c.workspace_id = here and c.context::text like '%@%' and c.context::text ~* pattern;
    get diagnostics changed = row_count;
    others := others + changed;
  end if;

  if parts = 0 and others = 0 then return; end if;
  insert into x3sproxy.audit_events
    (workspace_id, actor_kind, actor_id, actor_name, address, method, action, target_kind, target_id, target_name, result, detail)
  values (here, by_kind, by_id, by_name, by_address, by_method, 'audit.erase', 'erasure', gen_random_uuid(), 'a person', 'done',
    format('{"list":"%s","parts":%s}', (
      select encode(sha256(convert_to(coalesce(string_agg(l.leaf_index || ' ' || l.part || e'\n', '' order by l.place), ''), 'utf8')), 'hex')
      from unnest(indexes, which) with ordinality l (leaf_index, part, place)), parts))
  returning id into event_id;
  insert into x3sproxy.audit_erasures (workspace_id, leaf_index, part, erasure_event_id)
    select here, l.leaf_index, l.part, event_id from unnest(indexes, which) l (leaf_index, part);
end $$;

revoke all on x3sproxy.audit_retentions from public;
revoke all on function x3sproxy.audit_days_in_force(integer, integer, timestamptz), x3sproxy.begin_audit_retention(),
  x3sproxy.note_audit_retention(), x3sproxy.prune_audit(), x3sproxy.erase_person(text, text, uuid, text, text, text) from public;
grant select, update (days) on x3sproxy.audit_retentions to x3sproxy_control;
grant execute on function x3sproxy.audit_days_in_force(integer, integer, timestamptz), x3sproxy.prune_audit(),
  x3sproxy.erase_person(text, text, uuid, text, text, text) to x3sproxy_control;
alter table x3sproxy.audit_retentions enable row level security;
create policy own_workspace on x3sproxy.audit_retentions to x3sproxy_control
  using (workspace_id = nullif(current_setting('x3sproxy.workspace', true), '')::uuid);
