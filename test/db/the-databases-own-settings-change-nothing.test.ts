import assert from "node:assert/strict";
import { test } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { createPool, migrate, type Sql } from "../../src/db/index.ts";
import { createTestDatabase } from "../support/database.ts";

const SETTINGS = {
  DateStyle: "SQL, DMY",
  bytea_output: "escape",
  default_transaction_isolation: "serializable",
  row_security: "off",
};

test("times, bytes, isolation and row-level security are ours, whatever a database or its URL sets", async (t) => {
  const { ownerUrl, controlUrl } = await createTestDatabase();
  await withOwner(ownerUrl, async (sql: Sql) => {
    const name = new URL(ownerUrl).pathname.slice(1);
    for (const [setting, value] of Object.entries(SETTINGS)) {
      await sql.unsafe(`alter database "${name}" set ${setting} = '${value}'`);
    }
  });
  await migrate(ownerUrl);
  const options = "options=-c%20DateStyle%3DGerman%20-c%20bytea_output%3Descape";
  for (const url of [ownerUrl, controlUrl, `${controlUrl}?${options}`]) {
    const pool = createPool(url, { max: 1 });
    t.after(() => pool.close());
    const [row] = await pool.query(
      (sql) => sql<{ at: Date; bytes: Buffer; isolation: string; security: string }[]>`
        select '2026-11-05T06:07:08Z'::timestamptz as at, '\\x00ff41'::bytea as bytes,
          current_setting('transaction_isolation') as isolation, current_setting('row_security') as security`,
    );
    assert.deepEqual(row, {
      at: new Date("2026-11-05T06:07:08Z"),
      bytes: Buffer.from("00ff41", "hex"),
      isolation: "read committed",
      security: "on",
    });
  }
});
