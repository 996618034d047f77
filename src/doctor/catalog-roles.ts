// Facts about the database's roles: the two groups of sql/, which belong to the whole server, and the two logins of this database. Reads
// only.
import type { Sql } from "../db/index.ts";
import type { Fact } from "./facts.ts";

const GROUPS = ["x3sproxy_control", "x3sproxy_proxy"];

export async function roleFacts(sql: Sql, logins: readonly string[]): Promise<Fact[]> {
  const ours = [...GROUPS, ...logins];
  return [
    ...(await attributeFacts(sql, ours)),
    ...(await databaseFacts(sql)),
    ...(await outsideFacts(sql, ours, logins)),
  ];
}

function attributeFacts(sql: Sql, ours: readonly string[]): Promise<Fact[]> {
  return sql<Fact[]>`
    with ours as (select *, quote_ident(rolname) as name from pg_roles where rolname = any (${ours}::text[]))
    select 'role' as kind, name,
      concat_ws(', ', case when rolsuper then 'superuser' else 'nosuperuser' end,
        case when rolbypassrls then 'bypassrls' else 'nobypassrls' end,
        case when rolcreaterole then 'createrole' else 'nocreaterole' end,
        case when rolcreatedb then 'createdb' else 'nocreatedb' end,
        case when rolreplication then 'replication' else 'noreplication' end,
        case when rolinherit then 'inherit' else 'noinherit' end,
        case when rolcanlogin then 'login' else 'nologin' end, 'connection limit ' || rolconnlimit,
        'valid until ' || quote_literal(nullif(rolvaliduntil, 'infinity'))) as is,
      'drop role ' || name as undo, null as grantee
    from ours
    union all
    select 'membership', format('%s in %s', m.name, quote_ident(g.rolname)),
      -- Both options, by the name that they have from Postgres 16 on.
      case when bool_or(a.admin_option) then 'with admin option' else '' end
        || case when bool_or(coalesce((to_jsonb(a) ->> 'inherit_option')::boolean, true)) then '' else ' without inherit' end,
      format('revoke %I from %s', g.rolname, m.name), null
    from ours m join pg_auth_members a on a.member = m.oid join pg_roles g on g.oid = a.roleid
    group by m.name, g.rolname
    union all
    select 'role setting', format('%s of %s', split_part(setting, '=', 1), o.name), '',
      format('alter role %s%s reset %s', o.name, case s.setdatabase when 0 then '' else format(' in database %I', current_database()) end,
        split_part(setting, '=', 1)), null
    from ours o join pg_db_role_setting s on s.setrole = o.oid, unnest(s.setconfig) setting
    where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))`;
}

/** Rights on this database, except its owner's. */
function databaseFacts(sql: Sql): Promise<Fact[]> {
  return sql<Fact[]>`
    select 'database right' as kind, format('%s to %s', lower(a.privilege_type), who) as name, '' as is,
      format('revoke %s on database %I from %s', lower(a.privilege_type), d.datname, who) as undo, who as grantee
    from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a,
      lateral (select case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end as who) g
    where d.datname = current_database() and a.grantee <> d.datdba`;
}

/**
 * What our roles own anywhere, and the rights that they have outside of the schema: in this database, on the server, and (the logins) in
 * other databases.
 */
function outsideFacts(
  sql: Sql,
  ours: readonly string[],
  logins: readonly string[],
): Promise<Fact[]> {
  return sql<Fact[]>`
    with here as (select oid from pg_database where datname = current_database()),
    held as (
      select distinct quote_ident(r.rolname) as role, s.deptype, s.classid, s.objid, s.dbid,
        case when s.dbid in (0, (select oid from here)) then replace(o.type, 'parameter ACL', 'parameter') || ' ' || o.identity
          else format('what is in the database %I', (select datname from pg_database where oid = s.dbid)) end as what,
        o.schema
      from pg_shdepend s join pg_roles r on s.refclassid = 'pg_authid'::regclass and s.refobjid = r.oid
      left join lateral pg_identify_object(s.classid, s.objid, 0) o on s.dbid in (0, (select oid from here))
      where s.deptype in ('o', 'a') and r.rolname = any (${ours}::text[])
        and (s.dbid in (0, (select oid from here)) or r.rolname = any (${logins}::text[]))
    )
    select 'outside right' as kind,
      format('%s of %s', case deptype when 'o' then 'ownership' else 'a right' end || ' by ' || role, what) as name, '' as is,
      case deptype when 'o' then format('alter %s owner to current_user', what) else format('revoke all on %s from %s', what, role) end as undo,
      role as grantee
    from held
    where deptype = 'o' or not (
      schema is not distinct from 'x3sproxy' and dbid <> 0
      or classid = 'pg_namespace'::regclass and objid = 'x3sproxy'::regnamespace
      or classid = 'pg_database'::regclass and objid = (select oid from here)
      or classid in ('pg_default_acl'::regclass, 'pg_policy'::regclass)
      -- What everybody may do by nature, where it was taken from everybody and left to ours.
      or classid = 'pg_proc'::regclass and schema = 'pg_catalog' and not exists (
        select from pg_init_privs i where i.classoid = 'pg_proc'::regclass and i.objoid = held.objid))
    group by role, deptype, what`;
}
