import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { promisify } from "node:util";
import { Decrypter } from "age-encryption";
import { newIdentity } from "../../src/backup/index.ts";
import { runCli } from "../cli/fixture.ts";
import { eventually } from "../support/eventually.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { runService } from "../support/service.ts";

const FAKE_KEY = "sk-FAKE-embedded-backup-key-0123456789-abcdef";
const PASSPHRASE = "a FAKE passphrase of a backup";
const AGE = "/usr/bin/age";

it("an embedded service is restored into a fresh folder by its passphrase, and `age` opens what we seal", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-backup-"));
  t.after(() => rm(folder, { recursive: true }));
  let authorization: string | undefined;
  const upstream = await createHttpUpstream((request, response) => {
    ({ authorization } = request.headers);
    response.end("{}");
  });
  t.after(() => upstream.close());
  const env = {
    X3SPROXY_ORIGIN_OPENAI: upstream.origin,
    X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
  };
  const service = await runService({ env });
  t.after(() => service.remove());
  await service.setSecret("openai", FAKE_KEY);
  const token = await service.deploy("one");

  const short = await service.cli(
    ["backup", "--output", join(folder, "x"), "--passphrase"],
    "short",
  );
  assert.equal(short.status, 1);
  assert.match(short.stderr, /too short/);
  const twice = await service.cli(
    ["backup", "--output", join(folder, "x"), "--passphrase"],
    `${PASSPHRASE}\n${PASSPHRASE}\n`,
  );
  assert.equal(twice.status, 1, "as at a prompt, but nobody could type it again");
  assert.match(twice.stderr, /more than one line/);
  const file = join(folder, "backup.age");
  const made = await service.cli(["backup", "--output", file, "--passphrase"], PASSPHRASE);
  assert.equal(made.status, 0, made.stderr);
  assert.match(made.stdout, /verified to the end\.\nThe master key is not in it/);
  for (const text of [made.stdout, made.stderr]) assert.ok(!text.includes(PASSPHRASE));

  await t.test("by age itself", { skip: !existsSync(AGE) && "age is not installed" }, async () => {
    const { identity, recipient } = await newIdentity();
    const [keyFile, other] = [join(folder, "key.txt"), join(folder, "other.age")];
    await writeFile(keyFile, `${identity}\n`);
    const args = ["backup", "--output", other, "--recipient", recipient];
    assert.equal((await service.cli(args)).status, 0);
    const { stdout } = await promisify(execFile)(AGE, ["-d", "-i", keyFile, other], {
      maxBuffer: 100_000_000,
    });
    const lines = stdout.split("\n");
    assert.equal((JSON.parse(lines[0] ?? "") as { format: string }).format, "x3sproxy backup");
    assert.ok(lines.includes('{"table":"secrets"}'));
    assert.match(lines.at(-2) ?? "", /^\{"rows":\d+,"sha256":"[0-9a-f]{64}"\}$/);
    assert.ok(!stdout.includes(FAKE_KEY) && !stdout.includes(token));
  });

  assert.equal(await service.stop(), 0);
  const fresh = join(folder, "fresh");
  await mkdir(fresh, { mode: 0o700 });
  const restore = (passphrase: string, ...args: string[]) =>
    runCli(["restore", file, "--passphrase", ...args], {
      environment: { X3SPROXY_DATA_DIR: fresh, HOME: process.env["HOME"] ?? "" },
      input: passphrase,
    });
  await t.test("by age's own reading of the passphrase", async () => {
    const decrypter = new Decrypter();
    decrypter.addPassphrase(PASSPHRASE);
    const head = (await readFile(file)).subarray(0, 1000);
    // The header alone is enough to see whether the passphrase is understood alike.
    const end = head.indexOf("\n", head.indexOf("\n---") + 1) + 1;
    assert.equal((await decrypter.decryptHeader(head.subarray(0, end))).length, 16);
  });
  const keyless = await restore(PASSPHRASE);
  assert.equal(keyless.status, 1);
  assert.match(keyless.stderr, /the master key is missing/);
  await copyFile(join(service.dataDir, "master.key"), join(fresh, "master.key"));
  const wrong = await restore("another FAKE passphrase");
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /another passphrase\. Nothing was changed/);
  assert.ok(!existsSync(join(fresh, "postgres")), "no database was made");
  const restored = await restore(PASSPHRASE, "--agents-go-on");
  assert.equal(restored.status, 0, restored.stderr);
  assert.match(restored.stdout, /The audit holds/);
  const again = await restore(PASSPHRASE);
  assert.equal(again.status, 1);
  assert.match(again.stderr, /the database is not empty/);

  const second = await runService({ env, dataDir: fresh });
  t.after(() => second.remove());
  assert.notEqual(second.apiKey, service.apiKey);
  assert.equal(await readFile(join(fresh, "admin-api-key"), "utf8"), `${second.apiKey}\n`);
  const response = await eventually(async () => {
    const answer = await fetch(`${second.proxyUrl}/openai/v1/models`, {
      headers: { authorization: `Bearer ${token}` },
    });
    await answer.arrayBuffer();
    return answer;
  });
  assert.equal(response.status, 200);
  assert.equal(authorization, `Bearer ${FAKE_KEY}`);
});
