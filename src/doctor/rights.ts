// Who may do what in the database: the service's own logins, and everybody else. Reads only.
import type { Sql } from "../db/index.ts";
import { listed, type Findings } from "./finding.ts";

// The groups of sql/, and the logins that db/logins.ts makes, one a database.
const OURS = "^x3sproxy_(control|proxy)(_[0-9a-f]{8})?$";
const PROXYS = "^x3sproxy_proxy(_[0-9a-f]{8})?$";

export async function checkRights(sql: Sql, findings: Findings): Promise<void> {
  await checkOwnRoles(sql, findings);
  await checkOtherRoles(sql, findings);
}

async function checkOwnRoles(sql: Sql, findings: Findings): Promise<void> {
  const reached = await sql<{ role: string; name: string }[]>`
    select quote_ident(r.rolname) as role, quote_ident(c.relname) as name
    from pg_class c join pg_roles r on r.rolname ~ ${PROXYS}
    where c.relnamespace = 'x3sproxy'::regnamespace and c.relkind in ('r', 'v', 'm', 'p', 'f')
      and has_database_privilege(r.oid, current_database(), 'connect')
      and (has_table_privilege(r.oid, c.oid, 'select, insert, update, delete, truncate')
        or has_any_column_privilege(r.oid, c.oid, 'select, insert, update'))
    order by 2, 1`;
  const strong = await sql<{ role: string }[]>`
    select quote_ident(r.rolname) as role
    from pg_roles r, pg_namespace n
    where r.rolname ~ ${OURS} and n.nspname = 'x3sproxy'
      and (r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb or r.rolreplication
        or pg_has_role(r.oid, n.nspowner, 'member'))
    order by 1`;
  const unconfined = await sql<{ name: string }[]>`
    select quote_ident(c.relname) as name from pg_class c
    where c.relnamespace = 'x3sproxy'::regnamespace and c.relkind in ('r', 'p') and not c.relrowsecurity
      and has_table_privilege('x3sproxy_control', c.oid, 'select, insert, update, delete')
      and exists (select from pg_attribute where attrelid = c.oid and attname = 'workspace_id')
    order by 1`;
  if (reached.length + strong.length + unconfined.length === 0) {
    findings.ok("Database", "role-rights", "The logins have just their rights.");
    return;
  }
  const [what, fix]: [string[], string[]] = [[], []];
  const tables = [...new Set(reached.map(({ name }) => name))];
  const roles = [...new Set(reached.map(({ role }) => role))];
  if (tables.length > 0) {
    what.push(`the data plane's reaches tables (${listed(tables)})`);
    fix.push(`revoke all on all tables in schema x3sproxy from public, ${roles.join(", ")}`);
  }
  if (strong.length > 0) {
    what.push(`attributes or memberships make some strong (${listed(strong.map(theRole))})`);
    const attributes = "nosuperuser nobypassrls nocreaterole nocreatedb noreplication";
    fix.push(...strong.map(({ role }) => `alter role ${role} ${attributes}`));
    fix.push("revoke the schema's owner from them");
  }
  if (unconfined.length > 0) {
    const names = unconfined.map(({ name }) => name);
    what.push(`rows of other workspaces are open to the admin side's (${listed(names)})`);
    fix.push(...names.map((name) => `alter table x3sproxy.${name} enable row level security`));
  }
  findings.add("Database", "critical", "role-rights", {
    what: `The service's own logins may do too much: ${what.join("; ")}.`,
    why: "The data plane's login alone must yield nothing, and each stays within its workspace.",
    fix: fix.join("; "),
  });
}

async function checkOtherRoles(sql: Sql, findings: Findings): Promise<void> {
  const strangers = await sql<{ role: string }[]>`
    select quote_ident(rolname) as role from pg_roles r
    where has_schema_privilege(r.oid, 'x3sproxy', 'usage') and not rolsuper
      and rolname !~ ${OURS} and rolname !~ '^pg_'
      and r.oid <> (select nspowner from pg_namespace where nspname = 'x3sproxy')
    order by 1`;
  if (strangers.length === 0) {
    findings.ok("Database", "other-roles", "Nobody else has a way into the schema.");
    return;
  }
  findings.add("Database", "warning", "other-roles", {
    what: `Others have a way into the schema: ${listed(strangers.map(theRole))}.`,
    why: "Whoever can write there can give themselves the use of keys.",
    fix: `revoke all on schema x3sproxy from ${strangers.map(theRole).join(", ")}; and take from them what they are members of: x3sproxy_control, pg_read_all_data, pg_write_all_data`,
  });
}

function theRole({ role }: { role: string }): string {
  return role;
}
