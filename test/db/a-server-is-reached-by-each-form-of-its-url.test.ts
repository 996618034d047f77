// A real server with TLS, at a Unix socket, at 127.0.0.1 and at ::1, and one without TLS: the run's own.
import assert from "node:assert/strict";
import { chmod, chown, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { generate } from "selfsigned";
import { startEmbedded, type Embedded } from "../../src/db/embedded.ts";
import {
  createChanges,
  createPool,
  migrate,
  prepareLogins,
  withOwner,
} from "../../src/db/index.ts";
import { ConfigError, StoreUnavailableError } from "../../src/platform/errors.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { createAuthority, type Authority } from "../support/authority.ts";
import { serverUrl } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";

// Leads to this machine, and is none of the names that say so.
const ELSEWHERE = "0.0.0.0";
const log = createLog({ level: "silent" });

let folder: string;
let sockets: string;
let authority: Authority;
let server: Embedded;
let credentials: string;
let port: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "x3sproxy-ways-"));
  sockets = await mkdtemp(join(tmpdir(), "x3sproxy sockets-"));
  await chmod(sockets, 0o777); // the server may be another user
  authority = await createAuthority();
  server = await startEmbedded({
    ...{ dataDir: folder, log },
    settings: {
      listen_addresses: "127.0.0.1, ::1",
      // A space has to be escaped there.
      unix_socket_directories: `"${sockets}"`,
    },
  });
  const url = new URL(server.ownerUrl);
  ({ port } = url);
  credentials = `${url.username}:${url.password}`;
  const { cert, key } = await authority.issue();
  await useTls({ "server.crt": cert, "server.key": key, "ca.crt": authority.certificate });
});
after(async () => {
  await server.stop();
  await authority.remove();
  await rm(folder, { recursive: true });
  await rm(sockets, { recursive: true });
});

async function useTls(files: Readonly<Record<string, string>>): Promise<void> {
  const { uid, gid } = await stat(join(folder, "postgres"));
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, "postgres", name);
    await writeFile(path, text, { mode: 0o600 });
    await chown(path, uid, gid);
  }
  await withOwner(server.ownerUrl, async (sql) => {
    await sql`alter system set ssl_ca_file = 'ca.crt'`;
    await sql`alter system set ssl = on`;
    await sql`select pg_reload_conf()`;
  });
  await eventually(() =>
    withOwner(server.ownerUrl, async (sql) => (await sql`show ssl`)[0]?.["ssl"] === "on"),
  );
}

interface Connection {
  address: string | null;
  ssl: boolean;
  client: string | null;
  name: string;
  seed: string;
}

/** How the server sees a connection of this URL. */
async function seen(url: string): Promise<Connection> {
  const pool = createPool(url, { max: 1 });
  try {
    const [row] = await pool.query(
      (sql) => sql<Connection[]>`
        select host(client_addr) as address, ssl, client_dn as client, application_name as name,
          current_setting('geqo_seed') as seed
        from pg_stat_activity join pg_stat_ssl using (pid) where pid = pg_backend_pid()`,
    );
    return row ?? assert.fail();
  } finally {
    await pool.close();
  }
}

test("at a Unix socket, however that is written, and never by TLS", async () => {
  const path = encodeURIComponent(sockets);
  for (const url of [
    `postgres://${credentials}@/postgres?host=${path}&port=${port}`,
    `postgresql://${credentials}@${path}:${port}/postgres`,
    `postgres://${credentials}@${path}:${port}/postgres?sslmode=require`,
    `postgres://${credentials}@nowhere.invalid:1/postgres?host=${path}&port=${port}`,
    `postgres://${credentials}@/postgres?host=/nowhere,${path}&port=${port}`,
  ]) {
    const { address, ssl } = await seen(url);
    assert.deepEqual({ address, ssl }, { address: null, ssl: false }, url);
  }
});

test("at ::1, alone and as one of several", async () => {
  for (const hosts of [`[::1]:${port}`, `127.0.0.1:1,[::1]:${port}`]) {
    const { address, ssl } = await seen(`postgres://${credentials}@${hosts}/postgres`);
    assert.deepEqual({ address, ssl }, { address: "::1", ssl: true }, hosts);
  }
  const asked = `host=::1&port=${port}&user=x3sproxy&password=${credentials.split(":")[1] ?? ""}`;
  assert.equal((await seen(`postgres:///postgres?${asked}`)).address, "::1");
});

test("with what libpq would tell the server, and without what it keeps to itself", async () => {
  const quiet = "keepalives=1&keepalives_idle=30&keepalives_interval=5&keepalives_count=3";
  const more =
    "tcp_user_timeout=9000&gssencmode=prefer&connect_timeout=4&load_balance_hosts=disable";
  const options = encodeURIComponent("-c geqo_seed=0.25 -c work_mem=8MB");
  const url = `postgres://${credentials}@127.0.0.1:${port}/postgres?${quiet}&${more}`;
  const { name, seed } = await seen(`${url}&application_name=a%20name&options=${options}`);
  assert.deepEqual({ name, seed }, { name: "a name", seed: "0.25" });
  assert.equal((await seen(`${url}&keepalives=0`)).name, "x3sproxy");
});

test("to another machine by TLS, whatever is said but disable", async () => {
  const remote = `postgres://${credentials}@${ELSEWHERE}:${port}/postgres`;
  for (const mode of ["", "?sslmode=allow", "?sslmode=prefer", "?sslmode=require", "?ssl=true"]) {
    assert.equal((await seen(remote + mode)).ssl, true, mode);
  }
  assert.equal((await seen(`${remote}?sslmode=disable`)).ssl, false);
  const plain = serverUrl().replace("127.0.0.1", ELSEWHERE);
  for (const mode of ["", "?sslmode=allow", "?sslmode=prefer", "?sslmode=require"]) {
    await assert.rejects(seen(plain + mode), StoreUnavailableError, mode);
  }
  assert.equal((await seen(`${plain}?sslmode=disable`)).ssl, false);
  await assert.rejects(
    withOwner(plain, (sql) => sql`select 1`),
    (error: Error) => error instanceof ConfigError && /offers no TLS/.test(error.message),
  );
});

test("on this machine by TLS if the server has it", async () => {
  const [here, plain] = [`postgres://${credentials}@localhost:${port}/postgres`, serverUrl()];
  for (const mode of ["", "?sslmode=allow", "?sslmode=prefer"]) {
    assert.equal((await seen(here + mode)).ssl, true, mode);
    assert.equal((await seen(plain + mode)).ssl, false, mode);
  }
});

test("with a certificate that is looked at as much as is asked", async () => {
  const at = (host: string, query: string): string =>
    `postgres://${credentials}@${host}:${port}/postgres?${query}`;
  const root = `sslrootcert=${encodeURIComponent(authority.file)}`;
  for (const [host, query, isIn] of [
    ["localhost", `sslmode=verify-full&${root}`, true],
    ["localhost", `sslmode=verify-full&${root}&hostaddr=127.0.0.1&sslsni=0`, true],
    [ELSEWHERE, `sslmode=verify-full&${root}`, false],
    ["localhost", `sslmode=verify-full&${root}&hostaddr=${ELSEWHERE}`, true],
    [ELSEWHERE, `sslmode=verify-ca&${root}`, true],
    // An authority of everybody's vouches for every name.
    [ELSEWHERE, "sslmode=verify-ca", false],
    ["localhost", "sslmode=verify-ca", false],
    ["localhost", "sslmode=verify-full", false],
    ["localhost", "sslrootcert=system", false],
    // Nobody in between, which is what channel binding would show.
    ["localhost", "sslmode=require&channel_binding=require", false],
    ["localhost", `sslmode=require&channel_binding=require&${root}`, true],
    [ELSEWHERE, `sslmode=verify-ca&channel_binding=require&${root}`, false],
    ["localhost", `sslmode=verify-full&${root}&ssl_min_protocol_version=TLSv1.3`, true],
  ] as const) {
    const outcome = await seen(at(host, query)).then(
      ({ ssl }) => ssl,
      (error: unknown) => error,
    );
    if (isIn) assert.equal(outcome, true, query);
    else assert.ok(outcome instanceof StoreUnavailableError, query);
  }
});

test("with a certificate of our own", async () => {
  const ca = await generate([{ name: "commonName", value: "fake clients" }], {
    ...{ keyType: "ec", algorithm: "sha256" },
    extensions: [{ name: "basicConstraints", cA: true, critical: true }],
  });
  const mine = await generate([{ name: "commonName", value: "the service" }], {
    ...{ keyType: "ec", algorithm: "sha256", ca: { key: ca.private, cert: ca.cert } },
    extensions: [{ name: "extKeyUsage", clientAuth: true }],
  });
  await useTls({ "ca.crt": ca.cert });
  const [certFile, keyFile] = [join(folder, "mine.crt"), join(folder, "mine.key")];
  await writeFile(certFile, mine.cert);
  await writeFile(keyFile, mine.private);
  const url = `postgres://${credentials}@localhost:${port}/postgres?sslmode=require`;
  const own = `&sslcert=${encodeURIComponent(certFile)}&sslkey=${encodeURIComponent(keyFile)}`;
  await eventually(async () => (await seen(url + own)).client === "/CN=the service");
  assert.equal((await seen(`${url}${own}&sslcertmode=disable`)).client, null);
});

test("by everything that has one: migrations, the logins, their pools and notifications", async () => {
  const path = encodeURIComponent(sockets);
  for (const [name, url] of [
    ["first", `postgres://${credentials}@/first?host=${path}&port=${port}&keepalives=1`],
    ["second", `postgres://${credentials}@[::1]:${port}/second?connect_timeout=2`],
    [
      "third",
      `postgres:///third?host=${ELSEWHERE}&port=${port}&user=x3sproxy&password=${credentials.split(":")[1] ?? ""}`,
    ],
  ] as const) {
    await withOwner(server.ownerUrl, (sql) => sql`create database ${sql(name)}`);
    assert.notEqual((await migrate(url)).length, 0);
    const logins = await prepareLogins(url, (role) => `fake ${role}/?@&`);
    for (const [role, login] of Object.entries(logins)) {
      const pool = createPool(login, { max: 1 });
      const [row] = await pool.query((sql) => sql`select current_user as "user"`);
      assert.match(String(row?.["user"]), role === "proxyUrl" ? /_proxy_/ : /_control_/);
      await pool.close();
    }
    const gap = Promise.withResolvers<undefined>();
    const changes = createChanges(logins.proxyUrl, {
      ...{ clock: systemClock, log, metrics: createMetrics() },
    });
    changes.onGap(() => gap.resolve(undefined));
    await gap.promise;
    await changes.close();
  }
});
