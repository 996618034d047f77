-- When a version of a key was used or refused is a time that can be shown. Whoever has the data plane's login could name another one
-- (-infinity, or one before Christ), and with that no list of the workspace's keys could be read any more.
delete from x3sproxy.activity_versions
where not (extract(epoch from first_used_at) > 0 and coalesce(extract(epoch from refused_since) > 0, true)
  and coalesce(extract(epoch from refused_at) > 0, true) and coalesce(extract(epoch from accepted_at) > 0, true));
alter table x3sproxy.activity_versions add constraint activity_versions_times_check check (
  extract(epoch from first_used_at) > 0 and coalesce(extract(epoch from refused_since) > 0, true)
  and coalesce(extract(epoch from refused_at) > 0, true) and coalesce(extract(epoch from accepted_at) > 0, true));
