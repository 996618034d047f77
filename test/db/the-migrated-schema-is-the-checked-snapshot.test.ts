import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { createTestDatabase } from "../support/database.ts";
import { SNAPSHOT_FILE, snapshotOf } from "../support/schema-snapshot.ts";

test("sql/schema.sql is what the migrations add up to", async () => {
  const database = await createTestDatabase();
  try {
    assert.equal(
      await readFile(SNAPSHOT_FILE, "utf8"),
      await snapshotOf(database.ownerUrl),
      "after a change of the schema run: node test/support/schema-snapshot.ts --write",
    );
  } finally {
    await database.drop();
  }
});
