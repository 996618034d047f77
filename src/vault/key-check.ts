// Whether the master keys of this process are those that the database was sealed under: asked once at start, so that a wrong or missing
// key is a clear refusal to start and never a failed request later. Here a process also says for the first time which keys it holds.
import sodium from "libsodium-wrappers";
import { createPool, type Sql, type TransactionSql } from "../db/index.ts";
import { ConfigError } from "../platform/errors.ts";
import type { KeyRing } from "./master-key.ts";
import { keysInUse } from "./sealed-tables.ts";
import { opensCheckValue, sealCheckValue } from "./sealing.ts";

interface Known {
  readonly keyId: string;
  readonly checkValue: Buffer;
  readonly active: boolean;
}

/**
 * Holds each key against the check value that the database has of it, and records one for those that it doesn't know. Makes the ring's
 * active key the database's, on a first start the other way round. `processId`: of a process that goes on to serve. Needs an owner's
 * connection to a migrated database. Throws ConfigError for keys that are wrong or missing, StoreUnavailableError for a silent database.
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

/** The same without a change to the database: whether these keys open it. Throws ConfigError as `verifyMasterKeys` does. */
export async function checkMasterKeys(sql: Sql, ring: KeyRing): Promise<void> {
  await sodium.ready;
  await compare(sql, ring);
}

/** Gives the id of the database's active key. */
async function verify(
  sql: TransactionSql,
  ring: KeyRing,
  processId: string | undefined,
): Promise<string> {
  // Two first starts at once, with two keys: the second must see the first one's. And no key becomes active while we start without it.
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
): Promise<{ known: readonly Known[]; active: string | undefined }> {
  const known = await sql<Known[]>`
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

// Whether the given master keys are those that something was sealed under, told by the check values that lie beside it.

/** A master key by its id, and the value that opens under it and no other. */
export interface NeededKey {
  readonly id: string;
  readonly checkValue: Uint8Array;
}

/** The ids of those among `needed` that aren't at hand. */
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
