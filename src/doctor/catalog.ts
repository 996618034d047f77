// Reads from the catalogs every fact of the schema that decides who may do what. sql/expected.json is made from this list, and doctor
// compares a database with it. Reads only. Needs an empty search_path, so that every name has its schema.
import type { Sql } from "../db/index.ts";
import type { Fact } from "./facts.ts";
import { roleFacts } from "./catalog-roles.ts";

/** Stands in names for the digest, which differs between databases. */
export const ANY_DIGEST = "LOGIN";

/** `logins`: those of this database. */
export async function readRightFacts(sql: Sql, logins: readonly string[]): Promise<Fact[]> {
  const facts = [
    ...(await roleFacts(sql, logins)),
    ...(await grantFacts(sql)),
    ...(await rowSecurityFacts(sql)),
  ];
  const withoutDigest = (name: string): string =>
    logins.reduce(
      (text, login) => text.replaceAll(login, login.replace(/[0-9a-f]{8}$/, ANY_DIGEST)),
      name,
    );
  return facts.map((fact) => ({ ...fact, name: withoutDigest(fact.name) }));
}

export async function readContentFacts(sql: Sql): Promise<Fact[]> {
  return [
    ...(await policyFacts(sql)),
    ...(await codeFacts(sql)),
    ...(await tableFacts(sql)),
    ...(await foreignFacts(sql)),
  ];
}

/** Rights of others than the owner. */
function grantFacts(sql: Sql): Promise<Fact[]> {
  return sql<Fact[]>`
    with ours (object, acl, owner, member) as (
      select 'schema x3sproxy', nspacl, nspowner, null from pg_namespace where nspname = 'x3sproxy'
      union all
      select case relkind when 'S' then 'sequence ' else 'table ' end || oid::regclass, relacl, relowner, null
      from pg_class where relnamespace = 'x3sproxy'::regnamespace and relkind not in ('i', 'I', 'c')
      union all
      select 'table ' || c.oid::regclass::text, a.attacl, c.relowner, quote_ident(a.attname)
      from pg_attribute a join pg_class c on c.oid = a.attrelid
      where c.relnamespace = 'x3sproxy'::regnamespace and a.attnum > 0 and not a.attisdropped
      union all
      select case prokind when 'p' then 'procedure ' else 'function ' end || oid::regprocedure,
        coalesce(proacl, acldefault('f', proowner)), proowner, null
      from pg_proc where pronamespace = 'x3sproxy'::regnamespace
      union all
      select 'type ' || oid::regtype::text, typacl, typowner, null from pg_type where typnamespace = 'x3sproxy'::regnamespace
    ), granted as (
      select object, lower(a.privilege_type) || coalesce(' (' || member || ')', '') as what, a.is_grantable,
        case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end as grantee
      from ours, aclexplode(acl) a where a.grantee <> owner
    )
    select 'grant' as kind, format('%s on %s to %s', what, object, grantee) as name,
      case when bool_or(is_grantable) then 'with grant option' else '' end as is,
      format('revoke %s on %s from %s cascade', what, object, grantee) as undo, grantee
    from granted group by what, object, grantee
    union all
    select 'default privilege', format('%s on new %s of %s%s to %s', lower(a.privilege_type), kinds, owner, place, who), '',
      format('alter default privileges for role %s%s revoke all on %s from %s', owner, place, kinds, who), who
    from (
      select quote_ident(pg_get_userbyid(d.defaclrole)) as owner, d.defaclrole, d.defaclacl,
        case defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types'
          when 'n' then 'schemas' else 'large objects' end as kinds,
        case defaclnamespace when 0 then '' else ' in schema x3sproxy' end as place
      from pg_default_acl d, pg_namespace n
      where n.nspname = 'x3sproxy' and (d.defaclnamespace = n.oid or d.defaclnamespace = 0 and d.defaclrole = n.nspowner)
    ) d, aclexplode(d.defaclacl) a,
      lateral (select case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end as who) g
    where a.grantee <> d.defaclrole
      -- A default that is changed holds what everybody has by nature, too.
      and not (a.grantee = 0 and (kinds, a.privilege_type) in (('functions', 'EXECUTE'), ('types', 'USAGE')))`;
}

function rowSecurityFacts(sql: Sql): Promise<Fact[]> {
  return sql<Fact[]>`
    select 'row security' as kind, oid::regclass::text as name,
      case when relrowsecurity then 'on' else 'off' end || case when relforcerowsecurity then ', forced' else '' end as is,
      '' as undo, null as grantee
    from pg_class where relnamespace = 'x3sproxy'::regnamespace and relkind in ('r', 'p')
    union all
    select 'schema owner', 'x3sproxy', case when n.nspowner in (select oid from pg_roles where rolname ~ '^x3sproxy_(control|proxy)')
      then quote_ident(pg_get_userbyid(n.nspowner)) else 'the owner' end, '', null
    from pg_namespace n where nspname = 'x3sproxy'`;
}

function policyFacts(sql: Sql): Promise<Fact[]> {
  return sql<Fact[]>`
    select 'policy' as kind, format('%I on x3sproxy.%I', policyname, tablename) as name,
      format('create policy %I on x3sproxy.%I as %s for %s to %s%s%s', policyname, tablename, lower(permissive), lower(cmd),
        (select string_agg(case r when 'public' then r else quote_ident(r) end, ', ' order by r) from unnest(roles::text[]) r),
        ' using (' || qual || ')', ' with check (' || with_check || ')') as is,
      format('drop policy %I on x3sproxy.%I', policyname, tablename) as undo, null as grantee
    from pg_policies where schemaname = 'x3sproxy'`;
}

function tableFacts(sql: Sql): Promise<Fact[]> {
  return sql<Fact[]>`
    with ours as (
      select c.*, c.oid::regclass::text as name,
        case when relowner = n.nspowner then '' else ', owned by ' || quote_ident(pg_get_userbyid(relowner)) end as owned
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'x3sproxy'
    )
    select 'table' as kind, name,
      case relkind when 'r' then 'table' when 'p' then 'partitioned table' when 'S' then 'sequence' when 'f' then 'foreign table'
        when 'c' then 'type' else 'view of ' || md5(pg_get_viewdef(oid)) end
        || case relpersistence when 'p' then '' else ', not permanent' end
        || coalesce(', with ' || array_to_string(reloptions, ', '), '') || owned as is,
      format('drop %s %s', case relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
        when 'f' then 'foreign table' when 'c' then 'type' else 'table' end, name) as undo, null as grantee
    from ours where relkind not in ('i', 'I')
    union all
    select 'column', format('%s.%I', c.name, a.attname),
      format_type(a.atttypid, a.atttypmod) || case when a.attnotnull then ' not null' else '' end
        || case when a.attidentity <> '' then ' identity ' || a.attidentity::text else '' end
        || case when a.attgenerated <> '' then ' generated ' || a.attgenerated::text else '' end
        || case when a.attcollation <> t.typcollation then ' collate ' || a.attcollation::regcollation::text else '' end
        || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), ''),
      format('alter table %s drop column %I', c.name, a.attname), null
    from ours c join pg_attribute a on a.attrelid = c.oid join pg_type t on t.oid = a.atttypid
      left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
    union all
    select 'constraint', format('%I on %s', k.conname, c.name), pg_get_constraintdef(k.oid),
      format('alter table %s drop constraint %I', c.name, k.conname), null
    from ours c join pg_constraint k on k.conrelid = c.oid where k.contype not in ('n', 't')
    union all
    select 'index', format('%s on %s', i.indexrelid::regclass, c.name),
      pg_get_indexdef(i.indexrelid) || case when i.indisvalid then '' else ', not valid' end,
      format('drop index %s', i.indexrelid::regclass), null
    from ours c join pg_index i on i.indrelid = c.oid
    where not exists (select from pg_constraint k where k.conindid = i.indexrelid)
    union all
    select 'inheritance', format('%s of %s', h.inhrelid::regclass, h.inhparent::regclass), '',
      format('alter table %s no inherit %s', h.inhrelid::regclass, h.inhparent::regclass), null
    from pg_inherits h join pg_class c on c.oid = h.inhrelid
    where c.relkind not in ('i', 'I') and (h.inhrelid in (select oid from ours) or h.inhparent in (select oid from ours))
    union all
    select 'object', format('%s %s', o.type, o.identity), '', format('drop %s %s', o.type, o.identity), null
    from pg_depend d, pg_identify_object(d.classid, d.objid, 0) o
    where d.refclassid = 'pg_namespace'::regclass and d.refobjid = 'x3sproxy'::regnamespace
      and d.classid not in ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_default_acl'::regclass, 'pg_publication_namespace'::regclass)`;
}

function codeFacts(sql: Sql): Promise<Fact[]> {
  return sql<Fact[]>`
    select 'trigger' as kind, format('%I on %s', t.tgname, c.oid::regclass) as name,
      pg_get_triggerdef(t.oid) || case t.tgenabled when 'O' then '' when 'D' then ', disabled' else ', enabled as ' || t.tgenabled::text end as is,
      format('drop trigger %I on %s', t.tgname, c.oid::regclass) as undo, null as grantee
    from pg_trigger t join pg_class c on c.oid = t.tgrelid
    where c.relnamespace = 'x3sproxy'::regnamespace and not t.tgisinternal
    union all
    select distinct 'trigger', format('of the constraint %I on %s', k.conname, c.oid::regclass), 'disabled',
      format('alter table %s enable trigger all', c.oid::regclass), null
    from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_constraint k on k.oid = t.tgconstraint
    where c.relnamespace = 'x3sproxy'::regnamespace and t.tgisinternal and t.tgenabled <> 'O'
    union all
    select 'rule', format('%I on %s', r.rulename, c.oid::regclass), pg_get_ruledef(r.oid),
      format('drop rule %I on %s', r.rulename, c.oid::regclass), null
    from pg_rewrite r join pg_class c on c.oid = r.ev_class
    where c.relnamespace = 'x3sproxy'::regnamespace and r.rulename <> '_RETURN'
    union all
    select 'function', p.oid::regprocedure::text,
      concat_ws(', ', l.lanname, case p.provolatile when 'i' then 'immutable' when 's' then 'stable' end,
        case when p.prosecdef then 'security definer' end, case when p.proisstrict then 'strict' end,
        case when p.proleakproof then 'leakproof' end, case when p.proparallel <> 'u' then 'parallel ' || p.proparallel::text end,
        array_to_string(p.proconfig, ', '),
        case when p.proowner <> n.nspowner then 'owned by ' || quote_ident(pg_get_userbyid(p.proowner)) end,
        'sha256 ' || left(encode(sha256(convert_to(concat_ws(E'\n', pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
          p.prosrc, pg_get_function_sqlbody(p.oid)), 'UTF8')), 'hex'), 32)),
      format('drop %s %s', case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end, p.oid::regprocedure), null
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
    where n.nspname = 'x3sproxy'`;
}

/** Objects outside of the schema that act on it, or show its rows. */
function foreignFacts(sql: Sql): Promise<Fact[]> {
  return sql<Fact[]>`
    with ours as (select oid from pg_class where relnamespace = 'x3sproxy'::regnamespace)
    select distinct 'table' as kind, c.oid::regclass::text as name, 'view of ' || md5(pg_get_viewdef(c.oid)) as is,
      format('drop %s %s', case c.relkind when 'm' then 'materialized view' else 'view' end, c.oid::regclass) as undo, null as grantee
    from pg_depend d join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid join pg_class c on c.oid = r.ev_class
    where d.refclassid = 'pg_class'::regclass and d.refobjid in (select oid from ours) and c.oid not in (select oid from ours)
      and c.relkind in ('v', 'm')
    union all
    select 'constraint', format('%I on %s', k.conname, k.conrelid::regclass), pg_get_constraintdef(k.oid),
      format('alter table %s drop constraint %I', k.conrelid::regclass, k.conname), null
    from pg_constraint k where k.confrelid in (select oid from ours) and k.conrelid not in (select oid from ours)
    union all
    select 'publication' as kind, quote_ident(pubname) as name, count(*) || ' tables' as is,
      format('drop publication %I', pubname) as undo, null as grantee
    from pg_publication_tables where schemaname = 'x3sproxy' group by pubname
    union all
    select 'subscription', quote_ident(s.subname), count(*) || ' tables', format('drop subscription %I', s.subname), null
    from pg_subscription_rel r join pg_subscription s on s.oid = r.srsubid join pg_class c on c.oid = r.srrelid
    where c.relnamespace = 'x3sproxy'::regnamespace group by s.subname
    union all
    select 'event trigger', quote_ident(evtname), evtevent, format('drop event trigger %I', evtname), null
    from pg_event_trigger where evtenabled <> 'D'
    union all
    select 'server setting', 'session_replication_role', current_setting('session_replication_role'),
      'Take session_replication_role out of postgresql.conf, of alter database and of alter role', null
    union all
    -- For everybody who connects: what the policies take for the workspace that was chosen, and what passes triggers over.
    select 'server setting', format('%s of %s', split_part(setting, '=', 1),
      case s.setdatabase when 0 then 'all databases' else 'the database' end), '',
      format('alter %s reset %s', case s.setdatabase when 0 then 'role all' else format('database %I', current_database()) end,
        split_part(setting, '=', 1)), null
    from pg_db_role_setting s, unnest(s.setconfig) setting
    where s.setrole = 0 and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
      and split_part(setting, '=', 1) ~* '^(x3sproxy[.]|session_replication_role$)'`;
}
