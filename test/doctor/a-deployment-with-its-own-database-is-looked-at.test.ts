import assert from "node:assert/strict";
import { once } from "node:events";
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { readConfig } from "../../src/platform/config.ts";
import { withOwner } from "../../src/db/index.ts";
import { checkDataFolder } from "../../src/doctor/data-folder.ts";
import { Findings } from "../../src/doctor/finding.ts";
import { isRoot } from "../db/embedded-fixture.ts";
import { runService } from "../support/service.ts";
import { lookWith, saidOf, told, type Settings } from "./fixture.ts";

const OTHER_USER = 54_321;

it("a deployment with its own database is looked at: its folder, its readiness, its master key", async (t) => {
  const parent = await mkdtemp(join(tmpdir(), "x3sproxy-doctor-own-"));
  const dataDir = join(parent, "data");
  const service = await runService({ dataDir });
  t.after(async () => {
    await service.stop();
    await rm(parent, { recursive: true, force: true });
  });
  const settings: Settings = {
    X3SPROXY_DATA_DIR: dataDir,
    X3SPROXY_ADMIN_ADDR: new URL(service.adminUrl).host,
    X3SPROXY_PROXY_ADDR: new URL(service.proxyUrl).host,
    X3SPROXY_METRICS_ADDR: new URL(service.metricsUrl).host,
  };
  // What belongs to each first start.
  const atFirst = {
    "master-key-apart": "warning",
    "setup-link": "critical",
    "bootstrap-key": "warning",
    "backup-age": "warning",
  };
  const expectMore = async (
    more: Record<string, string>,
    changed: Settings = {},
  ): Promise<void> => {
    const { findings } = await lookWith({ ...settings, ...changed });
    assert.deepEqual(told(findings), { ...atFirst, ...more });
  };

  await t.test("as it was started", async () => {
    await expectMore({});
    const look = await lookWith(settings);
    for (const id of [
      "readiness",
      "master-key-opens",
      "data-folder-content",
      "data-folder-place",
    ]) {
      assert.equal(saidOf(look, id), "ok", id);
    }
    // Nobody but the owner needs them (test/security has the rest).
    const lines = (await readFile(join(dataDir, "postgres", "postmaster.pid"), "utf8")).split("\n");
    const password = (await readFile(join(dataDir, "postgres-password"), "utf8")).trim();
    const url = `postgres://x3sproxy:${password}@127.0.0.1:${lines[3]}/postgres`;
    const [everybody] = await withOwner(
      url,
      (sql) => sql`select has_function_privilege('public', 'lo_create(oid)', 'execute') as may`,
    );
    assert.deepEqual(everybody, { may: false });
  });

  await t.test("links, files that others own or can change, and folders above", async () => {
    const config = readConfig({ X3SPROXY_DATA_DIR: dataDir });
    const expectOf = async (content: string, place = "ok"): Promise<void> => {
      const findings = new Findings();
      await checkDataFolder(config, findings);
      assert.deepEqual(
        findings.all.map(({ severity }) => severity),
        [content, place],
      );
    };
    const [kept, key] = [join(parent, "kept.key"), join(dataDir, "master.key")];
    await rename(key, kept);
    await symlink(kept, key);
    await expectOf("critical");
    await rename(kept, key);
    const odd = join(dataDir, "odd");
    await writeFile(odd, "FAKE", { mode: 0o600 });
    await expectOf("ok");
    await chmod(odd, 0o622);
    await expectOf("critical");
    await chmod(odd, 0o600);
    if (isRoot) {
      for (const path of [odd, join(dataDir, "postgres-password"), dataDir]) {
        await chown(path, OTHER_USER, OTHER_USER);
        await expectOf("critical");
        await chown(path, 0, 0);
      }
      const cluster = join(dataDir, "postgres");
      const { uid, gid } = await stat(cluster);
      await chown(cluster, OTHER_USER, OTHER_USER);
      await expectOf("critical");
      await chown(cluster, uid, gid);
      await chown(parent, OTHER_USER, OTHER_USER);
      await expectOf("ok", "warning");
      await chown(parent, 0, 0);
    }
    await chmod(parent, 0o777);
    await expectOf("ok", "warning");
    await chmod(parent, 0o1777);
    await expectOf("ok");
  });

  await t.test("a folder that another user made before the first start", async () => {
    const made = join(parent, "made");
    await mkdir(made, { mode: 0o700 });
    const look = () => lookWith({ X3SPROXY_DATA_DIR: made, X3SPROXY_METRICS_ADDR: "127.0.0.1:1" });
    assert.equal(saidOf(await look(), "data-folder-content"), "ok");
    await symlink("/etc/hostname", join(made, "master.key"));
    assert.equal(saidOf(await look(), "data-folder-content"), "critical");
    await rm(made, { recursive: true });
    const none = await look();
    assert.equal(saidOf(none, "data-folder-content"), "ok");
    assert.equal(saidOf(none, "readiness"), "skipped", "nobody listens at port 1");
  });

  await t.test("another master key", async () => {
    const other = Buffer.alloc(32, "other").toString("base64");
    const { findings } = await lookWith({ ...settings, X3SPROXY_MASTER_KEY: other });
    const found = findings.find(({ id }) => id === "master-key-opens");
    assert.equal(found?.severity, "critical");
    assert.match(found.what, /^Wrong master key: this database was sealed under key \S+, /);
    assert.ok(!JSON.stringify(findings).includes(other));
  });

  await t.test("a service that is not ready, and what is none", async () => {
    const [starting, teapot] = [
      await answering(
        t,
        '503 Service Unavailable\r\n\r\n{"status":"not ready","reason":"database_unavailable"}',
      ),
      await answering(t, "200 OK\r\n\r\nhello"),
    ];
    await expectMore({ readiness: "critical" }, { X3SPROXY_METRICS_ADDR: starting });
    await expectMore({ readiness: "warning" }, { X3SPROXY_METRICS_ADDR: teapot });
  });
});

/** Where each connection gets this HTTP/1.1 answer, and its end. */
async function answering(t: { after(end: () => void): void }, answer: string): Promise<string> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined).once("data", () => socket.end(`HTTP/1.1 ${answer}`));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
