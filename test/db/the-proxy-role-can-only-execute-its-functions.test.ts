import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openClient, withOwner, type Client } from "../../src/db/connection.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { seedWorkspace } from "./fixture.ts";

const DENIED = { code: "42501" };
const MAY_EXECUTE = [
  "x3sproxy.resolve_token",
  "x3sproxy.agent_state",
  "x3sproxy.add_activity",
  "x3sproxy.add_calls",
  "x3sproxy.trade_registration",
  "x3sproxy.release_secret",
  "x3sproxy.renew_grant",
  "x3sproxy.record_cuts",
];

let database: TestDatabase;
let proxy: Client;
before(async () => {
  database = await createTestDatabase();
  await seedWorkspace(database.ownerUrl, "acme");
  proxy = openClient(database.proxyUrl, { max: 1, statementTimeoutMs: 0 });
});
after(async () => {
  proxy.destroy();
  await database.drop();
});

test("it can neither read nor write any table of the schema", async () => {
  const tables = await withOwner(
    database.ownerUrl,
    (sql) => sql<{ name: string; column: string }[]>`
      select c.relname as name, (
        select a.attname from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and a.attidentity = ''
        order by a.attnum limit 1) as column
      from pg_class c where c.relnamespace = 'x3sproxy'::regnamespace and c.relkind in ('r', 'v', 'm', 'p')`,
  );
  assert.ok(tables.length >= 11, "the enumeration found the tables");
  for (const { name, column } of tables) {
    const table = `x3sproxy.${name}`;
    for (const statement of [
      `select count(*) from ${table}`,
      `select ${column} from ${table}`,
      `insert into ${table} default values`,
      `update ${table} set ${column} = ${column}`,
      `delete from ${table}`,
      `truncate ${table}`,
      `copy ${table} to stdout`,
    ]) {
      await assert.rejects(proxy.sql.unsafe(statement), DENIED, statement);
    }
  }
});

test("it can execute what it is for, and no other function of the schema", async () => {
  const functions = await withOwner(
    database.ownerUrl,
    (sql) => sql<{ name: string; call: string; trigger: boolean }[]>`
      select format('x3sproxy.%I', p.proname) as name, p.prorettype = 'trigger'::regtype as trigger,
        format('select x3sproxy.%I(%s)', p.proname, (
          select string_agg(format('null::%s', format_type(t, null)), ', ') from unnest(p.proargtypes) t)) as call
      from pg_proc p where p.pronamespace = 'x3sproxy'::regnamespace`,
  );
  assert.ok(functions.length >= 6, "the enumeration found the functions");
  for (const { name, call } of functions) {
    if (MAY_EXECUTE.includes(name)) await proxy.sql.unsafe(call);
    else await assert.rejects(proxy.sql.unsafe(call), DENIED, call);
  }
  for (const name of MAY_EXECUTE) assert.ok(functions.some((found) => found.name === name));
});

test("it can't become anybody else, make anything or reach the server's files", async () => {
  for (const statement of [
    "set role x3sproxy",
    "set session authorization x3sproxy",
    "set role x3sproxy_control",
    "create table x3sproxy.mine (a int)",
    "create table public.mine (a int)",
    "create temporary table mine (a int)",
    "create schema mine",
    "create role mine",
    "grant x3sproxy_control to current_user",
    "alter table x3sproxy.agents disable row level security",
    "drop table x3sproxy.agents",
    "copy (select 1) to '/tmp/x3sproxy-proof'",
    "copy (select 1) to program 'true'",
    "select pg_read_file('PG_VERSION')",
    "select rolpassword from pg_authid",
  ]) {
    await assert.rejects(proxy.sql.unsafe(statement), DENIED, statement);
  }
});
