import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { runCli } from "../cli/fixture.ts";
import { createTestDatabase } from "../support/database.ts";
import { freePorts, runService } from "../support/service.ts";
import { endPostgres, processesIn } from "./checkout.ts";

/** What is wrong with a key, and what the refusal says of it. */
const WRONG_KEYS: readonly (readonly [kind: string, content: string | undefined, says: RegExp])[] =
  [
    ["missing", undefined, /the master key is missing/],
    ["empty", "", /the master key in .* has the wrong length: 0 bytes, and 32 are needed/],
    ["another", base64(32), /wrong master key: this database was sealed under key [0-9a-f]{16}, /],
    [
      "16 bytes long",
      base64(16),
      /the master key in .* has the wrong length: 16 bytes, and 32 are/,
    ],
    [
      "48 bytes long",
      base64(48),
      /the master key in .* has the wrong length: 48 bytes, and 32 are/,
    ],
    ["not base64", "this is no base64 at all, ok?", /the master key in .* is not base64/],
  ];

test("with the embedded Postgres", async (t) => {
  const dataDir = await makeFolder(t);
  t.after(() => endPostgres(dataDir));
  const keyFile = join(dataDir, "master.key");
  await (await runService({ dataDir })).stop();
  const right = await readFile(keyFile, "utf8");

  for (const [kind, content, says] of WRONG_KEYS) {
    await rm(keyFile, { force: true });
    if (content !== undefined) await writeFile(keyFile, content, { mode: 0o600 });
    await assertRefused({ X3SPROXY_DATA_DIR: dataDir }, says, content);
    assert.deepEqual(await processesIn(dataDir), [], kind);
  }
  await writeFile(keyFile, right, { mode: 0o600 });
  await chmod(keyFile, 0o644);
  await assertRefused({ X3SPROXY_DATA_DIR: dataDir }, /is open to other users.*chmod 600/, right);
  await chmod(keyFile, 0o600);
  assert.equal(await (await runService({ dataDir })).stop(), 0, "the right key still works");
});

test("with DATABASE_URL, as a value and as a file", async (t) => {
  const database = await createTestDatabase();
  t.after(() => database.drop());
  const dataDir = await makeFolder(t);
  await (await runService({ database, dataDir })).stop();
  const environment = { DATABASE_URL: database.ownerUrl, X3SPROXY_DATA_DIR: dataDir };

  for (const [kind, content, says] of WRONG_KEYS) {
    const file = join(dataDir, `${kind}.key`);
    if (content !== undefined) await writeFile(file, content, { mode: 0o600 });
    const asFile = { ...environment, X3SPROXY_MASTER_KEY_FILE: file };
    await assertRefused(asFile, says, content);
    if (content === undefined) await assertRefused(environment, says, content);
    else if (content !== "") {
      await assertRefused({ ...environment, X3SPROXY_MASTER_KEY: content }, says, content);
    }
  }
  const file = join(dataDir, "right.key");
  await writeFile(file, database.masterKey, { mode: 0o600 });
  const both = { X3SPROXY_MASTER_KEY: database.masterKey, X3SPROXY_MASTER_KEY_FILE: file };
  await assertRefused({ ...environment, ...both }, /not both/, database.masterKey);
});

/** `serve` says why, in words, and ends with exit status 1. */
async function assertRefused(
  environment: Record<string, string>,
  says: RegExp,
  content: string | undefined,
): Promise<void> {
  const [proxy = 0, admin = 0, metrics = 0] = await freePorts(3);
  const { status, stdout, stderr } = await runCli(["serve"], {
    environment: {
      X3SPROXY_PROXY_ADDR: `127.0.0.1:${proxy}`,
      X3SPROXY_ADMIN_ADDR: `127.0.0.1:${admin}`,
      X3SPROXY_METRICS_ADDR: `127.0.0.1:${metrics}`,
      ...environment,
    },
  });
  assert.equal(status, 1, stderr);
  assert.match(stderr, says);
  assert.match(stderr, /^x3sproxy: [^\n]+\n$/, "one line, no stack");
  assert.doesNotMatch(stdout, /"listening"/);
  if (content) assert.ok(!(stdout + stderr).includes(content));
}

async function makeFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-key-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function base64(bytes: number): string {
  return randomBytes(bytes).toString("base64");
}
