// Keys of the service itself: random, made on the first start, kept sealed in the database. Given to the rooms' own files in here, which
// zero them.
import { randomBytes } from "node:crypto";
import sodium from "libsodium-wrappers";
import { createPool, type Pool } from "../db/index.ts";
import type { KeyRing } from "./key-ring.ts";
import { sealBytes, unsealBytes, zero, type Binding, type SealedValue } from "./sealing.ts";

export const SERVICE_KEY_BYTES = 32;

/** What each is for. */
export type ServiceKeyName = "audit log" | "derivation";

/**
 * The key of this name, which the caller zeroes; made when there is none. Needs an owner's connection to a migrated database. Throws
 * SealError when it doesn't open, StoreUnavailableError for a silent database.
 */
export async function openServiceKey(
  ownerUrl: string,
  ring: KeyRing,
  name: ServiceKeyName,
): Promise<Buffer> {
  await sodium.ready;
  const pool = createPool(ownerUrl, { max: 1 });
  const sealed = await keptKey(pool, ring, name).finally(() => pool.close());
  return unsealBytes(ring, serviceKeyBinding(name), sealed);
}

function keptKey(pool: Pool, ring: KeyRing, name: ServiceKeyName): Promise<SealedValue> {
  const key = randomBytes(SERVICE_KEY_BYTES);
  const fresh = sealBytes(ring.active, serviceKeyBinding(name), key);
  zero(key);
  return pool.transaction(async (sql) => {
    await sql`
      insert into x3sproxy.sealed_keys (name, key_id, wrapped_key, ciphertext)
      values (${name}, ${fresh.keyId}, ${fresh.wrappedKey}, ${fresh.ciphertext})
      on conflict do nothing`;
    const [row] = await sql<[SealedValue]>`
      select key_id as "keyId", wrapped_key as "wrappedKey", ciphertext from x3sproxy.sealed_keys where name = ${name}`;
    return row;
  });
}

/** Of a key of the service. */
export function serviceKeyBinding(name: string): Binding {
  return {
    purposes: {
      dataKey: "x3sproxy service key data key v1",
      value: "x3sproxy service key",
    },
    fields: [name],
    row: `the service key "${name}"`,
  };
}
