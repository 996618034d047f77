import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { EXPECTED_FILE } from "../../src/doctor/comparison.ts";
import { createTestDatabase } from "../support/database.ts";
import { editionOf, readEdition } from "../../src/db/migrations.ts";
import {
  EDITION_FILE,
  expectedOf,
  FUNCTIONS,
  SNAPSHOT_FILE,
  snapshotOf,
} from "../support/schema-snapshot.ts";

test("sql/schema.sql, and sql/expected.json that doctor compares with, are what the migrations add up to", async () => {
  const database = await createTestDatabase();
  const renew = "after a change of the schema run: node test/support/schema-snapshot.ts --write";
  try {
    assert.equal(await readFile(SNAPSHOT_FILE, "utf8"), await snapshotOf(database.ownerUrl), renew);
    assert.equal(await readFile(EXPECTED_FILE, "utf8"), await expectedOf(database.ownerUrl), renew);
  } finally {
    await database.drop();
  }
});

test("sql/edition.json is of the functions as they are", async () => {
  const edition = await readEdition(EDITION_FILE);
  assert.deepEqual(
    await editionOf(FUNCTIONS, edition),
    edition,
    "after a change of the functions run: node test/support/schema-snapshot.ts --write",
  );
});
