// The key that signs the audit's checkpoints: made on the first start, kept sealed in the database, and open only in here. No verb
// returns it.
import { createPrivateKey, createPublicKey, randomBytes, sign, type KeyObject } from "node:crypto";
import { inspect } from "node:util";
import sodium from "libsodium-wrappers";
import type { LogSigner } from "../audit/index.ts";
import { createPool, type Pool } from "../db/index.ts";
import type { MasterKey } from "./master-key.ts";
import { sealBytes, unsealBytes, zero, type Binding, type SealedValue } from "./sealing.ts";

const NAME = "audit log";
const SEED_BYTES = 32;
// Of an Ed25519 private key in PKCS #8 (RFC 8410).
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

const BINDING: Binding = {
  purposes: {
    dataKey: "x3sproxy service key data key v1",
    value: "x3sproxy service key v1",
  },
  fields: [NAME],
  row: `the service key "${NAME}"`,
};

/**
 * The signer of this database's logs; its key is made when there is none. Needs an owner's connection to a migrated database.
 * Throws SealError when the key doesn't open, StoreUnavailableError for a silent database.
 */
export async function openLogSigner(ownerUrl: string, key: MasterKey): Promise<LogSigner> {
  await sodium.ready;
  const pool = createPool(ownerUrl, { max: 1 });
  const sealed = await keptKey(pool, key).finally(() => pool.close());
  const seed = unsealBytes(key, BINDING, sealed);
  const pkcs8 = Buffer.concat([PKCS8_PREFIX, seed]);
  try {
    return new Signer(createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }));
  } finally {
    zero(seed, pkcs8);
  }
}

function keptKey(pool: Pool, key: MasterKey): Promise<SealedValue> {
  const seed = randomBytes(SEED_BYTES);
  const fresh = sealBytes(key, BINDING, seed);
  zero(seed);
  return pool.query(async (sql) => {
    await sql`
      insert into x3sproxy.sealed_keys (name, key_id, wrapped_key, ciphertext)
      values (${NAME}, ${fresh.keyId}, ${fresh.wrappedKey}, ${fresh.ciphertext})
      on conflict do nothing`;
    const [row] = await sql<[SealedValue]>`
      select key_id as "keyId", wrapped_key as "wrappedKey", ciphertext from x3sproxy.sealed_keys where name = ${NAME}`;
    return row;
  });
}

class Signer implements LogSigner {
  readonly publicKey: Buffer;
  readonly #key: KeyObject;

  constructor(key: KeyObject) {
    this.#key = key;
    const spki = createPublicKey(key).export({ format: "der", type: "spki" });
    this.publicKey = spki.subarray(-SEED_BYTES);
  }

  sign(message: Uint8Array): Buffer {
    return sign(null, message, this.#key);
  }

  toJSON(): string {
    return "[log signer]";
  }

  toString(): string {
    return "[log signer]";
  }

  [inspect.custom](): string {
    return "[log signer]";
  }
}
