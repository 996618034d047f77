import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { copyFile, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { withOwner } from "../../src/db/connection.ts";
import { migrate } from "../../src/db/index.ts";
import { serverUrl, urlOfDatabase } from "../support/database.ts";

const SQL_FOLDER = new URL("../../sql/migrations/", import.meta.url);
const MIGRATION = "0006_workspaces.sql";

test("of an earlier installation the oldest workspace becomes home, and all stay as they are", async (t) => {
  const database = `earlier_${randomBytes(6).toString("hex")}`;
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-sql-"));
  await withOwner(serverUrl(), async (sql) => sql`create database ${sql(database)}`);
  t.after(async () => {
    await rm(folder, { recursive: true });
    await withOwner(serverUrl(), async (sql) => sql`drop database ${sql(database)} with (force)`);
  });
  const url = urlOfDatabase(serverUrl(), database);
  const earlier = (await readdir(SQL_FOLDER)).filter(
    (name) => /^\d{4}_/.test(name) && name < MIGRATION,
  );
  for (const name of earlier) await copyFile(new URL(name, SQL_FOLDER), join(folder, name));
  await migrate(url, { migrations: pathToFileURL(`${folder}/`) });
  const rows = () =>
    withOwner(url, async (sql) => [
      ...(await sql`select name, home from x3sproxy.workspaces order by name`),
    ]);
  await withOwner(
    url,
    (sql) => sql`
      insert into x3sproxy.workspaces (id, name, created_at) values
        (gen_random_uuid(), 'acme', now() - interval '2 days'),
        (gen_random_uuid(), 'oldest', now() - interval '3 days'),
        (gen_random_uuid(), 'youngest', now())`,
  );
  await copyFile(new URL(MIGRATION, SQL_FOLDER), join(folder, MIGRATION));
  assert.deepEqual(await migrate(url, { migrations: pathToFileURL(`${folder}/`) }), [MIGRATION]);
  assert.deepEqual(await rows(), [
    { name: "acme", home: false },
    { name: "oldest", home: true },
    { name: "youngest", home: false },
  ]);
});
