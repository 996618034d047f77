import assert from "node:assert/strict";
import { hash, randomBytes } from "node:crypto";
import { it } from "node:test";
import { LOCK, withOwner } from "../../src/db/index.ts";
import { runCli } from "../cli/fixture.ts";
import { serverUrl } from "../support/database.ts";
import { lookWith, openDatabase, openDeployment, saidOf } from "./fixture.ts";

it("what only the database tells is looked at", async (t) => {
  const { ownerUrl, env, expectOnly, inDatabase } = await openDeployment(t);

  await t.test("people", async () => {
    await inDatabase(
      (sql) => sql`update x3sproxy.workspaces set second_factor_required = false`,
      (sql) => sql`update x3sproxy.workspaces set second_factor_required = true`,
      { "second-factor-rule": "warning" },
    );
    await inDatabase(
      (sql) =>
        sql`create table public.kept as select * from x3sproxy.second_factors; delete from x3sproxy.second_factors`.simple(),
      (sql) =>
        sql`insert into x3sproxy.second_factors select * from public.kept; drop table public.kept`.simple(),
      { "second-factors": "critical" },
    );
    await inDatabase(
      (sql) =>
        sql`insert into x3sproxy.setup_links (hash, workspace_id, expires_at) select sha256('FAKE'), id, now() + interval '1 h' from x3sproxy.workspaces`,
      (sql) => sql`delete from x3sproxy.setup_links`,
      { "setup-link": "critical" },
    );
    await inDatabase(
      (sql) =>
        sql`insert into x3sproxy.api_keys (id, workspace_id, name, hash, role) select gen_random_uuid(), id, 'bootstrap', sha256('FAKE'), 'owner' from x3sproxy.workspaces`,
      (sql) => sql`delete from x3sproxy.api_keys`,
      { "bootstrap-key": "warning" },
    );
    // Nobody is no proof that everybody has a second factor.
    const { settings } = await openDatabase(t);
    const empty = await lookWith(settings);
    assert.equal(saidOf(empty, "second-factors"), "skipped");
    assert.equal(saidOf(empty, "second-factor-rule"), "skipped");
  });

  await t.test("upkeep", async () => {
    await inDatabase(
      (sql) =>
        sql`update x3sproxy.audit_events set created_at = now() - interval '8 days' where action = 'backup.create'`,
      (sql) =>
        sql`update x3sproxy.audit_events set created_at = now() where action = 'backup.create'`,
      { "backup-age": "warning" },
    );
    await inDatabase(
      (sql) =>
        sql`
          insert into x3sproxy.master_keys (key_id, check_value) values ('older', '');
          insert into x3sproxy.sealed_keys select 'older', 'older', wrapped_key, ciphertext from x3sproxy.sealed_keys limit 1`.simple(),
      (sql) =>
        sql`delete from x3sproxy.sealed_keys where key_id = 'older'; delete from x3sproxy.master_keys where key_id = 'older'`.simple(),
      { "master-keys": "note", "master-key-opens": "critical" },
    );
    // Whoever has the lock alone seals: nobody does now.
    await withOwner(ownerUrl, async (sql) => {
      await sql`select pg_advisory_lock(${LOCK.auditSealing})`;
      await sql`
        insert into x3sproxy.audit_pending
        values (-1, '00000000-0000-4000-8000-000000000000', now() - interval '5 min')`;
      try {
        await expectOnly({}, { "audit-sealing": "critical" });
      } finally {
        await sql`delete from x3sproxy.audit_pending where event_id = -1`;
      }
    });
  });

  await t.test("rights of the service's own logins", async () => {
    const database = new URL(ownerUrl).pathname.slice(1);
    const login = `x3sproxy_proxy_${hash("sha256", database, "hex").slice(0, 8)}`;
    const strong = { "role-rights": "critical" };
    for (const [change, back] of [
      [
        "grant select on x3sproxy.secrets to x3sproxy_proxy",
        "revoke select on x3sproxy.secrets from x3sproxy_proxy",
      ],
      [
        `grant select on x3sproxy.secrets to ${login}`,
        `revoke select on x3sproxy.secrets from ${login}`,
      ],
      [
        `grant select (mask) on x3sproxy.secret_versions to ${login}`,
        `revoke select (mask) on x3sproxy.secret_versions from ${login}`,
      ],
      [`alter role ${login} createrole`, `alter role ${login} nocreaterole`],
      [
        "alter table x3sproxy.agents disable row level security",
        "alter table x3sproxy.agents enable row level security",
      ],
    ] as const) {
      await inDatabase(
        (sql) => sql.unsafe(change),
        (sql) => sql.unsafe(back),
        strong,
      );
    }
  });

  await t.test("rights of others", async () => {
    const name = randomBytes(4).toString("hex");
    for (const stranger of [`stranger_${name}`, `x3sproxy_proxy_of_${name}`]) {
      await inDatabase(
        (sql) =>
          sql
            .unsafe(`create role ${stranger}; grant usage on schema x3sproxy to ${stranger}`)
            .simple(),
        (sql) =>
          sql
            .unsafe(`revoke all on schema x3sproxy from ${stranger}; drop role ${stranger}`)
            .simple(),
        { "other-roles": "warning" },
      );
    }
    const superuser = new URL(ownerUrl);
    const { username, password } = new URL(serverUrl());
    Object.assign(superuser, { username, password });
    await expectOnly({ DATABASE_URL: superuser.href }, { "database-superuser": "warning" });
  });

  await t.test("rights of the owner", async () => {
    const { username } = new URL(ownerUrl);
    for (const change of [
      `revoke admin option for x3sproxy_proxy from ${username} cascade`,
      `revoke x3sproxy_control, x3sproxy_proxy from ${username} cascade`,
      `alter role ${username} nocreaterole`,
    ]) {
      await withOwner(serverUrl(), (sql) => sql.unsafe(change));
      const { findings } = await lookWith(env);
      assert.equal(saidOf({ findings, skipped: [] }, "owner-rights"), "critical", change);
      // With the owner's option goes what the owner gave by it, which is told, too.
      for (const { id, severity, fix } of findings) {
        if (severity === "ok") continue;
        assert.match(id, /^(owner|role)-rights$/);
        const words = "Let an administrator of the server run: ";
        await withOwner(serverUrl(), (sql) => sql.unsafe(fix.replace(words, "")).simple());
      }
      await expectOnly({}, {});
    }
  });

  await t.test("names from the database send nothing to a terminal", async () => {
    const role = `"odd_${randomBytes(4).toString("hex")}\u001b]0;title\u0007"`;
    await withOwner(ownerUrl, (sql) =>
      sql.unsafe(`create role ${role}; grant usage on schema x3sproxy to ${role}`).simple(),
    );
    const { stdout } = await runCli(["doctor", "--offline"], { environment: env });
    await withOwner(ownerUrl, (sql) =>
      sql.unsafe(`revoke all on schema x3sproxy from ${role}; drop role ${role}`).simple(),
    );
    assert.match(stdout, /way into the schema: "odd_/);
    assert.doesNotMatch(stdout, /[^\P{Cc}\n]/u);
  });

  await t.test("a schema of another version", async () => {
    const [first, second] = ["0001_initial.sql", "9999_later.sql"];
    await inDatabase(
      (sql) => sql`insert into x3sproxy.schema_migrations (name, sha256) values (${second}, '')`,
      (sql) => sql`delete from x3sproxy.schema_migrations where name = ${second}`,
      { schema: "critical" },
    );
    await inDatabase(
      (sql) => sql`update x3sproxy.schema_migrations set name = '0' where name = ${first}`,
      (sql) => sql`update x3sproxy.schema_migrations set name = ${first} where name = '0'`,
      { schema: "critical" },
    );
  });
});
