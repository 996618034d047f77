import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { ConfigError } from "../../src/platform/errors.ts";
import { isAlive, isRoot, newDataDir, postmasterPid, type DataDir } from "./embedded-fixture.ts";

let folder: DataDir;
let dataDir: string;
beforeEach(async () => {
  folder = await newDataDir();
  dataDir = folder.dataDir;
});
afterEach(() => folder.remove());

test("a second start finds the data again, and stop leaves no process", async () => {
  const first = await folder.start();
  await withOwner(first.ownerUrl, (sql) => sql`create table kept as select 'here' as a`);
  const pid = await postmasterPid(dataDir);
  assert.ok(isAlive(pid));
  await first.stop();
  assert.ok(!isAlive(pid));
  const second = await folder.start();
  const rows = await withOwner(second.ownerUrl, (sql) => sql`select a from kept`);
  assert.deepEqual([...rows], [{ a: "here" }]);
  await second.stop();
});

test("the data folder is private, and the password is nowhere but in its file", async () => {
  const server = await folder.start();
  const password = await readFile(join(dataDir, "postgres-password"), "utf8");
  assert.ok(server.ownerUrl.includes(password) && password.length >= 32);
  assert.equal((await stat(dataDir)).mode & 0o777, 0o700);
  for (const name of await readdir(dataDir)) {
    const { mode } = await stat(join(dataDir, name));
    assert.equal(mode & 0o077, 0, `${name} is private`);
  }
  if (process.platform === "linux") {
    const pid = await postmasterPid(dataDir);
    const [line, environment] = await Promise.all([
      readFile(`/proc/${pid}/cmdline`, "utf8"),
      readFile(`/proc/${pid}/environ`, "utf8"),
    ]);
    assert.ok(line.includes("postgres") && !line.includes(password));
    assert.doesNotMatch(environment, /X3SPROXY|HOME|npm_/);
  }
  await server.stop();
  for (const name of await readdir(dataDir, { recursive: true })) {
    const path = join(dataDir, name);
    if (name === "postgres-password" || !(await stat(path)).isFile()) continue;
    assert.ok(!(await readFile(path)).includes(password), `${name} lacks the password`);
  }
});

test("no statement and no value of one reaches the server's log", async () => {
  const server = await folder.start();
  const marker = "fakemarker";
  await withOwner(server.ownerUrl, async (sql) => {
    await sql`create table unique_values (a text primary key)`;
    await sql`insert into unique_values values (${marker})`;
    await assert.rejects(sql`insert into unique_values values (${marker})`, { code: "23505" });
    await assert.rejects(sql`select ${marker}::text::uuid`, { code: "22P02" });
    await assert.rejects(sql.unsafe(`select ${marker}`), { code: "42703" });
    await sql`select pg_sleep(0.01), ${marker}::text`;
  });
  await server.stop();
  const log = await readFile(join(dataDir, "postgres.log"), "utf8");
  assert.match(log, /ready to accept connections/);
  assert.ok(!log.includes(marker));
});

test("the log is emptied at a start when it has grown", async () => {
  await mkdir(dataDir, { mode: 0o700 });
  await writeFile(join(dataDir, "postgres.log"), "old line\n".repeat(200_000), { mode: 0o600 });
  await (await folder.start()).stop();
  const log = await readFile(join(dataDir, "postgres.log"), "utf8");
  assert.ok(log.length > 0 && !log.includes("old line"));
});

test("it answers on loopback only, and only to the password", async () => {
  const server = await folder.start();
  const [row] = await withOwner(
    server.ownerUrl,
    (sql) => sql`select current_setting('listen_addresses') as addresses,
      current_setting('unix_socket_directories') as sockets, current_setting('fsync') as fsync,
      current_setting('server_encoding') as encoding,
      (select bool_and(auth_method = 'scram-sha-256') from pg_hba_file_rules) as scram`,
  );
  assert.deepEqual(row, {
    addresses: "127.0.0.1",
    sockets: "",
    fsync: "on",
    encoding: "UTF8",
    scram: true,
  });
  await server.stop();
});

test("what a first start that broke off has left does not disturb the next one", async () => {
  await mkdir(join(dataDir, "postgres.new", "base"), { recursive: true, mode: 0o700 });
  await writeFile(join(dataDir, "postgres.new", "PG_VERSION"), "18\n");
  await writeFile(join(dataDir, "postgres-password"), "of the start that broke off");
  const server = await folder.start();
  await withOwner(server.ownerUrl, (sql) => sql`select 1`);
  await server.stop();
  assert.ok(!(await readdir(dataDir)).includes("postgres.new"));
});

test("a cluster of another major version is refused", async () => {
  await mkdir(join(dataDir, "postgres"), { recursive: true, mode: 0o700 });
  await writeFile(join(dataDir, "postgres", "PG_VERSION"), "17\n");
  await assert.rejects(folder.start(), (error: unknown) => {
    assert.ok(error instanceof ConfigError);
    assert.match(error.message, /made by Postgres 17, and the embedded one is Postgres 18/);
    return true;
  });
});

test("a cluster without its password file is refused, not replaced", async () => {
  const first = await folder.start();
  await withOwner(first.ownerUrl, (sql) => sql`create table kept (a int)`);
  await first.stop();
  const file = join(dataDir, "postgres-password");
  const password = await readFile(file, "utf8");
  await rm(file);
  await assert.rejects(folder.start(), {
    name: "ConfigError",
    message: /postgres-password is missing/,
  });
  await writeFile(file, "another password", { mode: 0o600 });
  await assert.rejects(folder.start(), { name: "ConfigError", message: /refuses the password/ });
  await writeFile(file, password, { mode: 0o600 });
  const again = await folder.start();
  await withOwner(again.ownerUrl, (sql) => sql`select from kept`);
  await again.stop();
});

test(
  "as root, the server's user reaches the cluster and nothing else",
  { skip: !isRoot },
  async () => {
    const server = await folder.start();
    await writeFile(join(dataDir, "master.key"), "fake", { mode: 0o600 });
    const pid = await postmasterPid(dataDir);
    assert.notEqual((await stat(`/proc/${pid}`)).uid, 0);
    assert.equal((await stat(dataDir)).uid, 0);
    assert.equal((await stat(join(dataDir, "postgres"))).mode & 0o777, 0o700);
    for (const path of [
      join(dataDir, "master.key"),
      "../master.key",
      join(dataDir, "postgres-password"),
    ]) {
      await assert.rejects(
        withOwner(server.ownerUrl, (sql) => sql`select pg_read_file(${path})`),
        /Permission denied/,
        path,
      );
    }
    await server.stop();
  },
);
