// The schema as text, read from the catalogs: what sql/schema.sql holds and a test compares. Run with --write, it makes
// that file anew from the migrations, sql/expected.json, which doctor compares a database with, and sql/edition.json.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withOwner } from "../../src/db/connection.ts";
import { startEmbedded } from "../../src/db/embedded.ts";
import { migrate, prepareLogins, type Sql } from "../../src/db/index.ts";
import { editionOf, readEdition } from "../../src/db/migrations.ts";
import { readContentFacts, readRightFacts } from "../../src/doctor/catalog.ts";
import { EXPECTED_FILE, expectedText } from "../../src/doctor/comparison.ts";
import { readNames } from "../../src/doctor/rights.ts";
import { createLog } from "../../src/platform/log.ts";

export const FUNCTIONS = new URL("../../sql/functions/", import.meta.url);
export const EDITION_FILE = new URL("../../sql/edition.json", import.meta.url);
export const SNAPSHOT_FILE = new URL("../../sql/schema.sql", import.meta.url);

const HEADING = `-- What the migrations add up to. Made by: node test/support/schema-snapshot.ts --write
-- For reading and comparing; it is never run.
`;

/** Deterministic: the same schema gives the same text, whoever owns it. */
export function snapshotOf(ownerUrl: string): Promise<string> {
  return withOwner(ownerUrl, async (sql) => {
    await sql`set search_path = ''`;
    const parts = [await tables(sql), await functions(sql), await triggers(sql)];
    parts.push(await policies(sql), await grants(sql));
    return HEADING + parts.map((lines) => `\n${lines.join("\n")}\n`).join("");
  });
}

/** Of a database that had its first start. */
export function expectedOf(ownerUrl: string): Promise<string> {
  return withOwner(ownerUrl, (sql) =>
    sql.begin(async (tx) => {
      const { logins } = await readNames(tx);
      return expectedText([...(await readRightFacts(tx, logins)), ...(await readContentFacts(tx))]);
    }),
  );
}

async function tables(sql: Sql): Promise<string[]> {
  const rows = await sql<{ name: string; security: boolean; lines: string[] }[]>`
    select c.relname as name, c.relrowsecurity as security, array(
      select format('  %s %s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
        case when a.attnotnull then ' not null' else '' end,
        ' default ' || pg_get_expr(d.adbin, d.adrelid))
      from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum
    ) || array(
      select format('  constraint %s %s', k.conname, pg_get_constraintdef(k.oid))
      from pg_constraint k where k.conrelid = c.oid and k.contype <> 'n' order by k.conname
    ) || array(
      select '  ' || pg_get_indexdef(i.indexrelid) from pg_index i
      where i.indrelid = c.oid and not exists (select from pg_constraint k where k.conindid = i.indexrelid)
      order by 1
    ) as lines
    from pg_class c where c.relnamespace = 'x3sproxy'::regnamespace and c.relkind <> 'i'
    order by c.relname`;
  return rows.map(
    ({ name, security, lines }) =>
      `table x3sproxy.${name} (\n${lines.join(",\n")}\n)${security ? " with row level security" : ""};`,
  );
}

async function functions(sql: Sql): Promise<string[]> {
  const rows = await sql<{ text: string }[]>`
    select pg_get_functiondef(oid) as text from pg_proc
    where pronamespace = 'x3sproxy'::regnamespace order by oid::regprocedure::text`;
  return rows.map(({ text }) => `${text.trimEnd()};`);
}

async function triggers(sql: Sql): Promise<string[]> {
  const rows = await sql<{ text: string }[]>`
    select pg_get_triggerdef(t.oid) as text from pg_trigger t join pg_class c on c.oid = t.tgrelid
    where c.relnamespace = 'x3sproxy'::regnamespace and not t.tgisinternal order by c.relname, t.tgname`;
  return rows.map(({ text }) => `${text};`);
}

async function policies(sql: Sql): Promise<string[]> {
  const rows = await sql<{ text: string }[]>`
    select format('policy %s on x3sproxy.%s %s for %s to %s using (%s) with check (%s);', policyname, tablename,
      permissive, cmd, array_to_string(roles, ', '), qual, coalesce(with_check, 'the same')) as text
    from pg_policies where schemaname = 'x3sproxy' order by tablename, policyname`;
  return rows.map(({ text }) => text);
}

async function grants(sql: Sql): Promise<string[]> {
  const rows = await sql<{ text: string }[]>`
    with granted as (
      select 'schema ' || nspname as object, nspacl as acl, nspowner as owner
      from pg_namespace where nspname = 'x3sproxy'
      union all
      select 'table x3sproxy.' || relname, relacl, relowner
      from pg_class where relnamespace = 'x3sproxy'::regnamespace and relkind <> 'i'
      union all
      select format('column x3sproxy.%s.%s', c.relname, a.attname), a.attacl, c.relowner
      from pg_attribute a join pg_class c on c.oid = a.attrelid
      where c.relnamespace = 'x3sproxy'::regnamespace and a.attnum > 0 and not a.attisdropped
      union all
      select 'function ' || oid::regprocedure::text, coalesce(proacl, acldefault('f', proowner)), proowner
      from pg_proc where pronamespace = 'x3sproxy'::regnamespace
    )
    select format('grant %s on %s to %s;', string_agg(lower(a.privilege_type), ', ' order by a.privilege_type),
      object, case a.grantee when 0 then 'public' else a.grantee::regrole::text end) as text
    from granted, aclexplode(acl) a where a.grantee <> owner
    group by object, a.grantee order by object, a.grantee::regrole::text`;
  return rows.map(({ text }) => text);
}

if (import.meta.main && process.argv[2] === "--write") {
  const edition = await editionOf(FUNCTIONS, await readEdition(EDITION_FILE));
  await writeFile(EDITION_FILE, `${JSON.stringify(edition, undefined, 2)}\n`);
  const dataDir = await mkdtemp(join(tmpdir(), "x3sproxy-schema-"));
  const server = await startEmbedded({ dataDir, log: createLog({ level: "error" }) });
  try {
    await migrate(server.ownerUrl);
    await writeFile(SNAPSHOT_FILE, await snapshotOf(server.ownerUrl));
    await prepareLogins(server.ownerUrl, (role) => `fake-${role}-password`);
    await writeFile(EXPECTED_FILE, await expectedOf(server.ownerUrl));
  } finally {
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}
