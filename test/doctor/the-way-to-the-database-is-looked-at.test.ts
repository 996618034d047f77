import assert from "node:assert/strict";
import { once } from "node:events";
import { chown, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { startEmbedded } from "../../src/db/embedded.ts";
import { withOwner } from "../../src/db/index.ts";
import { createLog } from "../../src/platform/log.ts";
import { createAuthority } from "../support/authority.ts";
import { eventually } from "../support/eventually.ts";
import { runCli } from "../cli/fixture.ts";
import { lookWith, openDatabase, saidOf, type Settings } from "./fixture.ts";

// Leads to this machine, and is none of the names that say so.
const ELSEWHERE = "0.0.0.0";
const NOTIFICATION = "A".charCodeAt(0);

describe("the way to the database is looked at", { concurrency: true }, () => {
  test("TLS that is not there, not verified, or verified", async (t) => {
    const { url, authorityFile } = await startWithTls(t);
    const remote = url.replace("127.0.0.1", ELSEWHERE);
    const verified = `?sslmode=verify-full&sslrootcert=${encodeURIComponent(authorityFile)}`;
    const { host } = new URL(url);
    for (const [databaseUrl, expected] of [
      [url, "ok"],
      [remote, "warning"],
      [`${remote}?sslmode=disable&sslrootcert=${encodeURIComponent(authorityFile)}`, "warning"],
      [`${remote}?sslmode=prefer`, "warning"],
      [`${remote}?sslmode=require`, "warning"],
      [`${remote}${verified}`, "ok"],
      [url.replace(host, `${host},${host.replace("127.0.0.1", ELSEWHERE)}`), "warning"],
    ] as const) {
      const examination = await lookWith(withDatabase(databaseUrl));
      assert.equal(saidOf(examination, "database-tls"), expected);
      // It is really reached by that way: its schema was looked for.
      assert.equal(saidOf(examination, "schema"), "critical");
    }
    const nameless = await lookWith(withDatabase(`postgres:///${ELSEWHERE}`));
    assert.equal(saidOf(nameless, "database-tls"), "skipped");
  });

  test("notifications that are lost on the way, as by a pooler", async (t) => {
    const { settings, ownerUrl } = await openDatabase(t);
    const lossy = await lookWith({
      ...settings,
      DATABASE_URL: await losing(t, ownerUrl, NOTIFICATION),
    });
    assert.equal(saidOf(lossy, "notifications"), "critical");
    assert.equal(saidOf(lossy, "database"), "ok");
    const whole = await lookWith({ ...settings, DATABASE_URL: await losing(t, ownerUrl, 0) });
    assert.equal(saidOf(whole, "notifications"), "ok");
  });

  test("a table that somebody holds ends the wait, and nothing behind it reads as in order", async (t) => {
    const { settings, ownerUrl } = await openDatabase(t);
    const examination = await withOwner(ownerUrl, (sql) =>
      sql.begin(async (tx) => {
        await tx`lock table x3sproxy.users in access exclusive mode`;
        return lookWith(settings, { databaseWithinMs: 1000 });
      }),
    );
    assert.equal(saidOf(examination, "role-rights"), "ok");
    assert.equal(saidOf(examination, "database"), "critical");
    for (const id of ["second-factors", "bootstrap-key", "backup-age", "notifications"]) {
      assert.equal(saidOf(examination, id), "skipped", id);
    }
  });

  test("one that is away, or lets nobody in, is critical and says why; the rest is looked at", async (t) => {
    const { ownerUrl } = await openDatabase(t);
    const stranger = Object.assign(new URL(ownerUrl), { password: "a-FAKE-password" }).href;
    for (const [url, reason] of [
      ["postgres://nobody:a-FAKE-password@127.0.0.1:1/none", "ECONNREFUSED"],
      [stranger, "28P01"],
    ] as const) {
      const run = await runCli(["doctor", "--json"], {
        environment: { DATABASE_URL: url, X3SPROXY_MASTER_KEY: "FAKE" },
      });
      assert.equal(run.status, 1);
      assert.ok(!`${run.stdout}${run.stderr}`.includes("FAKE"));
      const examination = JSON.parse(run.stdout) as Awaited<ReturnType<typeof lookWith>>;
      const found = examination.findings.find(({ id }) => id === "database");
      assert.equal(found?.severity, "critical");
      assert.ok(found.what.includes(reason), found.what);
      assert.equal(saidOf(examination, "node-version"), "ok");
    }
  });
});

function withDatabase(databaseUrl: string): Settings {
  return {
    DATABASE_URL: databaseUrl,
    X3SPROXY_MASTER_KEY: "FAKE",
    X3SPROXY_DATA_DIR: "/nowhere",
    X3SPROXY_ADMIN_ADDR: "127.0.0.1:1",
  };
}

/** An empty server that has TLS for clients who want it. */
async function startWithTls(t: TestContext): Promise<{ url: string; authorityFile: string }> {
  const authority = await createAuthority();
  const dataDir = await mkdtemp(join(tmpdir(), "x3sproxy-doctor-tls-"));
  const server = await startEmbedded({ dataDir, log: createLog({ level: "silent" }) });
  t.after(async () => {
    await server.stop();
    await rm(dataDir, { recursive: true });
    await authority.remove();
  });
  const { uid, gid } = await stat(join(dataDir, "postgres"));
  const { cert, key } = await authority.issue(ELSEWHERE);
  for (const [name, text] of Object.entries({ "server.crt": cert, "server.key": key })) {
    const path = join(dataDir, "postgres", name);
    await writeFile(path, text, { mode: 0o600 });
    await chown(path, uid, gid);
  }
  await withOwner(server.ownerUrl, async (sql) => {
    await sql`alter system set ssl = on`;
    await sql`select pg_reload_conf()`;
  });
  await eventually(() =>
    withOwner(server.ownerUrl, async (sql) => (await sql`show ssl`)[0]?.["ssl"] === "on"),
  );
  return { url: server.ownerUrl, authorityFile: authority.file };
}

/** The URL of a relay to the server of `url` that lets everything pass but the server's messages of type `lost`. */
async function losing(t: TestContext, url: string, lost: number): Promise<string> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  const relay = createServer((client) => {
    const server = connect(Number(target.port), target.hostname);
    for (const socket of [client, server]) {
      sockets.add(socket.on("error", () => undefined));
    }
    client.pipe(server);
    let rest = Buffer.alloc(0);
    server.on("data", (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      // PostgreSQL manual, 54.7: one byte of type, four of length, which count themselves.
      while (rest.length >= 5 && rest.length > rest.readUInt32BE(1)) {
        const end = rest.readUInt32BE(1) + 1;
        if (rest[0] !== lost) client.write(rest.subarray(0, end));
        rest = rest.subarray(end);
      }
    });
    server.on("close", () => client.destroy());
    client.on("close", () => server.destroy());
  }).listen(0, "127.0.0.1");
  await once(relay, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    relay.close();
  });
  const { port } = relay.address() as AddressInfo;
  // What comes is messages from the first byte on.
  return Object.assign(new URL(url), { port: String(port), search: "?sslmode=disable" }).href;
}
