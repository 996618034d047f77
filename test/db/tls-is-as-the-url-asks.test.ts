import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { chown, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { generate } from "selfsigned";
import { openClient, withOwner } from "../../src/db/connection.ts";
import { startEmbedded, type Embedded } from "../../src/db/embedded.ts";
import { createPool, migrate, prepareLogins } from "../../src/db/index.ts";
import { StoreUnavailableError } from "../../src/platform/errors.ts";
import { createLog } from "../../src/platform/log.ts";
import { serverUrl } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { createTcpGate } from "../support/tcp-gate.ts";

let dataDir: string;
let server: Embedded;
before(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "x3sproxy-tls-"));
  server = await startEmbedded({ dataDir, log: createLog({ level: "silent" }) });
  const { uid, gid } = await stat(join(dataDir, "postgres"));
  const { cert, private: key } = await generate([{ name: "commonName", value: "localhost" }], {
    extensions: [
      { name: "basicConstraints", cA: true },
      { name: "subjectAltName", altNames: [{ type: 2, value: "localhost" }] },
    ],
  });
  for (const [name, text] of Object.entries({ "server.crt": cert, "server.key": key })) {
    const path = join(dataDir, "postgres", name);
    await writeFile(path, text, { mode: 0o600 });
    await chown(path, uid, gid);
  }
  await writeFile(join(dataDir, "ca.pem"), cert);
  await withOwner(server.ownerUrl, async (sql) => {
    await sql`alter system set ssl = on`;
    await sql`select pg_reload_conf()`;
  });
  await eventually(() =>
    withOwner(server.ownerUrl, async (sql) => (await sql`show ssl`)[0]?.["ssl"] === "on"),
  );
});
after(async () => {
  await server.stop();
  await rm(dataDir, { recursive: true });
});

const withMode = (mode: string, host = "localhost"): string =>
  `${server.ownerUrl.replace("127.0.0.1", host)}?sslmode=${mode}&channel_binding=prefer`;
const encrypted = async (url: string): Promise<unknown> => {
  const pool = createPool(url);
  try {
    const [row] = await pool.query(
      (sql) => sql`select ssl from pg_stat_ssl where pid = pg_backend_pid()`,
    );
    return row?.["ssl"];
  } finally {
    await pool.close();
  }
};

test("sslmode=require encrypts, and disable does not", async () => {
  assert.equal(await encrypted(withMode("require")), true);
  assert.equal(await encrypted(withMode("prefer")), true);
  assert.equal(await encrypted(withMode("disable")), false);
});

test("sslmode=verify-full refuses a certificate that nobody vouches for", async () => {
  await assert.rejects(encrypted(withMode("verify-full")), StoreUnavailableError);
});

test("sslmode=verify-full accepts a trusted one for its own name, and for no other", async () => {
  const script = `
    const { createPool } = await import(${JSON.stringify(new URL("../../src/db/index.ts", import.meta.url).href)});
    const pool = createPool(process.argv[1]);
    console.log(await pool.query((sql) => sql\`select 1\`).then(() => "in", (error) => error.message));
    await pool.close();`;
  const attempt = async (url: string): Promise<string> => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--input-type=module", "-e", script, url],
      { env: { NODE_EXTRA_CA_CERTS: join(dataDir, "ca.pem") } },
    );
    return stdout.trim();
  };
  assert.equal(await attempt(withMode("verify-full")), "in");
  assert.match(
    await attempt(withMode("verify-full", "127.0.0.1")),
    /not available \(ERR_TLS_CERT_ALTNAME_INVALID\)/,
  );
  const given = `&sslrootcert=${encodeURIComponent(join(dataDir, "ca.pem"))}`;
  assert.equal(await encrypted(withMode("verify-full") + given), true);
  assert.equal(await encrypted(withMode("require") + given), true);
  await assert.rejects(encrypted(withMode("require", "127.0.0.1") + given), StoreUnavailableError);
});

test("the logins' URLs keep the mode", async () => {
  await migrate(withMode("require"));
  const { controlUrl } = await prepareLogins(withMode("require"), () => "fake");
  assert.equal(await encrypted(controlUrl), true);
});

for (const mode of ["refuse", "hang-up", "silent"] as const) {
  test(`over TLS too, a server that would ${mode} costs no more than the deadline, and is not hammered`, async () => {
    const gate = await createTcpGate(withMode("require"));
    const pool = createPool(gate.url, { deadlineMs: 1000 });
    const works = (): Promise<boolean> =>
      pool
        .query((sql) => sql`select 1`)
        .then(
          () => true,
          () => false,
        );
    assert.ok(await works());
    await gate.set(mode);
    const [startMs, attempts] = [performance.now(), gate.accepted];
    await assert.rejects(
      pool.query((sql) => sql`select 1`),
      StoreUnavailableError,
    );
    assert.ok(performance.now() - startMs < 1400);
    assert.ok(gate.accepted - attempts < 20, `${gate.accepted - attempts} connections`);
    await gate.set("open");
    await eventually(works, 2000);
    await pool.close();
    await gate.close();
  });
}

test("a server without TLS is used only where the URL lets it", async () => {
  assert.equal(await encrypted(`${serverUrl()}?sslmode=prefer`), false);
  await assert.rejects(encrypted(`${serverUrl()}?sslmode=require`), StoreUnavailableError);
});

test("a server that stops in the middle of the TLS handshake is an error, and costs no connection", async () => {
  let end: (socket: Socket) => void = (socket) => socket.destroy();
  const stub = createServer((socket) => {
    socket
      .on("error", () => undefined)
      .once("data", () => {
        socket.write("S");
        socket.once("data", () => end(socket));
      });
  }).listen(0, "127.0.0.1");
  await once(stub, "listening");
  const { port } = stub.address() as AddressInfo;
  const pool = createPool(`postgres://fake:fake@127.0.0.1:${port}/fake?sslmode=require`, {
    max: 1,
    deadlineMs: 8000,
  });
  const refused = async (withinMs: number): Promise<void> => {
    const startMs = performance.now();
    await assert.rejects(
      pool.query((sql) => sql`select 1`),
      StoreUnavailableError,
    );
    assert.ok(performance.now() - startMs < withinMs);
  };
  for (let i = 0; i < 3; i++) await refused(1500);
  end = () => undefined;
  await refused(4500);
  end = (socket) => socket.end();
  for (let i = 0; i < 3; i++) await refused(1500);
  await pool.close();
  stub.close();
});

test("a certificate file that can't be read is named", () => {
  const url = "postgres://h/d?sslmode=require&sslrootcert=/nonexistent.pem";
  assert.throws(() => openClient(url, { max: 1, statementTimeoutMs: 0 }), {
    name: "ConfigError",
    message: /sslrootcert.*\/nonexistent\.pem/,
  });
});
