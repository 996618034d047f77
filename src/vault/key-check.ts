// Checks at start whether the master keys of this process open the database, so that a wrong or missing key stops the start and not a
// later request. Also registers the process with the keys that it holds. Must never let the service start with a wrong key.
import sodium from "libsodium-wrappers";
import { createPool, type Sql, type TransactionSql } from "../db/index.ts";
import { ConfigError } from "../platform/errors.ts";
import type { KeyRing } from "./master-key.ts";
import { keysInUse } from "./sealed-tables.ts";
import { opensCheckValue, sealCheckValue } from "./sealing.ts";

interface KnownKey {
  readonly keyId: string;
  readonly checkValue: Buffer;
  readonly active: boolean;
}

/**
 * Compares each key with its check value in the database, and adds check values for new keys. Makes the database's active key the
 * ring's; on a first start the ring's becomes the database's. `processId`: given by a process that goes on to serve. `ownerUrl`: a
 * migrated database, as its owner role. Throws ConfigError for keys that are wrong or missing, StoreUnavailableError when the database
 * does not answer.
 */
export async function verifyMasterKeys(
  ownerUrl: string,
  ring: KeyRing,
  { processId }: { processId?: string } = {},
): Promise<void> {
  await sodium.ready;
  const pool = createPool(ownerUrl, { max: 1 });
  try {
    const active = await pool.transaction((sql) => verify(sql, ring, processId));
    ring.activate(active);
  } finally {
    await pool.close();
  }
}

/** Checks the keys without changing the database. Throws ConfigError as `verifyMasterKeys` does. */
export async function checkMasterKeys(sql: Sql, ring: KeyRing): Promise<void> {
  await sodium.ready;
  await compare(sql, ring);
}

/** Resolves to the id of the database's active key. */
async function verify(
  sql: TransactionSql,
  ring: KeyRing,
  processId: string | undefined,
): Promise<string> {
  // Of two first starts at once the second has to see the first one's key. And no key may become active during this check.
  await sql`lock table x3sproxy.master_keys in share row exclusive mode`;
  const { known, active } = await compare(sql, ring);
  for (const id of ring.ids) {
    const key = ring.get(id);
    if (key === undefined || known.some(({ keyId }) => keyId === id)) continue;
    await sql`
      insert into x3sproxy.master_keys (key_id, check_value) values (${id}, ${sealCheckValue(key)})`;
  }
  const now = active ?? ring.active.id;
  if (active === undefined) {
    await sql`
      update x3sproxy.master_keys set active = true, activated_at = now(), rotated_at = now() where key_id = ${now}`;
  }
  if (processId !== undefined) {
    await sql`
      insert into x3sproxy.process_keys (process, key_ids, seals_with) values (${processId}, ${ring.ids}, ${now})`;
  }
  return now;
}

async function compare(
  sql: Sql,
  ring: KeyRing,
): Promise<{ known: readonly KnownKey[]; active: string | undefined }> {
  const known = await sql<KnownKey[]>`
    select key_id as "keyId", check_value as "checkValue", active from x3sproxy.master_keys order by created_at, key_id`;
  for (const { keyId, checkValue } of known) {
    const key = ring.get(keyId);
    if (key === undefined || opensCheckValue(key, checkValue)) continue;
    throw new ConfigError(
      `master key ${keyId} does not open its check value: the row in x3sproxy.master_keys was edited. ` +
        "Restore the database from your backup",
    );
  }
  const active = known.find((each) => each.active)?.keyId;
  const needed = new Set([...(active === undefined ? [] : [active]), ...(await keysInUse(sql))]);
  refuseMissing(ring, [...needed]);
  return { known, active };
}

function refuseMissing(ring: KeyRing, needed: readonly string[]): void {
  const missing = needed.filter((id) => ring.get(id) === undefined);
  if (missing.length === 0) return;
  const given = `the given one${ring.ids.length === 1 ? " is" : "s are"} ${ring.ids.join(", ")}`;
  throw new ConfigError(
    missing.length === needed.length
      ? `wrong master key: this database was sealed under key ${needed.join(", ")}, ${given}`
      : `a master key is missing: something in this database is still sealed under key ${missing.join(", ")}, ${given}. ` +
          "Give the missing one as well",
  );
}

/** A master key that a backup needs: its id, and the check value that opens under it alone. */
export interface NeededKey {
  readonly id: string;
  readonly checkValue: Uint8Array;
}

/** The ids of the needed keys that the ring doesn't have. */
export async function missingKeys(
  ring: KeyRing,
  needed: readonly NeededKey[],
): Promise<readonly string[]> {
  await sodium.ready;
  return needed
    .filter(({ id, checkValue }) => {
      const key = ring.get(id);
      return key === undefined || !opensCheckValue(key, checkValue);
    })
    .map(({ id }) => id);
}
