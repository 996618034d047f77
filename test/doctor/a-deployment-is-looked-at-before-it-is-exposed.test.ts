import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpsServer } from "node:https";
import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it, type TestContext } from "node:test";
import { systemClock } from "../../src/clock.ts";
import { readConfig } from "../../src/config.ts";
import { LOCK, withOwner, type Sql } from "../../src/db/index.ts";
import { examine, type Finding } from "../../src/doctor/index.ts";
import { createLog } from "../../src/log.ts";
import { startService } from "../../src/main.ts";
import { runCli } from "../cli/fixture.ts";
import { createAuthority } from "../support/authority.ts";
import { serverUrl, urlOfDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";

const DB_PASSWORD = "a-FAKE-owner-password";

it("a deployment is looked at before it is exposed: a healthy one gives no finding, each mistake its own", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-doctor-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const authority = await createAuthority();
  t.after(() => authority.remove());
  const { certFile, keyFile, key, cert } = await authority.issueFiles();
  await chmod(keyFile, 0o600);
  const provider = createHttpsServer({ key, cert }, (_request, response) => response.end());
  const providerPort = await listen(provider);
  t.after(() => provider.close());
  const ownerUrl = await createOwner(t);
  const [proxyPort, adminPort, metricsPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const masterKey = join(folder, "master-key");
  await writeFile(masterKey, `${Buffer.alloc(32, "fake").toString("base64")}\n`, { mode: 0o600 });
  const dataDir = join(folder, "data");
  const env: Record<string, string> = {
    DATABASE_URL: ownerUrl,
    X3SPROXY_DATA_DIR: dataDir,
    X3SPROXY_MASTER_KEY_FILE: masterKey,
    X3SPROXY_PROXY_ADDR: `127.0.0.1:${proxyPort}`,
    X3SPROXY_ADMIN_ADDR: `127.0.0.1:${adminPort}`,
    X3SPROXY_METRICS_ADDR: `127.0.0.1:${metricsPort}`,
    X3SPROXY_TLS_CERT_FILE: certFile,
    X3SPROXY_TLS_KEY_FILE: keyFile,
    X3SPROXY_PUBLIC_URL: `https://localhost:${proxyPort}`,
    X3SPROXY_DASHBOARD_URL: `https://localhost:${adminPort}`,
    X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
  };
  const log = createLog({ level: "error", destination: { write: () => undefined } });
  const service = await startService(readConfig(env), log);
  t.after(() => service.stop());
  await withOwner(ownerUrl, (sql) => makeHealthy(sql, `https://127.0.0.1:${providerPort}`));
  await chmod(dataDir, 0o700).catch(() => undefined);
  await eventually(() =>
    withOwner(ownerUrl, async (sql) => (await sql`select from x3sproxy.audit_pending`).count === 0),
  );

  /** What is found, but for what is in order, with other settings. */
  const look = async (changed: Record<string, string | undefined> = {}): Promise<Finding[]> => {
    const settings = Object.fromEntries(
      Object.entries({ ...env, ...changed }).filter(([, value]) => value !== undefined),
    );
    const { findings } = await examine(readConfig(settings), { clock: systemClock, offline: true });
    return findings.filter(({ severity }) => severity !== "ok");
  };
  const expectOnly = async (
    changed: Record<string, string | undefined>,
    expected: Record<string, string>,
  ): Promise<void> => {
    const found = await look(changed);
    const told = Object.fromEntries(found.map(({ id, severity }) => [id, severity]));
    assert.deepEqual(told, expected);
    for (const { id, what, why, fix } of found) {
      assert.ok(what.length > 10 && why.length > 10 && fix.length > 5, id);
      assert.ok(![what, why, fix].join().includes(DB_PASSWORD), id);
    }
  };
  const inDatabase = async (
    change: (sql: Sql) => Promise<unknown>,
    back: (sql: Sql) => Promise<unknown>,
    expected: Record<string, string>,
  ): Promise<void> => {
    await withOwner(ownerUrl, change);
    try {
      await expectOnly({}, expected);
    } finally {
      await withOwner(ownerUrl, back);
    }
  };

  await t.test("a healthy one, by the command line", async () => {
    const run = await runCli(["doctor", "--json"], {
      environment: { ...env, NODE_EXTRA_CA_CERTS: authority.file },
    });
    const { findings, skipped } = JSON.parse(run.stdout) as Awaited<ReturnType<typeof examine>>;
    assert.deepEqual(
      findings.filter(({ severity }) => severity !== "ok"),
      [],
    );
    assert.equal(run.status, 0, run.stderr);
    for (const id of [
      "tls-handshake-admin",
      "tls-handshake-proxy",
      "hsts",
      "notifications",
      `provider https://127.0.0.1:${providerPort}`,
    ]) {
      assert.ok(
        findings.some((each) => each.id === id),
        id,
      );
    }
    const ids = skipped.map(({ id }) => id);
    assert.deepEqual(
      ids.filter(
        (id) => !/^(admin-key-mode|database-password-mode|data-folder-mode|disk-space)$/.test(id),
      ),
      [],
    );
  });

  await t.test("a provider whose certificate doesn't hold", async () => {
    const run = await runCli(["doctor"], { environment: env });
    assert.match(run.stdout, /warning +https:\/\/127\.0\.0\.1:\d+ can't be reached \([A-Z_]+\)\./);
    assert.match(run.stdout, /Fix: /);
    assert.ok(!run.stdout.includes("\u001b"), "no colours but on a terminal");
  });

  await t.test("settings", async () => {
    await expectOnly(
      { X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "0.0.0.0/0" },
      { "private-upstreams": "critical" },
    );
    await expectOnly({ X3SPROXY_TRUSTED_PROXIES: "0.0.0.0/0" }, { "trusted-proxies": "critical" });
    await expectOnly({ X3SPROXY_METRICS_ADDR: "0.0.0.0:9464" }, { "metrics-exposed": "warning" });
    await expectOnly(
      { X3SPROXY_PUBLIC_URL: "http://llm.example" },
      { "public-https": "critical", "certificate-name-public": "critical" },
    );
    await expectOnly(
      { X3SPROXY_DASHBOARD_URL: "https://other.example" },
      { "certificate-name-dashboard": "critical" },
    );
    await expectOnly({ REDIS_URL: "redis://127.0.0.1:1" }, { redis: "warning" });
    await expectOnly({ X3SPROXY_DATA_DIR: folder }, { "master-key-apart": "warning" });
  });

  await t.test("files", async () => {
    for (const [path, id] of [
      [masterKey, "master-key-mode"],
      [keyFile, "tls-key-mode"],
    ] as const) {
      await chmod(path, 0o644);
      await expectOnly({}, { [id]: "critical" });
      await chmod(path, 0o600);
    }
    const loose = await mkdtemp(join(tmpdir(), "x3sproxy-loose-"));
    t.after(() => rm(loose, { recursive: true }));
    await writeFile(join(loose, "admin-api-key"), "FAKE", { mode: 0o644 });
    await chmod(loose, 0o755);
    await expectOnly(
      { X3SPROXY_DATA_DIR: loose },
      { "data-folder-mode": "critical", "admin-key-mode": "critical" },
    );
  });

  await t.test("people and upkeep", async () => {
    await inDatabase(
      (sql) => sql`update x3sproxy.workspaces set second_factor_required = false`,
      (sql) => sql`update x3sproxy.workspaces set second_factor_required = true`,
      { "second-factor-rule": "warning" },
    );
    await inDatabase(
      (sql) =>
        sql`create table x3sproxy.kept as select * from x3sproxy.second_factors; delete from x3sproxy.second_factors`.simple(),
      (sql) =>
        sql`insert into x3sproxy.second_factors select * from x3sproxy.kept; drop table x3sproxy.kept`.simple(),
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
    await inDatabase(
      (sql) =>
        sql`update x3sproxy.audit_events set created_at = now() - interval '8 days' where action = 'backup.create'`,
      (sql) =>
        sql`update x3sproxy.audit_events set created_at = now() where action = 'backup.create'`,
      { "backup-age": "warning" },
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

  await t.test("what is spoken, and dates", async () => {
    const here = (port: number) => ({ X3SPROXY_ADMIN_ADDR: `127.0.0.1:${port}` });
    await expectOnly(here(providerPort), { hsts: "warning" });
    const old = createHttpsServer({ key, cert, maxVersion: "TLSv1.2" }, (_, response) =>
      response.end(),
    );
    t.after(() => old.close());
    const found = { "tls-handshake-admin": "critical", hsts: "warning" };
    await expectOnly(here(await listen(old)), found);
    const yearsLater = { ...systemClock, nowMs: () => systemClock.nowMs() + 5 * 365 * 86_400_000 };
    const { findings } = await examine(readConfig(env), { clock: yearsLater, offline: true });
    const bad = findings.filter(({ severity }) => severity !== "ok").map(({ id }) => id);
    assert.deepEqual(bad.sort(), ["backup-age", "certificate-expiry", "clock"]);
  });

  await t.test("rights in the database", async () => {
    await inDatabase(
      (sql) => sql`grant select on x3sproxy.secrets to x3sproxy_proxy`,
      (sql) => sql`revoke select on x3sproxy.secrets from x3sproxy_proxy`,
      { "role-rights": "critical" },
    );
    const stranger = `stranger_${randomBytes(4).toString("hex")}`;
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
    const superuser = new URL(ownerUrl);
    Object.assign(superuser, {
      username: new URL(serverUrl()).username,
      password: new URL(serverUrl()).password,
    });
    await expectOnly({ DATABASE_URL: superuser.href }, { "database-superuser": "warning" });
  });

  await t.test("with the database away it is a finding, and the rest is looked at", async () => {
    await expectOnly(
      { DATABASE_URL: "postgres://nobody@127.0.0.1:1/none" },
      { database: "critical" },
    );
    const run = await runCli(["doctor", "--offline"], {
      environment: { ...env, DATABASE_URL: "postgres://nobody@127.0.0.1:1/none" },
    });
    assert.equal(run.status, 1);
    assert.match(run.stdout, /providers: --offline/);
  });

  await t.test("with the service away it says what it could not look at", async () => {
    const port = await freePort();
    const settings = { ...env, X3SPROXY_ADMIN_ADDR: `127.0.0.1:${port}` };
    const { skipped } = await examine(readConfig(settings), { clock: systemClock, offline: true });
    for (const id of ["tls-handshake-admin", "hsts"]) {
      assert.ok(
        skipped.some((each) => each.id === id),
        id,
      );
    }
  });
});

/** People with second factors, no keys from the first start, a backup just now, and a key for a provider. */
async function makeHealthy(sql: Sql, origin: string): Promise<void> {
  await sql
    .unsafe(
      `
    delete from x3sproxy.api_keys; delete from x3sproxy.setup_links;
    update x3sproxy.workspaces set second_factor_required = true;
    insert into x3sproxy.users (id, workspace_id, email, password_hash, role)
      select gen_random_uuid(), id, 'one@example.test', 'FAKE', 'owner' from x3sproxy.workspaces;
    insert into x3sproxy.second_factors (user_id, workspace_id, key_id, wrapped_key, ciphertext, newest_step)
      select u.id, u.workspace_id, k.key_id, '', '', 0 from x3sproxy.users u, x3sproxy.master_keys k;
    insert into x3sproxy.audit_events (workspace_id, actor_kind, actor_name, method, action, target_kind, target_id, target_name, result)
      select id, 'service', 'test', 'test', 'backup.create', 'backup', 'x', 'x', 'done' from x3sproxy.workspaces;
    begin;
    insert into x3sproxy.secrets (id, workspace_id, provider, environment, active_version)
      select gen_random_uuid(), id, 'openai', 'production', 1 from x3sproxy.workspaces;
    insert into x3sproxy.secret_versions (secret_id, workspace_id, version, origin, key_id, wrapped_key, ciphertext, mask)
      select s.id, s.workspace_id, 1, '${origin}', k.key_id, '', '', '…' from x3sproxy.secrets s, x3sproxy.master_keys k;
    commit`,
    )
    .simple();
}

/** A database of its own, and an owner who is no superuser. */
async function createOwner(t: TestContext): Promise<string> {
  const name = `test_${randomBytes(6).toString("hex")}`;
  await withOwner(serverUrl(), async (sql) => {
    await sql.unsafe(`create role ${name} login createrole password '${DB_PASSWORD}'`);
    await sql.unsafe(`grant x3sproxy_control, x3sproxy_proxy to ${name} with admin option`);
    await sql.unsafe(`create database ${name} owner ${name}`);
  });
  const url = new URL(urlOfDatabase(serverUrl(), name));
  Object.assign(url, { username: name, password: DB_PASSWORD });
  t.after(() =>
    withOwner(serverUrl(), async (sql) => {
      const logins = await sql<{ name: string }[]>`
        select r.rolname as name from pg_auth_members m join pg_roles r on r.oid = m.roleid
        join pg_roles o on o.oid = m.member where o.rolname = ${name} and r.rolname ~ '_[0-9a-f]{8}$'`;
      await sql.unsafe(`drop database ${name} with (force)`);
      for (const login of logins) await sql.unsafe(`drop role ${login.name}`);
      await sql.unsafe(`revoke x3sproxy_control, x3sproxy_proxy from ${name}`);
      await sql.unsafe(`drop role ${name}`);
    }),
  );
  return url.href;
}

async function listen(server: ReturnType<typeof createHttpsServer>): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
