import assert from "node:assert/strict";
import { once } from "node:events";
import { chmod, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { systemClock } from "../../src/platform/clock.ts";
import type { Examination } from "../../src/doctor/index.ts";
import { runCli } from "../cli/fixture.ts";
import { freePorts } from "../support/service.ts";
import { listenHttps, lookWith, openDeployment, saidOf, told } from "./fixture.ts";

it("a deployment is looked at before it is exposed: a healthy one gives no finding, each mistake its own", async (t) => {
  const { authority, pair, folder, masterKey, keyFile, providerPort, env, expectOnly } =
    await openDeployment(t);

  const [run, unverified] = await Promise.all([
    runCli(["doctor", "--json"], { environment: { ...env, NODE_EXTRA_CA_CERTS: authority.file } }),
    runCli(["doctor"], { environment: env }),
  ]);

  await t.test("a healthy one, by the command line", () => {
    const { findings, skipped } = JSON.parse(run.stdout) as Examination;
    assert.deepEqual(told(findings), {});
    assert.equal(run.status, 0, run.stderr);
    for (const id of [
      "certificate",
      "tls-handshake-admin",
      "tls-handshake-proxy",
      "hsts",
      "database",
      "notifications",
      "clock-outside",
      `provider https://127.0.0.1:${providerPort}`,
    ]) {
      assert.equal(saidOf({ findings, skipped }, id), "ok", id);
    }
    assert.deepEqual(
      skipped
        .map(({ id }) => id)
        .filter((id) => !/^(admin-key|database-password|data-folder)-mode$|^disk-space$/.test(id)),
      [],
    );
  });

  await t.test("for people: the worst first, each with its fix, no colours", () => {
    const { stdout } = unverified;
    assert.match(stdout, /warning +https:\/\/127\.0\.0\.1:\d+ can't be reached \([A-Z_]+\)\./);
    assert.match(stdout, /\nNetwork\n {2}warning .*\n {12}.*\n {12}Fix: .*NODE_EXTRA_CA_CERTS/);
    assert.match(stdout, /\n0 critical, 1 warning, 0 notes, \d+ in order, \d+ not looked at\./);
    assert.ok(!stdout.includes("\u001b"));
  });

  await t.test("settings", async () => {
    await expectOnly(
      { X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "0.0.0.0/0" },
      { "private-upstreams": "critical" },
    );
    await expectOnly({ X3SPROXY_TRUSTED_PROXIES: "0.0.0.0/0" }, { "trusted-proxies": "critical" });
    await expectOnly({ X3SPROXY_METRICS_ADDR: "0.0.0.0:9464" }, { "metrics-exposed": "warning" });
    const byName = await lookWith({ ...env, X3SPROXY_METRICS_ADDR: "metrics.example:9464" });
    assert.equal(saidOf(byName, "metrics-exposed"), "skipped");
    await expectOnly(
      { X3SPROXY_PUBLIC_URL: "http://llm.example" },
      { "public-https": "critical", "certificate-name-public": "critical" },
    );
    await expectOnly(
      { X3SPROXY_DASHBOARD_URL: "https://other.example" },
      { "certificate-name-dashboard": "critical" },
    );
    await expectOnly({ REDIS_URL: "redis://127.0.0.1:1" }, { redis: "warning" });
    await expectOnly({ HTTPS_PROXY: "socks://127.0.0.1:1" }, { "forward-proxy": "critical" });
    await expectOnly(
      { HTTPS_PROXY: "http://user:FAKE%zz@127.0.0.1:1" },
      { "forward-proxy": "critical" },
    );
  });

  await t.test("where the master key lies", async () => {
    await expectOnly({ X3SPROXY_DATA_DIR: folder }, { "master-key-apart": "warning" });
    const link = join(tmpdir(), `x3sproxy-link-${process.pid}`);
    await symlink(folder, link);
    t.after(() => rm(link));
    await expectOnly({ X3SPROXY_DATA_DIR: link }, { "master-key-apart": "warning" });
    const none = { X3SPROXY_MASTER_KEY_FILE: undefined };
    await expectOnly(none, { "master-key-apart": "critical" });
    const elsewhere = { X3SPROXY_MASTER_KEY_FILE: join(folder, "FAKE-key-in-place-of-a-path") };
    await expectOnly(elsewhere, { "master-key-mode": "critical" });
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

  await t.test("certificates that can't be used, and dates", async () => {
    const other = join(folder, "other-key.pem");
    await writeFile(other, (await authority.issue()).key, { mode: 0o600 });
    await expectOnly({ X3SPROXY_TLS_KEY_FILE: other }, { certificate: "critical" });
    const day = 86_400_000;
    const at = (days: number) => {
      return { ...systemClock, nowMs: () => systemClock.nowMs() + days * day };
    };
    const years = await lookWith(env, { clock: at(5 * 365) });
    assert.deepEqual(told(years.findings), {
      "backup-age": "warning",
      "certificate-expiry": "critical",
      clock: "critical",
    });
    const before = await lookWith(env, { clock: at(-2) });
    assert.deepEqual(told(before.findings), {
      "certificate-expiry": "critical",
      clock: "critical",
    });
  });

  await t.test("what is spoken where the service should be", async () => {
    const here = (port: number) => ({ X3SPROXY_ADMIN_ADDR: `127.0.0.1:${port}` });
    await expectOnly(here(providerPort), { hsts: "warning" });
    const found = { "tls-handshake-admin": "critical", hsts: "warning" };
    const old = await listenHttps(t, { ...pair, maxVersion: "TLSv1.2" }, (_, answer) => {
      answer.end();
    });
    await expectOnly(here(old), found);
    const plain = createServer((_, answer) => answer.end()).listen(0, "127.0.0.1");
    await once(plain, "listening");
    t.after(() => plain.close());
    const { port } = plain.address() as AddressInfo;
    await expectOnly(here(port), { "tls-handshake-admin": "critical" });
    const [nobody = 0] = await freePorts(1);
    const away = await lookWith({ ...env, ...here(nobody) });
    assert.equal(saidOf(away, "tls-handshake-admin"), "skipped");
    assert.equal(saidOf(away, "hsts"), "skipped");
  });
});
