-- A new value of a key waits as a candidate until the provider has taken it: a version that isn't active, and that no call uses.
-- Versions are numbered on and on: the number of a candidate that was thrown away never means another value.

alter table x3sproxy.secrets add column candidate_version integer, add column last_version integer not null default 1;
update x3sproxy.secrets s set last_version = (select max(v.version) from x3sproxy.secret_versions v where v.secret_id = s.id);
alter table x3sproxy.secrets
  add constraint secrets_id_candidate_version_fkey foreign key (id, candidate_version)
    references x3sproxy.secret_versions (secret_id, version) deferrable initially deferred,
  add constraint secrets_candidate_check check (candidate_version <> active_version);
