import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, chown, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { ConfigError } from "../../src/platform/errors.ts";
import { loadMasterKeys } from "../../src/vault/index.ts";
import { ringOf } from "./fixture.ts";

const folder = await mkdtemp(join(tmpdir(), "x3sproxy master key "));
after(() => rm(folder, { recursive: true }));
let files = 0;

const bytes = randomBytes(32);
const good = bytes.toString("base64");
const { id } = (await ringOf(good)).active;

async function fileOf(content: string | Buffer, mode = 0o600): Promise<string> {
  const path = join(folder, `key ${++files}`);
  await writeFile(path, content);
  await chmod(path, mode);
  return path;
}

function fromFile(file: string) {
  return loadMasterKeys(
    { masterKey: { file }, dataDir: folder, databaseUrl: undefined },
    { mayCreate: false },
  );
}

function fromFolder(dataDir: string, mayCreate: boolean) {
  return loadMasterKeys({ masterKey: undefined, dataDir, databaseUrl: undefined }, { mayCreate });
}

async function refuses(loading: Promise<unknown>, message: RegExp): Promise<void> {
  await assert.rejects(loading, (error) => {
    assert.ok(error instanceof ConfigError);
    assert.match(error.message, message);
    assert.ok(!error.message.includes(good));
    return true;
  });
}

test("32 bytes of base64 or base64url, with or without padding or a line break, are the same key", async () => {
  for (const text of [
    good,
    `${good}\n`,
    good.replace(/=+$/, ""),
    `${bytes.toString("base64url")}\r\n`,
  ]) {
    assert.equal((await ringOf(text)).active.id, id);
    const key = await fromFile(await fileOf(text));
    assert.equal(key.active.id, id);
    assert.equal(key.warning, undefined);
  }
});

test("the id tells keys apart and is none of the key", async () => {
  assert.match(id, /^[0-9a-f]{16}$/);
  assert.ok(!bytes.toString("hex").includes(id));
  assert.notEqual((await ringOf(randomBytes(32).toString("base64"))).active.id, id);
});

test("a wrong length is named", async () => {
  const lengths: [number, RegExp][] = [
    [0, /wrong length: 0 bytes, and 32 are/],
    [31, /: 31 bytes/],
    [33, /: 33 bytes/],
    [64, /: 64 bytes/],
  ];
  for (const [length, message] of lengths) {
    const text = randomBytes(length).toString("base64");
    await refuses(ringOf(text), message);
    await refuses(fromFile(await fileOf(text)), message);
  }
});

test("what is not base64 is named", async () => {
  await refuses(ringOf("not a key!"), /X3SPROXY_MASTER_KEY \(the 3\. value\) is not base64/);
  await refuses(ringOf(`${good}${good}`), /is not base64/);
  await refuses(
    fromFile(await fileOf(Buffer.alloc(32, 0xfe))),
    /X3SPROXY_MASTER_KEY_FILE is not base64/,
  );
});

test("a missing key is named, wherever it was to come from", async () => {
  await refuses(fromFile(join(folder, "absent")), /missing: X3SPROXY_MASTER_KEY_FILE/);
  await refuses(
    loadMasterKeys(
      { masterKey: undefined, dataDir: folder, databaseUrl: "postgres://localhost/x" },
      { mayCreate: true },
    ),
    /missing: with DATABASE_URL, X3SPROXY_MASTER_KEY_FILE .* is required.*openssl rand -base64 32/,
  );
  await refuses(fromFolder(folder, false), /missing: .*master\.key is gone.*your backup/);
  assert.ok(!(await readdir(folder)).includes("master.key"), "and none was made");
});

test("a path that is itself a key is not repeated", async () => {
  await refuses(fromFile(good), /missing/);
});

test("a file that can't be read is named", async () => {
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", ["-m", "600", pipe]);
  for (const odd of [folder, pipe, "/dev/null"]) {
    await refuses(fromFile(odd), /X3SPROXY_MASTER_KEY_FILE names no plain file/);
  }
});

test("a file of our own that others can read is refused, with the way out", async () => {
  for (const mode of [0o644, 0o640, 0o604, 0o444]) {
    await refuses(
      fromFile(await fileOf(good, mode)),
      /open to other users \(mode [0-7]{3}\).*chmod 600 '.*key \d+'/,
    );
  }
});

test(
  "a file of somebody else that others can read is taken with a warning",
  { skip: process.getuid?.() !== 0 && "only root can give a file away" },
  async () => {
    const path = await fileOf(good, 0o640);
    await chown(path, 12_345, 12_345);
    const key = await fromFile(path);
    assert.equal(key.active.id, id);
    assert.match(key.warning ?? "", /mode 640/);
  },
);

test("the embedded default makes its key once, for its owner only", async () => {
  const dataDir = join(folder, "data of our own");
  const made = await fromFolder(dataDir, true);
  const path = join(dataDir, "master.key");
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.equal((await stat(dataDir)).mode & 0o777, 0o700);
  assert.equal((await ringOf(await readFile(path, "utf8"))).active.id, made.active.id);
  assert.equal((await fromFolder(dataDir, true)).active.id, made.active.id);
  assert.equal((await fromFolder(dataDir, false)).active.id, made.active.id);

  await chmod(path, 0o644);
  await refuses(fromFolder(dataDir, false), /open to other users/);
  await chmod(path, 0o600);
  await rm(path);
  await refuses(fromFolder(dataDir, false), /missing/);
  assert.notEqual((await fromFolder(dataDir, true)).active.id, made.active.id);
});

test("a data folder that can't be written to is named", async () => {
  const dataDir = join(await fileOf("a file"), "data");
  await refuses(fromFolder(dataDir, true), /can't be written to .*master\.key: ENOTDIR/);
});

test("a file has one key a line, with comments, and the variable several between commas or white space", async () => {
  const other = randomBytes(32).toString("base64");
  const otherId = (await ringOf(other)).active.id;
  const file = await fileOf(`# of 2025\n${good} # the old one\r\n\n  ${other}\n${good}\n`);
  const ring = await fromFile(file);
  assert.deepEqual([ring.ids, ring.active.id], [[id, otherId], id]);
  for (const text of [`${good},${other}`, `${good} ${other}\n`, ` ${good} , ${other},`]) {
    assert.deepEqual((await ringOf(text)).ids, [id, otherId], text);
  }
  assert.deepEqual((await ringOf(`${other} ${good}`)).ids, [otherId, id]);
  await refuses(
    fromFile(await fileOf(`${good}\n${other.slice(4)}\n`)),
    /in X3SPROXY_MASTER_KEY_FILE \(the 2\. value\) has the wrong length: 29 bytes/,
  );
  await refuses(fromFile(await fileOf(`${good} ${other}\n`)), /is not base64/);
  await refuses(ringOf(`${good},${other}x`), /MASTER_KEY \(the 2\. value\) is not base64/);
  await refuses(fromFile(await fileOf(`${good}\n`.repeat(21))), /more than 20 master keys/);
  await refuses(
    fromFile(await fileOf(`#${"x".repeat(16 * 1024)}\n${good}`)),
    /has more than 16 KiB/,
  );
});
