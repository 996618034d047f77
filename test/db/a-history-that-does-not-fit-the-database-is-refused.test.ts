import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { pathToFileURL } from "node:url";
import { withOwner } from "../../src/db/connection.ts";
import { migrate } from "../../src/db/index.ts";
import { ConfigError } from "../../src/platform/errors.ts";
import { serverUrl, urlOfDatabase } from "../support/database.ts";

let folder: string;
let url: string;
const names: string[] = [];
const file = (name: string): string => join(folder, name);
const run = (): Promise<string[]> => migrate(url, { migrations: pathToFileURL(`${folder}/`) });
const refusal = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof ConfigError, String(error));
  assert.match(error.message, message);
  return true;
};

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "x3sproxy-sql-"));
});
after(async () => {
  await rm(folder, { recursive: true });
  await withOwner(serverUrl(), async (sql) => {
    for (const name of names) await sql`drop database ${sql(name)} with (force)`;
  });
});
beforeEach(async () => {
  const name = `history_${randomBytes(6).toString("hex")}`;
  names.push(name);
  await withOwner(serverUrl(), async (sql) => sql`create database ${sql(name)}`);
  url = urlOfDatabase(serverUrl(), name);
  await rm(folder, { recursive: true });
  await mkdir(folder);
  await writeFile(file("0001_one.sql"), "create table x3sproxy.one (a int);");
  await writeFile(file("0003_three.sql"), "create table x3sproxy.three (a int);");
  assert.deepEqual(await run(), ["0001_one.sql", "0003_three.sql"]);
});

test("an edited migration is refused by name", async () => {
  await writeFile(file("0001_one.sql"), "create table x3sproxy.one (a int, b int);");
  await assert.rejects(run(), refusal(/0001_one\.sql was edited/));
});

test("a missing migration is refused by name", async () => {
  await rm(file("0001_one.sql"));
  await assert.rejects(run(), refusal(/0001_one\.sql.*is missing/));
});

test("a database that is newer than the code is refused", async () => {
  await rm(file("0003_three.sql"));
  await assert.rejects(run(), refusal(/newer than this x3sproxy.*0003_three\.sql/));
});

test("a migration that was slipped in before an applied one is refused", async () => {
  await writeFile(file("0002_two.sql"), "create table x3sproxy.two (a int);");
  await assert.rejects(run(), refusal(/0002_two\.sql comes before 0003_three\.sql/));
  await rename(file("0002_two.sql"), file("0004_two.sql"));
  assert.deepEqual(await run(), ["0004_two.sql"]);
});

test("a migration that fails leaves nothing of itself and can be repaired", async () => {
  await writeFile(file("0004_four.sql"), "create table x3sproxy.four (a int); select 1 / 0;");
  await assert.rejects(run(), /division by zero/);
  await writeFile(file("0004_four.sql"), "create table x3sproxy.four (a int);");
  assert.deepEqual(await run(), ["0004_four.sql"]);
});
