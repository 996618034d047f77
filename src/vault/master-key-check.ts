// Whether this master key is the one that the database was sealed under: asked once at start, so that a wrong key is a
// clear refusal to start and never a failed request later.
import sodium from "libsodium-wrappers";
import { createPool, type TransactionSql } from "../db/index.ts";
import { ConfigError } from "../errors.ts";
import type { MasterKey } from "./master-key.ts";
import { opensCheckValue, sealCheckValue } from "./sealing.ts";

/**
 * Records a check value for the first master key of a database, and holds every later one against it. Needs an owner's
 * connection to a migrated database. Throws ConfigError for a wrong key, StoreUnavailableError for a silent database.
 */
export async function verifyMasterKey(ownerUrl: string, key: MasterKey): Promise<void> {
  await sodium.ready;
  const pool = createPool(ownerUrl, { max: 1 });
  try {
    await pool.query((sql) => sql.begin((transaction) => verify(transaction, key)));
  } finally {
    await pool.close();
  }
}

async function verify(sql: TransactionSql, key: MasterKey): Promise<void> {
  // Two first starts at once, with two keys: the second must see the first one's.
  await sql`lock table x3sproxy.master_keys in share row exclusive mode`;
  const known = await sql<{ keyId: string; checkValue: Buffer }[]>`
    select key_id as "keyId", check_value as "checkValue" from x3sproxy.master_keys order by created_at`;
  if (known.length === 0) {
    await sql`
      insert into x3sproxy.master_keys (key_id, check_value) values (${key.id}, ${sealCheckValue(key)})`;
    return;
  }
  const own = known.find(({ keyId }) => keyId === key.id);
  if (own === undefined) {
    const ids = known.map(({ keyId }) => keyId).join(", ");
    throw new ConfigError(
      `wrong master key: this database was sealed under key ${ids}, the given one is ${key.id}`,
    );
  }
  if (!opensCheckValue(key, own.checkValue)) {
    throw new ConfigError(
      `master key ${key.id} does not open its check value: the row in x3sproxy.master_keys was edited. ` +
        "Restore the database from your backup",
    );
  }
}
