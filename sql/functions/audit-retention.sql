-- How long the audit keeps events, what may be pruned, and how a person is erased from it.

-- For how many days events are kept now; null: for ever. A rule that was made shorter counts a week later, so that whoever has made it
-- without a right to can be noticed while everything is still there.
create or replace function x3sproxy.audit_days_in_force(days integer, days_before integer, changed_at timestamptz) returns integer
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case
    when changed_at is null or changed_at <= now() - interval '7 days' then days
    when days is null or days_before is null then null
    else greatest(days, days_before) end
$$;

create or replace function x3sproxy.begin_audit_retention() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into x3sproxy.audit_retentions (workspace_id) values (new.id) on conflict do nothing;
  return null;
end $$;

-- The event is written here, so that there is no change of the rule without it.
create or replace function x3sproxy.note_audit_retention() returns trigger
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

-- Deletes events of all workspaces that are older than the rule in force, in whole days (UTC), and of checkpoints that are older than
-- 30 days all but each day's last; returns how many. A few at a time, by one process at a time: 0 to any other, and when nothing is
-- left to do. What goes is a prefix of each tree: it ends before the first event that is young enough. A leaf whose event is gone
-- already goes with what was sealed after it, and never by itself: what somebody took away yesterday stays missing.
create or replace function x3sproxy.prune_audit(after_workspace uuid default null, out pruned bigint, out at_workspace uuid)
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

-- Erases a person from the transaction's workspace: of the sealed events the parts that are about that person, and from what stands
-- beside the audit the address. `subject`: an id of a user, or an e-mail address in lower case. `parts`: how many were erased; null,
-- and nothing was done: the user still exists. `waiting`: how many parts are left, since their events aren't sealed yet or there are
-- too many for one transaction. `others`: how many rows elsewhere were changed or deleted. One at a time. by_…: the actor. Only users are
-- erased. Events say by kind and id who acted: whatever else is named like an address stays who it is.
create or replace function x3sproxy.erase_person(subject text, by_kind text, by_id uuid, by_name text, by_address text, by_method text,
  out parts bigint, out waiting bigint, out others bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  most constant integer := 1000;
  nobody constant text := 'an erased person';
  here uuid := nullif(current_setting('x3sproxy.workspace', true), '')::uuid;
  emails text[];
  ids text[] := '{}';
  pattern text; -- one of the addresses, and not a part of a longer one
  registrars text[]; -- what events call those of the addresses that no API key had for its name
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
  -- Such an event says by name alone who made the registration.
  select coalesce(array_agg('registration by ' || a.address), '{}') into registrars from unnest(emails) a (address)
    where not exists (
      select from x3sproxy.audit_events k
      where k.workspace_id = here and k.actor_kind = 'api_key' and k.actor_name = a.address);
  select '(?<![[:alnum:]._%+@-])(' || string_agg(regexp_replace(a.address, '([^[:alnum:]])', '\\\1', 'g'), '|')
      || ')(?![[:alnum:]@_-]|\.[[:alnum:]])' into pattern
    from unnest(emails) a (address);

  with hit as materialized (
    select h.*, row_number() over (order by h.leaf_index) <= most and h.leaf_index is not null as now from (
      select e.id, l.leaf_index,
        e.actor_salt is not null and case e.actor_kind
          when 'user' then coalesce(e.actor_id::text = any (ids), lower(e.actor_name) = any (emails))
          when 'link' then lower(e.actor_name) = any (emails) or e.actor_name = any (registrars)
          else false end as actor,
        e.target_salt is not null and case e.target_kind
          when 'user' then e.target_id = any (ids)
          when 'invitation' then lower(e.target_name) = any (emails)
          when 'session' then lower(e.target_name) = any (emails)
          else false end as target
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
    update x3sproxy.invitations i set invited_by = left(regexp_replace(i.invited_by, pattern, nobody, 'gi'), 300)
      where i.workspace_id = here and i.invited_by ~* pattern;
    get diagnostics changed = row_count;
    others := others + changed;
    update x3sproxy.registrations r set created_by = left(regexp_replace(r.created_by, pattern, nobody, 'gi'), 300)
      where r.workspace_id = here and r.created_by ~* pattern;
    get diagnostics changed = row_count;
    others := others + changed;
    update x3sproxy.spent_registrations r set created_by = left(regexp_replace(r.created_by, pattern, nobody, 'gi'), 300)
      where r.workspace_id = here and r.created_by ~* pattern;
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

revoke all on function x3sproxy.audit_days_in_force, x3sproxy.begin_audit_retention, x3sproxy.note_audit_retention,
  x3sproxy.prune_audit, x3sproxy.erase_person from public, x3sproxy_control, x3sproxy_proxy;
grant execute on function x3sproxy.audit_days_in_force, x3sproxy.prune_audit, x3sproxy.erase_person to x3sproxy_control;
