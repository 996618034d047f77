// sql/functions/ is the latest text of each function, trigger and policy; what the database had last is remembered by file.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { appendFile, cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { pathToFileURL } from "node:url";
import { withOwner } from "../../src/db/connection.ts";
import { migrate, migrateWithin, type OwnerSql } from "../../src/db/index.ts";
import { editionOf, readEdition } from "../../src/db/migrations.ts";
import { ConfigError } from "../../src/platform/errors.ts";
import { createTestDatabase, serverUrl, urlOfDatabase } from "../support/database.ts";
import { EDITION_FILE, SNAPSHOT_FILE, snapshotOf } from "../support/schema-snapshot.ts";

const SQL_FOLDER = new URL("../../sql/", import.meta.url);
const FUNCTIONS = new URL("functions/", SQL_FOLDER);
const LAST = ["triggers.sql", "policies.sql"];

async function openDatabase(t: TestContext): Promise<string> {
  const database = await createTestDatabase();
  t.after(() => database.drop());
  return database.ownerUrl;
}

/** A version of its own, whose files can be changed. */
async function openVersion(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-sql-"));
  t.after(() => rm(folder, { recursive: true }));
  await cp(SQL_FOLDER, folder, { recursive: true });
  return {
    file: (name: string) => join(folder, name),
    folders: {
      migrations: pathToFileURL(`${folder}/migrations/`),
      functions: pathToFileURL(`${folder}/functions/`),
    },
  };
}

const answer = (sql: OwnerSql) =>
  sql<{ is: string }[]>`select x3sproxy.json_time('epoch') as is`.then(([row]) => row?.is);

test("each function, trigger and policy of the schema is what the files make, their rights included", async (t) => {
  const url = await openDatabase(t);
  const files = (await readdir(FUNCTIONS)).sort();
  await withOwner(url, async (sql) => {
    // With the bodies checked, which need each other.
    for (const name of files) await sql.unsafe(await readFile(new URL(name, FUNCTIONS), "utf8"));
    const texts = await Promise.all(
      files.map((name) => readFile(new URL(name, FUNCTIONS), "utf8")),
    );
    const named = [
      ...texts.join("\n").matchAll(/^create or replace function x3sproxy\.(\w+)\(/gm),
    ].map(([, name]) => name);
    const there = await sql<{ name: string }[]>`
      select proname as name from pg_proc where pronamespace = 'x3sproxy'::regnamespace`;
    assert.deepEqual(named.sort(), there.map(({ name }) => name).sort());
  });
  assert.equal(await snapshotOf(url), await readFile(SNAPSHOT_FILE, "utf8"));
});

test("a database of the release before functions had files ends at the same schema", async (t) => {
  const name = `release_${randomBytes(6).toString("hex")}`;
  await withOwner(serverUrl(), async (sql) => sql`create database ${sql(name)}`);
  t.after(() =>
    withOwner(serverUrl(), async (sql) => sql`drop database ${sql(name)} with (force)`),
  );
  const url = urlOfDatabase(serverUrl(), name);
  await withOwner(url, (sql) => sql.begin((tx) => migrateWithin(tx, "0027_full_counters.sql")));
  const applied = await migrate(url);
  assert.equal(applied[0], "0028_functions.sql");
  assert.equal(await snapshotOf(url), await readFile(SNAPSHOT_FILE, "utf8"));
  assert.deepEqual(await migrate(url), []);
});

test("a file is run once when its text has changed, and no other file with it", async (t) => {
  const url = await openDatabase(t);
  const { file, folders } = await openVersion(t);
  assert.deepEqual(await migrate(url, folders), []);
  await appendFile(
    file("functions/tokens.sql"),
    `create or replace function x3sproxy.json_time(at timestamptz) returns text language sql as $$ select 'FAKE' $$;`,
  );
  const starts = await Promise.all([migrate(url, folders), migrate(url, folders)]);
  assert.deepEqual(starts.flat(), ["tokens.sql"], "of two that start at once, one does it");
  await withOwner(url, async (sql) => assert.equal(await answer(sql), "FAKE"));
  // As when another version of the same edition is started.
  assert.deepEqual(await migrate(url), ["tokens.sql"]);
  await withOwner(url, async (sql) =>
    assert.equal(await answer(sql), '"1970-01-01T00:00:00.000Z"'),
  );
});

test("all of them are run again, triggers and policies last, where nothing is remembered", async (t) => {
  const url = await openDatabase(t);
  await withOwner(url, (sql) => sql`delete from x3sproxy.schema_functions`);
  const files = (await readdir(FUNCTIONS)).filter((name) => !LAST.includes(name)).sort();
  assert.deepEqual(await migrate(url), [...files, ...LAST]);
  assert.equal(await snapshotOf(url), await readFile(SNAPSHOT_FILE, "utf8"));
});

test("migrations and functions are one change: when a function fails, nothing has been done", async (t) => {
  const url = await openDatabase(t);
  const { file, folders } = await openVersion(t);
  await writeFile(file("migrations/9998_later.sql"), "create table x3sproxy.later (a int);");
  await writeFile(file("functions/broken.sql"), "create or replace function x3sproxy.broken(");
  await assert.rejects(migrate(url, folders), /syntax error/);
  assert.equal(await snapshotOf(url), await readFile(SNAPSHOT_FILE, "utf8"));
  await writeFile(
    file("functions/broken.sql"),
    "create or replace function x3sproxy.repaired() returns bigint language sql as $$ select count(*) from x3sproxy.later $$;",
  );
  assert.deepEqual(await migrate(url, folders), ["9998_later.sql", "broken.sql"]);
});

test("functions of an older edition don't take the place of newer ones: that version does not start", async (t) => {
  const url = await openDatabase(t);
  const { file, folders } = await openVersion(t);
  const edition = pathToFileURL(file("edition.json"));
  const newer = { ...folders, edition };
  await appendFile(
    file("functions/tokens.sql"),
    `create or replace function x3sproxy.json_time(at timestamptz) returns text language sql as $$ select 'FAKE' $$;`,
  );
  const before = await readEdition(EDITION_FILE);
  const next = await editionOf(folders.functions, before);
  assert.equal(next.number, before.number + 1);
  await writeFile(edition, JSON.stringify(next));
  assert.deepEqual(await migrate(url, newer), ["tokens.sql"]);
  assert.deepEqual(await migrate(url, newer), []);
  await assert.rejects(
    migrate(url),
    (error: unknown) =>
      error instanceof ConfigError && /database is newer than this x3sproxy/.test(error.message),
  );
  await withOwner(url, async (sql) => assert.equal(await answer(sql), "FAKE"));
});
