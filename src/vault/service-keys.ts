// Keys of the service itself: random, made on the first start, kept sealed in the database. Given to the rooms' own files in here, which
// zero them.
import {
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  randomBytes,
  sign,
  type KeyObject,
} from "node:crypto";
import { inspect } from "node:util";
import sodium from "libsodium-wrappers";
import type { LogSigner } from "../audit/index.ts";
import { createPool, type Pool } from "../db/index.ts";
import { bearerOf } from "../platform/ids.ts";
import { deriveKey, type KeyRing } from "./master-key.ts";
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

// The key that signs the audit's checkpoints: made on the first start, kept sealed in the database, and open only in here. No verb
// returns it.

// Of an Ed25519 private key in PKCS #8 (RFC 8410).
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

/**
 * The signer of this database's logs; its key is made when there is none. Needs an owner's connection to a migrated database.
 * Throws SealError when the key doesn't open, StoreUnavailableError for a silent database.
 */
export async function openLogSigner(ownerUrl: string, ring: KeyRing): Promise<LogSigner> {
  const seed = await openServiceKey(ownerUrl, ring, "audit log");
  const pkcs8 = Buffer.concat([PKCS8_PREFIX, seed]);
  try {
    return new Signer(createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }));
  } finally {
    zero(seed, pkcs8);
  }
}

class Signer implements LogSigner {
  readonly publicKey: Buffer;
  readonly #key: KeyObject;

  constructor(key: KeyObject) {
    this.#key = key;
    const spki = createPublicKey(key).export({ format: "der", type: "spki" });
    this.publicKey = spki.subarray(-SERVICE_KEY_BYTES);
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

// What is derived instead of kept: the database logins' passwords, and bearers that are given out twice. All of it comes, one way, from
// a random root in the database, sealed under the master key: another master key changes nothing of it.

/** Prints as `[derivation]`. */
export class Derivation {
  readonly #root: KeyObject;

  /** Copies `root` and zeroes it. */
  constructor(root: Buffer) {
    this.#root = createSecretKey(root);
    root.fill(0);
  }

  /** 32 bytes for `purpose`, base64url. */
  derive(purpose: string): string {
    const derived = deriveKey(this.#root, `derived ${purpose}`, 32);
    const text = derived.toString("base64url");
    zero(derived);
    return text;
  }

  /** A bearer credential for `purpose`, which has to name everything that makes it another one's. */
  deriveBearer(prefix: string, purpose: readonly string[]): string {
    const blocks: Buffer[] = [];
    try {
      return bearerOf(prefix, (lengthBytes) => {
        const label = JSON.stringify([...purpose, String(blocks.length)]);
        const block = deriveKey(this.#root, `bearer ${label}`, lengthBytes);
        blocks.push(block);
        return block;
      });
    } finally {
      zero(...blocks);
    }
  }

  toString(): string {
    return "[derivation]";
  }

  toJSON(): string {
    return "[derivation]";
  }

  [inspect.custom](): string {
    return "[derivation]";
  }
}

/** This database's. Needs an owner's connection to it, migrated. Throws SealError, StoreUnavailableError. */
export async function openDerivation(ownerUrl: string, ring: KeyRing): Promise<Derivation> {
  return new Derivation(await openServiceKey(ownerUrl, ring, "derivation"));
}
