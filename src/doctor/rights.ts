// Compares rights, roles and memberships with sql/expected.json. Reads only, in the caller's transaction, and waits for no lock.
import { loginName, type Sql, type TransactionSql } from "../db/index.ts";
import { readRightFacts } from "./catalog.ts";
import { RIGHT_KINDS } from "./facts.ts";
import { differences, hasLogins, type Difference, type Names } from "./comparison.ts";
import { listed, type Findings } from "./finding.ts";
import { checkOwnerRights, checkServerRights } from "./server-rights.ts";
import { listedFixes, placeOf, tell } from "./topics.ts";

/** The checks of this file, to be reported as skipped. */
export const RIGHTS_IDS: readonly string[] = [
  "role-rights",
  "database-rights",
  "other-roles",
  "other-logins",
  "owner-rights",
  "server-rights",
  "other-functions",
];

export async function checkRights(sql: TransactionSql, findings: Findings): Promise<void> {
  const names = await readNames(sql);
  const facts = await readRightFacts(sql, names.logins);
  const found = await differences(facts, RIGHT_KINDS, names);
  if (hasLogins(facts)) {
    tell(["role-rights", "database-rights"], found, findings);
    await checkOthers(sql, names.logins, found, findings);
  } else {
    tell(["role-rights"], found, findings);
    const why = "the service has not been started with this database, and has no logins in it yet";
    for (const id of ["database-rights", "other-roles", "other-logins"]) findings.skip(id, why);
  }
  await checkOwnerRights(sql, names.logins, findings);
  await checkServerRights(sql, names.logins, findings);
}

/** Makes the catalogs show every name with its schema, for the rest of the transaction. */
export async function readNames(sql: TransactionSql): Promise<Names> {
  await sql`set local search_path = ''`;
  const [{ name, ...names }] = await sql<[{ name: string; database: string; owner: string }]>`
    select current_database() as name, quote_ident(current_database()) as database,
      (select quote_ident(pg_get_userbyid(nspowner)) from pg_namespace where nspname = 'x3sproxy') as owner`;
  return { ...names, logins: [loginName("control", name), loginName("proxy", name)] };
}

/** Roles of others: those that can reach the schema, and those that can only connect to the database. */
async function checkOthers(
  sql: Sql,
  logins: readonly string[],
  found: readonly Difference[],
  findings: Findings,
): Promise<void> {
  const ours = ["x3sproxy_control", "x3sproxy_proxy", ...logins];
  const reaching = await sql<{ role: string }[]>`
    select quote_ident(r.rolname) as role from pg_roles r, pg_namespace n
    where n.nspname = 'x3sproxy' and not r.rolsuper and r.rolname !~ '^pg_'
      and r.oid <> n.nspowner and r.rolname <> current_user and r.rolname <> all (${ours}::text[])
      and has_database_privilege(r.oid, current_database(), 'connect')
      and (has_schema_privilege(r.oid, n.oid, 'usage') or pg_has_role(r.oid, n.nspowner, 'member')
        or exists (select from pg_roles o where o.rolname = any (${ours}::text[]) and pg_has_role(r.oid, o.oid, 'member')))
    order by 1`;
  const others = found.filter((each) => placeOf(each) === undefined);
  const given = others.filter(({ kind }) => kind !== "database right");
  const strangers = [
    ...new Set([...given.map(({ grantee }) => grantee ?? ""), ...reaching.map(({ role }) => role)]),
  ];
  if (strangers.length > 0) {
    const fixes = given.length === 0 ? "" : `${listedFixes(given)}; `;
    findings.add("Database", "warning", "other-roles", {
      what: `Others have a way into the schema: ${listed(strangers)}.`,
      why: "Whoever can write there can give themselves the use of keys.",
      fix: `${fixes}take from them what they are members of: the schema's owner, x3sproxy_control, x3sproxy_proxy, the two logins, pg_read_all_data, pg_write_all_data`,
    });
  } else findings.ok("Database", "other-roles", "Nobody else has a way into the schema.");
  const connecting = others.filter(
    ({ kind, grantee }) => kind === "database right" && !strangers.includes(grantee ?? ""),
  );
  if (connecting.length > 0) {
    findings.add("Database", "note", "other-logins", {
      what: `Others may use this database and have no way into the schema: ${listed(connecting.map(({ name }) => name))}.`,
      why: "As monitoring they belong there. They can hear the ids of what changes, hold locks and use up connections.",
      fix: `Unless you know them: ${listedFixes(connecting)}`,
    });
  } else findings.ok("Database", "other-logins", "Nobody else was given the use of the database.");
}
