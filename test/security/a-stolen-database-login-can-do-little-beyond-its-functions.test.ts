// What the two logins can do beyond the tables and functions of the service, asked from the server's own catalog: of the functions with
// effects, each is taken away, or refuses by itself, or is counted in docs/threat-model.md.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import {
  revokePublicRights,
  LOCK,
  prepareLogins,
  transact,
  withOwner,
  type OwnerSql,
} from "../../src/db/index.ts";
import { Findings } from "../../src/doctor/finding.ts";
import { checkRights } from "../../src/doctor/rights.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

// Each with the reason for which it may stay.
const HARMLESS: readonly [names: RegExp, why: string][] = [
  [
    /^(clock_timestamp|timeofday|random|random_normal|setseed|gen_random_uuid|uuidv[47])$/,
    "time and chance",
  ],
  [/^(array_sample|array_shuffle|bernoulli|system|current_query)$/, "works on its arguments alone"],
  [/^pg_sleep(_for|_until)?$/, "waits; connections are limited, and counted"],
  [
    /^(set_config|pg_notify)$/,
    "needed; SET and NOTIFY do the same and can't be taken away: counted",
  ],
  [
    /^(currval|lastval|nextval|setval|pg_sequence_last_value|pg_get_sequence_data)$/,
    "needs a right to the sequence",
  ],
  [/^(query|cursor)_to_xml/, "runs a query with the login's own rights"],
  [/^ts_(stat|rewrite)$/, "runs a query with the login's own rights"],
  [/^binary_upgrade_/, "refuses, but for a server that is being upgraded"],
  [
    /^(brin_(de)?summarize_(new_values|range)|gin_clean_pending_list|pg_(clear|restore)_(attribute|relation)_stats)$/,
    "needs to own or maintain the table",
  ],
  [
    /^pg_(create|copy|drop|sync)_.*slots?$|^pg_(logical_slot_|replication_slot_advance)/,
    "needs the attribute REPLICATION",
  ],
  [
    /^pg_(extension_config_dump|import_system_collations|nextoid|stop_making_pinned_objects)$/,
    "refuses, but for superusers or extension scripts",
  ],
  [/^(plpgsql_.*|dsnowball_.*|.*handler|amvalidate)$/, "is called by the server"],
  [/^pg_stat_(clear_snapshot|force_next_flush|get_)/, "reads its own counters"],
  [
    /^(pg_control_|pg_current_wal|pg_last_|pg_is_|pg_get_|pg_xact_|txid_status|pg_prepared_xact|pg_available_wal|pg_wal_summary)/,
    "reads the server's state",
  ],
  [
    /^(pg_.*size|pg_.*collation_actual_version|pg_partition_|pg_lock_status|pg_(safe_snapshot_)?blocking_pids|currtid2)/,
    "reads the server's state",
  ],
  [
    /^pg_(isolation_test_session_is_blocked|jit_available|notification_queue_usage)$/,
    "reads the server's state",
  ],
];
const CONTROL_LOCKS = ["pg_advisory_xact_lock", "pg_try_advisory_xact_lock"];
const INSUFFICIENT_PRIVILEGE = "42501";

describe("a stolen login of the database", () => {
  let database: TestDatabase;
  before(async () => {
    database = await createTestDatabase();
    // As the start does with the embedded database; twice is as good as once.
    await revokePublicRights(database.ownerUrl);
    await revokePublicRights(database.ownerUrl);
  });
  after(() => database.drop());

  test("runs no function of Postgres with an effect that nobody has thought of", async () => {
    for (const [url, more] of [
      [database.proxyUrl, []],
      [database.controlUrl, CONTROL_LOCKS],
    ] as const) {
      const rows = await withOwner(
        url,
        (sql) => sql<{ name: string }[]>`
          select distinct proname as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
          where nspname <> 'x3sproxy' and has_schema_privilege(n.oid, 'usage')
            and (provolatile = 'v' or proname ~ '^lo_|advisory') and has_function_privilege(p.oid, 'execute')
            and prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
          order by 1`,
      );
      assert.ok(rows.length > 50, "the catalog was read");
      const open = rows
        .map(({ name }) => name)
        .filter((name) => !HARMLESS.some(([names]) => names.test(name)));
      assert.deepEqual(open, more);
    }
  });

  test("makes no object, holds no lock that chores wait for, ends nobody's session", async () => {
    const anywhere = [
      "select lo_create(0)",
      "select lo_creat(-1)",
      "select lo_from_bytea(0, 'FAKE')",
      "create temporary table kept (a int)",
      "create temporary sequence kept",
      "create table public.kept (a int)",
      "create table x3sproxy.kept (a int)",
      "create schema kept",
      "create function public.kept() returns int language sql as 'select 1'",
      "create role kept",
      "create extension pg_trgm",
      "create publication kept",
      "copy (select 1) to program 'true'",
      "select pg_read_file('PG_VERSION')",
      "set session_replication_role = replica",
      "set role x3sproxy",
      "select pg_terminate_backend(pg_backend_pid())",
      "select pg_cancel_backend(pg_backend_pid())",
      "select pg_logical_emit_message(false, 'a', 'b')",
      "select pg_export_snapshot()",
      `select pg_advisory_lock(${LOCK.migrations})`,
      `select pg_try_advisory_lock(${LOCK.backup})`,
      `select pg_advisory_lock_shared(${LOCK.auditSealing})`,
      `select pg_advisory_xact_lock_shared(${LOCK.auditSealing})`,
      "select pg_advisory_lock(1, 2)",
      "select pg_advisory_unlock_all()",
    ];
    const locks = CONTROL_LOCKS.map((name) => `select ${name}(${LOCK.auditSealing})`);
    await refusesEach(database.proxyUrl, [...anywhere, ...locks]);
    await refusesEach(database.controlUrl, anywhere);
    // What the control plane needs, it has: a repeated deployment and the audit's sealing.
    await withOwner(database.controlUrl, async (sql) => {
      for (const lock of locks) await sql.unsafe(lock);
    });
  });

  test("a password and settings that it gives itself end with the next start, or are found", async () => {
    const { username } = new URL(database.proxyUrl);
    await withOwner(database.proxyUrl, async (sql) => {
      await sql.unsafe(`alter role ${username} password 'a-FAKE-other-password'`);
      await sql.unsafe(`alter role ${username} set statement_timeout = '1ms'`);
      await sql.unsafe(`alter role ${username} reset statement_timeout`);
      await sql.unsafe(`alter role ${username} set lock_timeout = '1ms'`);
    });
    const asBefore = (): Promise<unknown> => withOwner(database.proxyUrl, (sql) => sql`select 1`);
    await assert.rejects(asBefore, /28P01/);
    await prepareLogins(database.ownerUrl, (role) => `fake-${role}-password`);
    await asBefore();
    const findings = new Findings();
    await withOwner(database.ownerUrl, (sql) => transact(sql, (tx) => checkRights(tx, findings)));
    const found = findings.all.find(({ id }) => id === "role-rights");
    assert.match(found?.what ?? "", /role setting lock_timeout of x3sproxy_proxy_[0-9a-f]{8}/);
    await withOwner(database.ownerUrl, (sql) => sql.unsafe(found?.fix ?? "").simple());
  });

  test("the SQL of the threat model takes the same from everybody in another database", async () => {
    const text = await readFile(new URL("../../docs/threat-model.md", import.meta.url), "utf8");
    const block = /^ {4}do \$\$ [^]*?(?=\n\n)/m.exec(text)?.[0] ?? "";
    const other = await createTestDatabase();
    try {
      await withOwner(other.ownerUrl, (sql) => sql.unsafe(block).simple());
      assert.deepEqual(await everybodys(other.ownerUrl), await everybodys(database.ownerUrl));
      assert.ok((await everybodys(other.ownerUrl)).length > 1000);
    } finally {
      await other.drop();
    }
  });

  test("what everybody lost is not told as more than the migrations make", async () => {
    const findings = new Findings();
    await withOwner(database.ownerUrl, (sql) => transact(sql, (tx) => checkRights(tx, findings)));
    assert.deepEqual(
      findings.all.filter(({ severity }) => severity !== "ok"),
      [],
    );
  });
});

/** What everybody may run, and the control plane's group beyond that. */
function everybodys(url: string): Promise<string[]> {
  return withOwner(url, async (sql) => {
    const rows = await sql<{ what: string }[]>`
      select oid::regprocedure || ' ' || r as what from pg_proc, unnest(array['public', 'x3sproxy_control']) r
      where pronamespace = 'pg_catalog'::regnamespace and has_function_privilege(r, oid, 'execute') order by 1`;
    return rows.map(({ what }) => what);
  });
}

async function refusesEach(url: string, statements: readonly string[]): Promise<void> {
  await withOwner(url, async (sql: OwnerSql) => {
    for (const statement of statements) {
      await assert.rejects(
        () => sql.unsafe(statement).simple(),
        { code: INSUFFICIENT_PRIVILEGE },
        statement,
      );
    }
  });
}
