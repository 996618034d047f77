import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openClient, withOwner, type Client } from "../../src/db/connection.ts";
import { createPool, type Pool, type Sql, type TransactionSql } from "../../src/db/index.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { seedWorkspace, type Seed } from "./fixture.ts";

const DENIED = { code: "42501" };
// Tables without a workspace, and what the control role may do with them.
const SHARED: Readonly<Record<string, { column: string; allowed: string[] }>> = {
  master_keys: { column: "key_id", allowed: ["select"] },
  schema_migrations: { column: "name", allowed: [] },
  schema_functions: { column: "name", allowed: [] },
  setup_links: { column: "hash", allowed: [] },
  account_attempts: { column: "subject", allowed: [] },
  activity_writers: { column: "writer", allowed: [] },
  sealed_keys: { column: "name", allowed: [] },
  process_keys: { column: "process", allowed: [] },
};
const DELETABLE = [
  "providers",
  "new_agent_scopes",
  "deployment_requests",
  "proxy_tokens",
  "registrations",
  "secret_versions",
  "agents",
  "secrets",
  "api_keys",
  "users",
  "second_factors",
  "recovery_codes",
  "sessions",
  "invitations",
  "resets",
  "audit_pending",
];
// Written by functions alone: the data plane's, and those of the audit.
const READ_ONLY = [
  "activity_minutes",
  "activity_versions",
  "activity_agents",
  "activity_calls",
  "activity_contexts",
  "agent_first_uses",
  "audit_erasures",
  "spent_registrations",
];
const NOT_INSERTABLE = [...READ_ONLY, "audit_pending", "audit_retentions"];
// Columns that the database fills, and nobody else may.
const OF_THE_DATABASE: Readonly<Record<string, readonly string[]>> = {
  audit_events: ["id", "created_at", "actor_salt", "target_salt"],
  activity_contexts: ["context_hash"],
};
const UPDATABLE = ["providers", "secrets", "agents", "api_keys", "users"];

let database: TestDatabase;
let control: Client;
let pool: Pool;
let ours: Seed;
let theirs: Seed;
before(async () => {
  database = await createTestDatabase();
  ours = await seedWorkspace(database.ownerUrl, "ours");
  theirs = await seedWorkspace(database.ownerUrl, "theirs");
  control = openClient(database.controlUrl, { max: 1, statementTimeoutMs: 0 });
  pool = createPool(database.controlUrl);
});
after(async () => {
  control.destroy();
  await pool.close();
  await database.drop();
});

const allTables = (): Promise<string[]> =>
  withOwner(database.ownerUrl, async (sql) => {
    const rows = await sql<{ name: string }[]>`select relname as name from pg_class
      where relnamespace = 'x3sproxy'::regnamespace and relkind in ('r', 'v', 'm', 'p')`;
    return rows.map(({ name }) => name);
  });
const confined = async (): Promise<string[]> =>
  (await allTables()).filter((name) => !(name in SHARED) && name !== "workspaces");
const count = async (sql: Sql | TransactionSql, table: string): Promise<number> =>
  (await sql`select from ${sql(`x3sproxy.${table}`)}`).length;

test("without a workspace it sees no row of any workspace", async () => {
  const tables = [...(await confined()), "workspaces"];
  assert.ok(tables.length >= 8);
  for (const table of tables) assert.equal(await count(control.sql, table), 0, table);
});

test("with one it sees the rows of that one only", async () => {
  for (const table of await confined()) {
    const rows = await pool.inWorkspace(
      ours.workspaceId,
      (sql) =>
        sql<
          { workspaceId: string }[]
        >`select workspace_id as "workspaceId" from ${sql(`x3sproxy.${table}`)}`,
    );
    assert.deepEqual(
      rows.map(({ workspaceId }) => workspaceId),
      [ours.workspaceId],
      table,
    );
  }
  const workspaces = await pool.inWorkspace(
    ours.workspaceId,
    (sql) => sql`select id from x3sproxy.workspaces`,
  );
  assert.deepEqual([...workspaces], [{ id: ours.workspaceId }]);
});

test("the setting ends with its transaction", async () => {
  await pool.inWorkspace(ours.workspaceId, (sql) => sql`select 1`);
  const after = await pool.query(async (sql) => count(sql, "agents"));
  assert.equal(after, 0);
});

test("it changes and deletes nothing of another workspace", async () => {
  for (const table of await confined()) {
    await pool.inWorkspace(ours.workspaceId, async (sql) => {
      const name = sql(`x3sproxy.${table}`);
      if (UPDATABLE.includes(table)) {
        const changed =
          await sql`update ${name} set created_at = now() where workspace_id = ${theirs.workspaceId}`;
        assert.equal(changed.count, 0, table);
      }
      if (DELETABLE.includes(table)) {
        const deleted = await sql`delete from ${name} where workspace_id = ${theirs.workspaceId}`;
        assert.equal(deleted.count, 0, table);
      }
    });
    const left = await withOwner(
      database.ownerUrl,
      (sql) =>
        sql`select from ${sql(`x3sproxy.${table}`)} where workspace_id = ${theirs.workspaceId}`,
    );
    assert.equal(left.length, 1, table);
  }
});

test("it can neither put a row into another workspace nor move one there", async () => {
  for (const table of await confined()) {
    await assert.rejects(
      pool.inWorkspace(ours.workspaceId, async (sql) => {
        // A copy of a row of ours, but for its workspace: the policy is asked before any unique index.
        const name = sql(`x3sproxy.${table}`);
        const [row = {}] = await sql<Record<string, never>[]>`select * from ${name}`;
        const copy = Object.fromEntries(
          Object.entries(row).filter(([column]) => !OF_THE_DATABASE[table]?.includes(column)),
        );
        await sql`insert into ${name} ${sql({ ...copy, workspace_id: theirs.workspaceId })}`;
      }),
      {
        code: "42501",
        message: NOT_INSERTABLE.includes(table) ? /permission denied/ : /row-level security/,
      },
      table,
    );
    if (!UPDATABLE.includes(table)) continue;
    await assert.rejects(
      pool.inWorkspace(
        ours.workspaceId,
        (sql) => sql`update ${sql(`x3sproxy.${table}`)} set workspace_id = ${theirs.workspaceId}`,
      ),
      { code: "42501", message: /row-level security/ },
      table,
    );
  }
});

test("it can't attach a version or a token of its own workspace to another's secret or agent", async () => {
  const foreignKey = { code: "23503" };
  await assert.rejects(
    pool.inWorkspace(
      ours.workspaceId,
      (sql) => sql`insert into x3sproxy.secret_versions
          (secret_id, workspace_id, version, origin, key_id, wrapped_key, ciphertext, mask)
        values (${theirs.secretId}, ${ours.workspaceId}, 2, 'https://evil.example', 'fake-key', '', '', '')`,
    ),
    foreignKey,
  );
  await withOwner(
    database.ownerUrl,
    (sql) => sql`delete from x3sproxy.proxy_tokens where agent_id = ${theirs.agentId}`,
  );
  await assert.rejects(
    pool.inWorkspace(ours.workspaceId, async (sql) => {
      await sql`insert into x3sproxy.proxy_tokens (hash, workspace_id, agent_id, deployment)
        values (${Buffer.alloc(32, 7)}, ${ours.workspaceId}, ${theirs.agentId}, 1)`;
    }),
    foreignKey,
  );
});

test("what is sealed and what is hashed can be replaced, never edited", async () => {
  for (const table of ["secret_versions", "proxy_tokens"]) {
    await assert.rejects(
      pool.inWorkspace(
        ours.workspaceId,
        (sql) => sql`update ${sql(`x3sproxy.${table}`)} set created_at = now()`,
      ),
      DENIED,
    );
  }
});

test("of a session, a second factor and the workspace itself it may change only what moves on", async () => {
  const cases: [string, string, boolean][] = [
    ["sessions", "proved_at = now()", true],
    ["sessions", "ends_at = now() + interval '1 day'", false],
    ["sessions", "hash = hash", false],
    ["sessions", "user_id = user_id", false],
    ["second_factors", "newest_step = newest_step + 1", true],
    ["second_factors", "ciphertext = ciphertext", false],
    ["second_factors", "user_id = user_id", false],
    ["workspaces", "second_factor_required = false", true],
    ["workspaces", "id = id", false],
    ["workspaces", "created_at = now()", false],
    ["workspaces", "home = true", false],
    ["proxy_tokens", "expires_at = now()", true],
    ["proxy_tokens", "kind = 'lease'", false],
    ["registrations", "expires_at = now()", false],
    ["recovery_codes", "hash = hash", false],
    ["invitations", "role = 'owner'", false],
    ["resets", "second_factor = true", false],
    ["audit_events", "result = 'done'", false],
  ];
  for (const [table, change, allowed] of cases) {
    const statement = `update x3sproxy.${table} set ${change}`;
    const run = () =>
      pool.inWorkspace(ours.workspaceId, async (sql) => (await sql.unsafe(statement)).count);
    if (allowed) assert.equal(await run(), 1, statement);
    else await assert.rejects(run(), DENIED, statement);
  }
});

test("what the data plane has added up it can only read", async () => {
  for (const table of READ_ONLY) {
    for (const statement of [
      `update x3sproxy.${table} set workspace_id = workspace_id`,
      `delete from x3sproxy.${table}`,
      `truncate x3sproxy.${table}`,
    ]) {
      await assert.rejects(
        pool.inWorkspace(ours.workspaceId, (sql) => sql.unsafe(statement)),
        DENIED,
        statement,
      );
    }
  }
});

test("of the tables without a workspace it may only read the master keys' check values", async () => {
  for (const [table, { column, allowed }] of Object.entries(SHARED)) {
    const statements = {
      select: `select * from x3sproxy.${table}`,
      insert: `insert into x3sproxy.${table} default values`,
      update: `update x3sproxy.${table} set ${column} = ${column}`,
      delete: `delete from x3sproxy.${table}`,
      truncate: `truncate x3sproxy.${table}`,
    };
    for (const [verb, statement] of Object.entries(statements)) {
      if (allowed.includes(verb)) await control.sql.unsafe(statement);
      else await assert.rejects(control.sql.unsafe(statement), DENIED, statement);
    }
  }
  await assert.rejects(
    pool.inWorkspace(
      ours.workspaceId,
      (sql) => sql`insert into x3sproxy.workspaces (id, name)
      values (gen_random_uuid(), 'third')`,
    ),
    DENIED,
  );
});

test("it makes, renews and deletes workspaces from home alone, and sees others' names from nowhere else", async () => {
  const made = "00000000-0000-4000-8000-0000000000aa";
  const attempts = [
    `select x3sproxy.create_workspace('${made}', 'made', '\\x${"07".repeat(32)}') as done`,
    `select x3sproxy.renew_setup_link('${made}', '\\x${"08".repeat(32)}') as done`,
    `select x3sproxy.delete_workspace('${made}', 'made') as done`,
  ];
  const run = (from: string, statement: string) =>
    pool.inWorkspace(from, async (sql) => (await sql.unsafe(statement))[0]?.["done"] as unknown);
  const names = (from: string) =>
    pool.inWorkspace(from, async (sql) => {
      const rows = await sql<{ name: string }[]>`
        select name from x3sproxy.list_workspaces() order by name`;
      return rows.map(({ name }) => name);
    });
  const setHome = (id: string | null) =>
    withOwner(database.ownerUrl, async (sql) => {
      await sql`update x3sproxy.workspaces set home = false`;
      await sql`update x3sproxy.workspaces set home = true where id = ${id}`;
    });
  const [create = "", renew = "", destroy = ""] = attempts;
  for (const home of [null, ours.workspaceId]) {
    await setHome(home);
    for (const statement of attempts) {
      assert.ok(!(await run(theirs.workspaceId, statement)), statement);
    }
    assert.deepEqual(await names(theirs.workspaceId), ["theirs"]);
    assert.equal((await control.sql`select * from x3sproxy.list_workspaces()`).length, 0);
  }
  assert.ok((await run(ours.workspaceId, create)) instanceof Date);
  for (const statement of [renew, destroy]) assert.ok(!(await run(theirs.workspaceId, statement)));
  assert.deepEqual(await names(ours.workspaceId), ["made", "ours", "theirs"]);
  const second = withOwner(
    database.ownerUrl,
    (sql) => sql`update x3sproxy.workspaces set home = true where id = ${theirs.workspaceId}`,
  );
  await assert.rejects(second, { code: "23505" });
  assert.ok((await run(ours.workspaceId, renew)) instanceof Date);
  const home = `select x3sproxy.delete_workspace('${ours.workspaceId}', 'ours') as done`;
  assert.equal(await run(ours.workspaceId, home), false);
  assert.equal(await run(ours.workspaceId, destroy), true);
  assert.deepEqual(await names(ours.workspaceId), ["ours", "theirs"]);
  await assert.rejects(control.sql`select x3sproxy.at_home()`, DENIED);
});

test("it can't lift its confinement or become the owner", async () => {
  for (const statement of [
    "set role x3sproxy",
    "set role x3sproxy_proxy",
    "set session authorization x3sproxy",
    "alter table x3sproxy.agents disable row level security",
    "drop policy own_workspace on x3sproxy.agents",
    "create policy all_mine on x3sproxy.agents using (true)",
    "alter table x3sproxy.agents owner to current_user",
    "truncate x3sproxy.agents cascade",
    "drop table x3sproxy.agents",
    "create table x3sproxy.mine (a int)",
    "create temporary table mine (a int)",
    "alter role current_user bypassrls",
    "select x3sproxy.resolve_token('\\x00')",
    "select rolpassword from pg_authid",
  ]) {
    await assert.rejects(control.sql.unsafe(statement), DENIED, statement);
  }
  const rows = await control.sql
    .begin(async (sql) => {
      await sql`set local row_security = off`;
      return sql`select * from x3sproxy.agents`.catch((error: unknown) => error);
    })
    .catch((error: unknown) => error);
  assert.match(String(rows), /row-level security/);
});

test("it authenticates an API key and redeems a setup link once, by their hashes alone", async () => {
  const authenticate = (hash: Buffer) =>
    pool.query(
      (sql) => sql`select id, workspace_id, name, role from x3sproxy.authenticate_api_key(${hash})`,
    );
  assert.deepEqual(
    [...(await authenticate(ours.apiKeyHash))],
    [{ id: ours.apiKeyId, workspace_id: ours.workspaceId, name: "ci", role: "owner" }],
  );
  assert.equal((await authenticate(Buffer.alloc(32))).length, 0);
  const redeem = async (hash: Buffer): Promise<unknown> => {
    const [row] = await pool.query(
      (sql) => sql`select x3sproxy.redeem_setup_link(${hash}) as workspace`,
    );
    return row?.["workspace"];
  };
  assert.deepEqual((await Promise.all([redeem(ours.setupHash), redeem(ours.setupHash)])).sort(), [
    ours.workspaceId,
    null,
  ]);
  assert.equal(await redeem(ours.setupHash), null);
});

test("it redeems an invitation and a reset once, and a session is found, by their hashes alone", async () => {
  const call = async (name: string, hash: Buffer): Promise<Record<string, unknown>[]> =>
    pool.query(async (sql) => [...(await sql`select * from ${sql(`x3sproxy.${name}`)}(${hash})`)]);
  for (const [name, hash, expected] of [
    ["redeem_invitation", ours.invitationHash, { role: "viewer" }],
    ["redeem_reset", ours.resetHash, { user_id: ours.userId }],
  ] as const) {
    const [looked] = await call("look_at_link", hash);
    assert.equal(looked?.["workspace_id"], ours.workspaceId);
    const answers = await Promise.all([call(name, hash), call(name, hash)]);
    assert.partialDeepStrictEqual(answers.flat(), [
      { ...expected, workspace_id: ours.workspaceId },
    ]);
    assert.equal(answers.flat().length, 1, name);
    assert.equal((await call("look_at_link", hash)).length, 0);
  }
  const [session] = await call("authenticate_session", ours.sessionHash);
  assert.partialDeepStrictEqual(session, { user_id: ours.userId, fresh: true, must_enrol: false });
  for (const name of [
    "authenticate_session",
    "look_at_link",
    "redeem_invitation",
    "redeem_reset",
  ]) {
    assert.equal((await call(name, Buffer.alloc(32))).length, 0);
  }
});

test("an expired API key and an expired setup link are nothing", async () => {
  await withOwner(database.ownerUrl, async (sql) => {
    await sql`update x3sproxy.api_keys set expires_at = now() - interval '1 second' where id = ${theirs.apiKeyId}`;
    await sql`update x3sproxy.setup_links set expires_at = now() - interval '1 second' where hash = ${theirs.setupHash}`;
  });
  const keys = await pool.query(
    (sql) => sql`select * from x3sproxy.authenticate_api_key(${theirs.apiKeyHash})`,
  );
  assert.equal(keys.length, 0);
  const [link] = await pool.query(
    (sql) => sql`select x3sproxy.redeem_setup_link(${theirs.setupHash}) as workspace`,
  );
  assert.equal(link?.["workspace"], null);
});
