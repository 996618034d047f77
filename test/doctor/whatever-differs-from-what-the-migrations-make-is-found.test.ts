// Each change is made in a transaction, found by name, mended by the SQL that is told, and rolled back.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import {
  loginName,
  migrate,
  migrateWithin,
  prepareLogins,
  transact,
  withOwner,
  type TransactionSql,
} from "../../src/db/index.ts";
import { readContentFacts } from "../../src/doctor/catalog.ts";
import { CONTENT_KINDS } from "../../src/doctor/facts.ts";
import { differences } from "../../src/doctor/comparison.ts";
import { Findings, type Finding } from "../../src/doctor/finding.ts";
import { checkRights, readNames } from "../../src/doctor/rights.ts";
import { checkContent } from "../../src/doctor/schema-content.ts";
import {
  createTestDatabase,
  serverUrl,
  urlOfDatabase,
  type TestDatabase,
} from "../support/database.ts";

/** What is changed, the finding, and what it names. `P` and `C` are the logins, `S` a stranger, `D` the database. */
type Mistake = readonly [change: string, id: string, severity: string, names: string];

const MISTAKES: readonly Mistake[] = [
  // What the two logins and their groups may do.
  ...inRights(
    [
      "grant update on x3sproxy.audit_events to x3sproxy_control",
      "update on table x3sproxy.audit_events",
    ],
    ["grant delete on x3sproxy.audit_events to C", "delete on table x3sproxy.audit_events to C"],
    [
      "grant insert (id) on x3sproxy.audit_events to x3sproxy_control",
      "insert (id) on table x3sproxy.audit_events",
    ],
    ["grant update (ciphertext) on x3sproxy.secret_versions to C", "update (ciphertext)"],
    [
      "grant select on x3sproxy.sealed_keys to x3sproxy_control",
      "select on table x3sproxy.sealed_keys",
    ],
    [
      "grant select (ciphertext) on x3sproxy.sealed_keys to P",
      "select (ciphertext) on table x3sproxy.sealed_keys to P",
    ],
    [
      "grant select on x3sproxy.workspaces to public",
      "select on table x3sproxy.workspaces to public",
    ],
    [
      "grant select on x3sproxy.agents to x3sproxy_control with grant option",
      "select on table x3sproxy.agents to x3sproxy_control (changed)",
    ],
    [
      "grant usage on sequence x3sproxy.audit_events_id_seq to C",
      "usage on sequence x3sproxy.audit_events_id_seq",
    ],
    ["grant create on schema x3sproxy to x3sproxy_control", "create on schema x3sproxy"],
    ["grant usage on schema x3sproxy to public", "usage on schema x3sproxy to public"],
    [
      "grant execute on function x3sproxy.resolve_token(bytea) to C",
      "x3sproxy.resolve_token(bytea) to C",
    ],
    [
      "grant execute on function x3sproxy.activate_master_key(text) to P",
      "x3sproxy.activate_master_key(text) to P",
    ],
    ["grant execute on function x3sproxy.at_home() to public", "x3sproxy.at_home() to public"],
    [
      "revoke execute on function x3sproxy.resolve_token(bytea) from x3sproxy_proxy",
      "x3sproxy.resolve_token(bytea) to x3sproxy_proxy (missing)",
    ],
    [
      "revoke select on x3sproxy.users from x3sproxy_control",
      "select on table x3sproxy.users to x3sproxy_control (missing)",
    ],
    [
      "alter default privileges in schema x3sproxy grant select on tables to x3sproxy_proxy",
      "select on new tables",
    ],
    ["alter default privileges grant execute on functions to P", "execute on new functions"],
    ["alter role C bypassrls", "role C"],
    ["alter role P superuser", "role P"],
    ["alter role P createrole createdb replication", "role P"],
    ["alter role P connection limit -1", "role P"],
    ["alter role C valid until '2000-01-01'", "role C"],
    ["alter role C noinherit", "role C"],
    [
      "alter role P set session_replication_role = 'replica'",
      "role setting session_replication_role of P",
    ],
    ["alter role P in database D set search_path = public", "role setting search_path of P"],
    ["grant x3sproxy_control to P", "membership P in x3sproxy_control"],
    ["grant pg_read_all_data to P", "membership P in pg_read_all_data"],
    ["grant pg_write_server_files to C", "membership C in pg_write_server_files"],
    ["grant x3sproxy_proxy to P with admin option", "membership P in x3sproxy_proxy (changed)"],
    ["revoke x3sproxy_control from C", "membership C in x3sproxy_control (missing)"],
    [
      "grant execute on function pg_read_file(text) to P",
      "a right by P of function pg_catalog.pg_read_file",
    ],
    [
      "create table public.theirs (); grant select on public.theirs to C",
      "a right by C of table public.theirs",
    ],
    ["create schema theirs authorization P", "ownership by P of schema theirs"],
    ["grant set on parameter session_replication_role to C", "session_replication_role"],
    ["select lo_create(7); alter large object 7 owner to P", "large object 7"],
    ["alter table x3sproxy.secrets disable row level security", "row security x3sproxy.secrets"],
    [
      "alter table x3sproxy.audit_events force row level security",
      "row security x3sproxy.audit_events",
    ],
  ),
  // Policies.
  ...[
    [
      "create policy open on x3sproxy.secrets for select to x3sproxy_control using (true)",
      "policy open on x3sproxy.secrets",
    ],
    [
      "create policy open on x3sproxy.audit_events to public using (true)",
      "policy open on x3sproxy.audit_events",
    ],
    [
      "drop policy own_workspace on x3sproxy.users",
      "policy own_workspace on x3sproxy.users (missing)",
    ],
    [
      "alter policy own_workspace on x3sproxy.audit_events with check (true)",
      "policy own_workspace on x3sproxy.audit_events (changed)",
    ],
    [
      "alter policy own_workspace on x3sproxy.agents to public",
      "policy own_workspace on x3sproxy.agents (changed)",
    ],
  ].map(([change = "", names = ""]) => [change, "policies", "critical", names] as const),
  // What is in the schema.
  ...content(
    "critical",
    [
      "alter table x3sproxy.agents disable trigger announce",
      "trigger announce on x3sproxy.agents (changed)",
    ],
    [
      "alter table x3sproxy.secrets enable replica trigger announce",
      "trigger announce on x3sproxy.secrets (changed)",
    ],
    ["alter table x3sproxy.sessions disable trigger all", "trigger of the constraint sessions_"],
    [
      "drop trigger place_credential on x3sproxy.secret_versions",
      "trigger place_credential on x3sproxy.secret_versions (missing)",
    ],
    [
      "create function public.copy() returns trigger language plpgsql as 'begin return new; end'; create trigger aa_copy before insert on x3sproxy.secret_versions for each row execute function public.copy()",
      "trigger aa_copy on x3sproxy.secret_versions",
    ],
    [
      "create rule nothing as on delete to x3sproxy.proxy_tokens do instead nothing",
      "rule nothing on x3sproxy.proxy_tokens",
    ],
    [
      "create table public.child () inherits (x3sproxy.api_keys)",
      "inheritance public.child of x3sproxy.api_keys",
    ],
    [
      "create function x3sproxy.more() returns int language sql security definer as 'select 1'; revoke all on function x3sproxy.more() from public",
      "function x3sproxy.more()",
    ],
    [
      "alter table x3sproxy.api_keys drop constraint api_keys_role_check",
      "constraint api_keys_role_check on x3sproxy.api_keys (missing)",
    ],
    [
      "alter table x3sproxy.api_keys drop constraint api_keys_role_check; alter table x3sproxy.api_keys add constraint api_keys_role_check check (true)",
      "constraint api_keys_role_check on x3sproxy.api_keys (changed)",
    ],
    ["alter table x3sproxy.audit_events owner to S", "table x3sproxy.audit_events (changed)"],
    [
      "alter function x3sproxy.resolve_token(bytea) owner to S",
      "function x3sproxy.resolve_token(bytea) (changed)",
    ],
    // Every session would begin in that workspace, and without triggers.
    [
      "alter database D set x3sproxy.workspace = '00000000-0000-4000-8000-000000000000'",
      "server setting x3sproxy.workspace of the database",
    ],
    [
      "alter role all set session_replication_role = 'replica'",
      "server setting session_replication_role of all databases",
    ],
  ),
  ...content(
    "warning",
    ["create view x3sproxy.peek as select * from x3sproxy.sealed_keys", "table x3sproxy.peek"],
    // The rows of the service outside of its schema, with the owner's rights; and what holds up their deletion.
    [
      "create view public.leak as select * from x3sproxy.secret_versions; grant select on public.leak to S",
      "table public.leak",
    ],
    [
      "create materialized view public.kept as select * from x3sproxy.sessions",
      "table public.kept",
    ],
    [
      "create table public.pin (agent uuid constraint pinned references x3sproxy.agents (id))",
      "constraint pinned on public.pin",
    ],
    ["alter table x3sproxy.agents add column note text", "column x3sproxy.agents.note"],
    ["create type x3sproxy.kind as enum ('a')", "object type x3sproxy.kind"],
    [
      "alter table x3sproxy.agents add constraint odd check (name <> 'odd')",
      "constraint odd on x3sproxy.agents",
    ],
  ),
  [
    "drop index x3sproxy.audit_events_latest",
    "schema-indexes",
    "warning",
    "index x3sproxy.audit_events_latest on x3sproxy.audit_events (missing)",
  ],
  [
    "create index mine on x3sproxy.agents (created_at)",
    "schema-indexes",
    "note",
    "index x3sproxy.mine",
  ],
  [
    "create publication everything for all tables",
    "replication",
    "warning",
    "publication everything",
  ],
  [
    "create publication part for table x3sproxy.secret_versions",
    "replication",
    "warning",
    "publication part",
  ],
  [
    "create function public.ev() returns event_trigger language plpgsql as 'begin end'; create event trigger watch on ddl_command_end execute function public.ev()",
    "event-triggers",
    "note",
    "event trigger watch",
  ],
  // Others.
  ["grant select on x3sproxy.secrets to S", "other-roles", "warning", "S"],
  [
    "alter default privileges in schema x3sproxy grant select on tables to S",
    "other-roles",
    "warning",
    "S",
  ],
  ["grant connect on database D to S; grant pg_read_all_data to S", "other-roles", "warning", "S"],
  ["grant connect on database D to S; grant x3sproxy_control to S", "other-roles", "warning", "S"],
  ["grant connect on database D to S; grant P to S", "other-roles", "warning", "S"],
  ["grant connect on database D to S", "other-logins", "note", "connect to S"],
  ["grant connect on database D to public", "database-rights", "warning", "connect to public"],
  ["grant temporary on database D to public", "database-rights", "warning", "temporary to public"],
  [
    "grant create on database D to x3sproxy_control",
    "database-rights",
    "warning",
    "create to x3sproxy_control",
  ],
  ["revoke connect on database D from P", "database-rights", "warning", "connect to P (missing)"],
  [
    "grant execute on function pg_read_file(text) to public",
    "server-rights",
    "warning",
    "pg_read_file(text)",
  ],
  ["grant select on pg_authid to public", "server-rights", "warning", "select on pg_authid"],
  [
    "grant set on parameter session_replication_role to public",
    "server-rights",
    "warning",
    "parameter session_replication_role",
  ],
  [
    "create function public.lend() returns int language sql security definer as 'select 1'",
    "other-functions",
    "note",
    "public.lend()",
  ],
];

function inRights(...cases: [change: string, names: string][]) {
  return cases.map(([change, names]) => [change, "role-rights", "critical", names] as const);
}

function content(severity: string, ...cases: [change: string, names: string][]) {
  return cases.map(([change, names]) => [change, "schema-content", severity, names] as const);
}

// No statement alone brings these back, or whose they are is for people to say.
const IN_WORDS =
  /^(bring |alter schema x3sproxy owner to the user|take from them|revoke execute on function …|Take |Unless you know them: )/;

describe("whatever differs from what the migrations make", () => {
  let database: TestDatabase;
  const stranger = `stranger_${randomBytes(4).toString("hex")}`;
  before(async () => {
    database = await createTestDatabase();
    await withOwner(database.ownerUrl, (sql) => sql.unsafe(`create role ${stranger} login`));
  });
  after(async () => {
    await withOwner(database.ownerUrl, (sql) => sql.unsafe(`drop role ${stranger}`));
    await database.drop();
  });

  test("is found by name, nothing else is, and the SQL that is told mends it", async () => {
    const name = new URL(database.ownerUrl).pathname.slice(1);
    const words = {
      P: loginName("proxy", name),
      C: loginName("control", name),
      D: name,
      S: stranger,
    };
    const here = (text: string): string =>
      text.replace(/\b[PCDS]\b/g, (word) => words[word as keyof typeof words]);
    assert.deepEqual(told(await withOwner(database.ownerUrl, (sql) => transact(sql, look))), {});
    await rolledBack(database.ownerUrl, async (tx) => {
      for (const [change, id, severity, names] of MISTAKES) {
        await tx`savepoint before`;
        await tx.unsafe(here(change)).simple();
        // By this one the logins of other tests that run on the server have a way in, too.
        const letsAllIn = change === "grant connect on database D to public";
        const found = (await look(tx)).filter((each) => !letsAllIn || each.id !== "other-roles");
        const finding = only(found, { [id]: severity }, change);
        assert.ok(finding.what.includes(here(names)), `${change}: ${finding.what}`);
        const fixes = finding.fix.split("; ");
        for (const fix of fixes.filter((each) => !IN_WORDS.test(each))) {
          assert.match(fix, /^(alter|grant|revoke|create|drop) /i, change);
          await tx.unsafe(fix).simple();
        }
        if (!fixes.some((each) => IN_WORDS.test(each))) {
          assert.deepEqual(told(await look(tx)), {}, `${change}: ${finding.fix}`);
        }
        await tx`rollback to savepoint before`;
      }
    });
  });

  test("a schema that belongs to a role of the service is found", async () => {
    await rolledBack(database.ownerUrl, async (tx) => {
      await tx`alter schema x3sproxy owner to x3sproxy_control`;
      const finding = (await look(tx)).find(({ id }) => id === "role-rights");
      assert.equal(finding?.severity, "critical");
      assert.match(finding.what, /schema owner x3sproxy \(changed\)/);
    });
  });

  test("every function of the schema, replaced or with other settings, is found", async () => {
    await rolledBack(database.ownerUrl, async (tx) => {
      await tx`set local search_path = ''`;
      const functions = await tx<{ name: string; source: string }[]>`
        select oid::regprocedure::text as name, pg_get_functiondef(oid) as source
        from pg_proc where pronamespace = 'x3sproxy'::regnamespace`;
      assert.ok(functions.length > 40);
      const changes: ((each: { name: string; source: string }) => string)[] = [
        ({ source }) => source.replace("AS $function$", "AS $function$ /* more */ "),
        ({ name }) => `alter function ${name} set search_path = public`,
        ({ name }) => `alter function ${name} set search_path = x3sproxy, pg_catalog, pg_temp`,
        ({ name, source }) =>
          `alter function ${name} security ${source.includes("SECURITY DEFINER") ? "invoker" : "definer"}`,
        ({ name }) => `alter function ${name} owner to ${stranger}`,
      ];
      const names = await readNames(tx);
      for (const change of changes) {
        await tx`savepoint before`;
        for (const each of functions) await tx.unsafe(change(each)).simple();
        const found = await differences(await readContentFacts(tx), CONTENT_KINDS, names);
        assert.deepEqual(
          found.map(({ what }) => what),
          functions.map(({ name }) => `function ${name} (changed)`).sort(),
          String(change),
        );
        await tx`rollback to savepoint before`;
      }
    });
  });

  test("the first start has not been made yet: nothing is missed, nothing is in order that is not", async () => {
    const name = `test_${randomBytes(8).toString("hex")}`;
    const url = urlOfDatabase(serverUrl(), name);
    await withOwner(serverUrl(), (sql) => sql`create database ${sql(name)}`);
    try {
      // Brought to this version in two steps, as an older installation.
      await withOwner(url, (sql) => transact(sql, (tx) => migrateWithin(tx, "0010_leases.sql")));
      await migrate(url);
      const found = await withOwner(url, (sql) => transact(sql, look));
      assert.deepEqual(told(found), {});
      const logins = await prepareLogins(url, (role) => `fake-${role}-password`);
      assert.deepEqual(told(await withOwner(url, (sql) => transact(sql, look))), {});
      await withOwner(serverUrl(), async (sql) => {
        await sql`drop database ${sql(name)} with (force)`;
        for (const login of Object.values(logins)) {
          await sql`drop role ${sql(new URL(login).username)}`;
        }
      });
    } finally {
      await withOwner(serverUrl(), (sql) => sql`drop database if exists ${sql(name)} with (force)`);
    }
  });
});

async function look(tx: TransactionSql): Promise<Finding[]> {
  const findings = new Findings();
  await checkRights(tx, findings);
  await checkContent(tx, findings);
  return findings.all;
}

/** The one that is not in order. */
function only(found: readonly Finding[], expected: Record<string, string>, why: string): Finding {
  assert.deepEqual(told(found), expected, why);
  const finding = found.find(({ severity }) => severity !== "ok");
  assert.ok(finding);
  return finding;
}

function told(findings: readonly Finding[]): Record<string, string> {
  const bad = findings.filter(({ severity }) => severity !== "ok");
  return Object.fromEntries(bad.map(({ id, severity }) => [id, severity]));
}

async function rolledBack(url: string, work: (tx: TransactionSql) => Promise<void>): Promise<void> {
  const done = new Error("to roll back");
  await withOwner(url, (sql) =>
    transact(sql, async (tx) => {
      await work(tx);
      throw done;
    }),
  ).catch((error: unknown) => {
    if (error !== done) throw error;
  });
}
