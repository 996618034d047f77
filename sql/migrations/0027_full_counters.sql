-- A counter stays far below the end of its type, whatever is added to it. Whoever has the data plane's login could fill one, and from then
-- on each batch in which that agent's calls were failed as a whole, with what it had of other agents; and so did the list of keys, which
-- adds up what each agent was refused. The triggers' bodies run for such rows alone.
create function x3sproxy.cap_requests() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.requests := least(new.requests, 1000000000000000);
  return new;
end $$;
create function x3sproxy.cap_minutes() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.requests := least(new.requests, 1000000000000000);
  new.status_2xx := least(new.status_2xx, 1000000000000000);
  new.status_3xx := least(new.status_3xx, 1000000000000000);
  new.status_4xx := least(new.status_4xx, 1000000000000000);
  new.status_5xx := least(new.status_5xx, 1000000000000000);
  new.status_none := least(new.status_none, 1000000000000000);
  new.errors := least(new.errors, 1000000000000000); new.refusals := least(new.refusals, 1000000000000000);
  new.broken := least(new.broken, 1000000000000000);
  new.request_bytes := least(new.request_bytes, 1000000000000000);
  new.response_bytes := least(new.response_bytes, 1000000000000000);
  new.first_byte_count := least(new.first_byte_count, 1000000000000000);
  new.total_count := least(new.total_count, 1000000000000000);
  new.open_peak := least(new.open_peak, 1000000000000000);
  return new;
end $$;
create function x3sproxy.cap_versions() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.requests := least(new.requests, 1000000000000); new.refused_401 := least(new.refused_401, 1000000000000);
  new.refused_403 := least(new.refused_403, 1000000000000);
  new.refused_429 := least(new.refused_429, 1000000000000);
  return new;
end $$;
revoke all on function x3sproxy.cap_requests(), x3sproxy.cap_minutes(), x3sproxy.cap_versions() from public;
create trigger cap before insert or update on x3sproxy.activity_minutes
  for each row when (greatest(new.requests, new.status_2xx, new.status_3xx, new.status_4xx, new.status_5xx, new.status_none, new.errors,
    new.refusals, new.broken, new.request_bytes, new.response_bytes, new.first_byte_count, new.total_count,
    new.open_peak) > 1000000000000000)
  execute function x3sproxy.cap_minutes();
create trigger cap before insert or update on x3sproxy.activity_versions
  for each row when (greatest(new.requests, new.refused_401, new.refused_403, new.refused_429) > 1000000000000)
  execute function x3sproxy.cap_versions();
create trigger cap before insert or update on x3sproxy.activity_calls
  for each row when (new.requests > 1000000000000000)
  execute function x3sproxy.cap_requests();
create trigger cap before insert or update on x3sproxy.activity_contexts
  for each row when (new.requests > 1000000000000000)
  execute function x3sproxy.cap_requests();
update x3sproxy.activity_minutes set requests = requests
  where greatest(requests, status_2xx, status_3xx, status_4xx, status_5xx, status_none, errors, refusals, broken,
  request_bytes, response_bytes, first_byte_count, total_count, open_peak) > 1000000000000000;
update x3sproxy.activity_versions set requests = requests
  where greatest(requests, refused_401, refused_403, refused_429) > 1000000000000;
update x3sproxy.activity_calls set requests = requests
  where requests > 1000000000000000;
update x3sproxy.activity_contexts set requests = requests
  where requests > 1000000000000000;
