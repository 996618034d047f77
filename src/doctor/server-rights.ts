// Checks the rights of the owner, with which the service starts, and the rights that everybody has on the server beyond Postgres's defaults.
// Reads only.
import type { Sql } from "../db/index.ts";
import { listed, type Findings } from "./finding.ts";

// From this version on, CREATEROLE alone does not allow changing a role.
const ADMIN_OPTION_NEEDED = 160_000;

/** Checks that the next start can renew the logins. */
export async function checkOwnerRights(
  sql: Sql,
  logins: readonly string[],
  findings: Findings,
): Promise<void> {
  const [owner] = await sql<
    [{ name: string; may: boolean; creates: boolean; version: number; lacking: string[] }]
  >`
    select quote_ident(current_user) as name, r.rolsuper as may, r.rolcreaterole as creates,
      current_setting('server_version_num')::int as version,
      array(select o.rolname::text from pg_roles o
        where o.rolname = any (${["x3sproxy_control", "x3sproxy_proxy", ...logins]}::text[])
          and not pg_has_role(r.oid, o.oid, 'member with admin option') order by 1) as lacking
    from pg_roles r where r.rolname = current_user`;
  const lacking = owner.version < ADMIN_OPTION_NEEDED ? [] : owner.lacking;
  if (owner.may || (owner.creates && lacking.length === 0)) {
    findings.ok("Database", "owner-rights", "The owner may renew the service's logins.");
    return;
  }
  const fixes = [
    ...(owner.creates ? [] : [`alter role ${owner.name} createrole`]),
    ...(lacking.length === 0
      ? []
      : [`grant ${lacking.join(", ")} to ${owner.name} with admin option`]),
  ];
  findings.add("Database", "critical", "owner-rights", {
    what: `The user in DATABASE_URL may not renew the service's logins: it lacks ${[
      ...(owner.creates ? [] : ["CREATEROLE"]),
      ...lacking.map((role) => `the admin option on ${role}`),
    ].join(", ")}.`,
    why: "The next start of the service fails.",
    fix: `Let an administrator of the server run: ${fixes.join("; ")}`,
  });
}

export async function checkServerRights(
  sql: Sql,
  logins: readonly string[],
  findings: Findings,
): Promise<void> {
  const opened = await sql<{ what: string; undo: string }[]>`
    with public_now (kind, classid, objid, name, acl) as (
      select case prokind when 'p' then 'procedure' else 'function' end, 'pg_proc'::regclass, oid, oid::regprocedure::text, proacl
      from pg_proc where pronamespace = 'pg_catalog'::regnamespace and proacl is not null
      union all
      select 'table', 'pg_class'::regclass, oid, oid::regclass::text, relacl
      from pg_class where relnamespace = 'pg_catalog'::regnamespace and relacl is not null
    )
    select format('%s on %s', lower(a.privilege_type), o.name) as what,
      format('revoke %s on %s %s from public', lower(a.privilege_type), o.kind, o.name) as undo
    from public_now o cross join lateral aclexplode(o.acl) a
      left join pg_init_privs i on i.classoid = o.classid and i.objoid = o.objid and i.objsubid = 0
    where a.grantee = 0
      and not (i.initprivs is null and o.kind <> 'table')
      and not exists (select from aclexplode(i.initprivs) b where b.grantee = 0 and b.privilege_type = a.privilege_type)
    union all
    select format('%s on parameter %s', lower(a.privilege_type), p.parname),
      format('revoke %s on parameter %s from public', lower(a.privilege_type), p.parname)
    from pg_parameter_acl p, aclexplode(p.paracl) a where a.grantee = 0
    order by 1`;
  if (opened.length > 0) {
    findings.add("Database", "warning", "server-rights", {
      what: `Everybody may use what Postgres keeps for administrators: ${listed(opened.map(({ what }) => what))}.`,
      why: "The service's logins may, too: a stolen one reads files or other logins' password hashes by it.",
      fix: opened.map(({ undo }) => undo).join("; "),
    });
  } else {
    findings.ok("Database", "server-rights", "What Postgres keeps for administrators is kept.");
  }
  const foreign = await sql<{ name: string }[]>`
    select distinct p.oid::regprocedure::text as name
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_roles r on r.rolname = any (${logins}::text[])
    where p.prosecdef and n.nspname not in ('x3sproxy', 'pg_catalog', 'information_schema')
      and has_schema_privilege(r.oid, n.oid, 'usage') and has_function_privilege(r.oid, p.oid, 'execute')
    order by 1`;
  if (foreign.length > 0) {
    findings.add("Database", "note", "other-functions", {
      what: `The service's logins may run functions of others that act with their owner's rights: ${listed(foreign.map(({ name }) => name))}.`,
      why: "A stolen login gets what these give to everybody.",
      fix: "revoke execute on function … from public, and grant it to whom it is for, or give the service a database of its own",
    });
  } else {
    findings.ok(
      "Database",
      "other-functions",
      "No function of others lends the logins its rights.",
    );
  }
}
