// A deployment with which all is well, to be spoilt in one way at a time; and databases with keys of providers, for what is looked
// at without a service.
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import type { RequestListener } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { systemClock } from "../../src/platform/clock.ts";
import { readConfig } from "../../src/platform/config.ts";
import { withOwner, type OwnerSql } from "../../src/db/index.ts";
import { examine, type Examination, type Finding } from "../../src/doctor/index.ts";
import { createLog } from "../../src/platform/log.ts";
import { startService } from "../../src/main.ts";
import { createAuthority } from "../support/authority.ts";
import { createTestDatabase, serverUrl, urlOfDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { freePorts } from "../support/service.ts";

export const DB_PASSWORD = "a-FAKE-owner-password";

export type Settings = Record<string, string | undefined>;

/** Everything the doctor says with these settings alone. */
export function lookWith(
  settings: Settings,
  o: Partial<Parameters<typeof examine>[1]> = {},
): Promise<Examination> {
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  return examine(readConfig(Object.fromEntries(given)), {
    clock: systemClock,
    offline: true,
    ...o,
  });
}

/** Of an examination, what is not in order: the severity under each id. */
export function told(findings: readonly Finding[]): Record<string, string> {
  const bad = findings.filter(({ severity }) => severity !== "ok");
  for (const { id, what, why, fix } of bad) {
    assert.ok(what.length > 10 && why.length > 10 && fix.length > 5, id);
    assert.ok(!JSON.stringify([what, why, fix]).includes("FAKE"), id);
  }
  return Object.fromEntries(bad.map(({ id, severity }) => [id, severity]));
}

/** What was said of one id: its severity, or `skipped`; undefined when nothing was. */
export function saidOf({ findings, skipped }: Examination, id: string): string | undefined {
  const found = findings.find((each) => each.id === id);
  return found?.severity ?? (skipped.some((each) => each.id === id) ? "skipped" : undefined);
}

/** A running deployment with TLS, a provider and healthy people. All ends with the test. */
export async function openDeployment(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-doctor-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const authority = await createAuthority();
  t.after(() => authority.remove());
  const { certFile, keyFile, key, cert } = await authority.issueFiles();
  await chmod(keyFile, 0o600);
  const providerPort = await listenHttps(t, { key, cert }, (_request, response) => response.end());
  const ownerUrl = await createOwner(t);
  const [proxyPort, adminPort, metricsPort] = await freePorts(3);
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
    X3SPROXY_DRAIN_DELAY: "0s",
  };
  const log = createLog({ level: "error", destination: { write: () => undefined } });
  const service = await startService(readConfig(env), log);
  t.after(() => service.stop());
  await withOwner(ownerUrl, (sql) => makeHealthy(sql, `https://127.0.0.1:${providerPort}`));
  await chmod(dataDir, 0o700).catch(() => undefined);
  await eventually(() =>
    withOwner(ownerUrl, async (sql) => (await sql`select from x3sproxy.audit_pending`).count === 0),
  );
  const expectOnly = async (changed: Settings, expected: Record<string, string>): Promise<void> => {
    const { findings } = await lookWith({ ...env, ...changed });
    assert.deepEqual(told(findings), expected);
  };
  const inDatabase = async (
    change: (sql: OwnerSql) => Promise<unknown>,
    back: (sql: OwnerSql) => Promise<unknown>,
    expected: Record<string, string>,
  ): Promise<void> => {
    await withOwner(ownerUrl, change);
    try {
      await expectOnly({}, expected);
    } finally {
      await withOwner(ownerUrl, back);
    }
  };
  return {
    authority,
    pair: { key, cert },
    folder,
    masterKey,
    keyFile,
    ownerUrl,
    providerPort,
    env,
    /** With other settings, exactly these are found. */
    expectOnly,
    /** With a changed database, which is then brought back, exactly these are found. */
    inDatabase,
  };
}

/** A migrated database, without a service, in which keys are saved for these origins: the settings to look at it with. */
export async function openDatabase(
  t: TestContext,
  ...origins: string[]
): Promise<{ settings: Settings; ownerUrl: string }> {
  const database = await createTestDatabase();
  const { ownerUrl, masterKey } = database;
  t.after(() => database.drop());
  await withOwner(ownerUrl, async (sql) => {
    const workspace = randomUUID();
    await sql`insert into x3sproxy.workspaces (id, name) values (${workspace}, 'one')`;
    await sql`insert into x3sproxy.master_keys (key_id, check_value) values ('fake', '')`;
    for (const [n, origin] of origins.entries()) await addKey(sql, workspace, `p${n}`, origin);
  });
  const settings = {
    DATABASE_URL: ownerUrl,
    X3SPROXY_MASTER_KEY: masterKey,
    X3SPROXY_DATA_DIR: "/nowhere",
    X3SPROXY_ADMIN_ADDR: "127.0.0.1:1",
    X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
  };
  return { settings, ownerUrl };
}

export async function listenHttps(
  t: TestContext,
  options: NonNullable<Parameters<typeof createServer>[0]>,
  answer: RequestListener,
): Promise<number> {
  const server: Server = createServer(options, answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

async function addKey(
  sql: OwnerSql,
  workspace: string,
  name: string,
  origin: string,
): Promise<void> {
  const id = randomUUID();
  await sql.begin(async (tx) => {
    await tx`
      insert into x3sproxy.secrets (id, workspace_id, provider, environment, active_version)
      values (${id}, ${workspace}, ${name}, 'production', 1)`;
    await tx`
      insert into x3sproxy.secret_versions (secret_id, workspace_id, version, origin, key_id, wrapped_key, ciphertext, mask)
      select ${id}, ${workspace}, 1, ${origin}, key_id, '', '', '…' from x3sproxy.master_keys limit 1`;
  });
}

/** People with second factors, no keys from the first start, a backup just now, and a key for a provider. */
async function makeHealthy(sql: OwnerSql, origin: string): Promise<void> {
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
      select id, 'service', 'test', 'test', 'backup.create', 'backup', 'x', 'x', 'done' from x3sproxy.workspaces`,
    )
    .simple();
  const [workspace] = await sql<[{ id: string }]>`select id from x3sproxy.workspaces`;
  await addKey(sql, workspace.id, "openai", origin);
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
