// The service's own keys: one signs the audit's checkpoints, the other is the root of derived passwords and credentials. Each is random,
// generated at the first start and stored sealed in the database. Must never return the bytes of a key to another room.
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

const SERVICE_KEY_BYTES = 32;

type ServiceKeyName = "audit log" | "derivation";

/**
 * Opens the key of this name, which is generated when there is none; the caller zeroes it. `ownerUrl`: a migrated database, as its owner
 * role. Throws SealError when the key doesn't open, StoreUnavailableError when the database does not answer.
 */
async function openServiceKey(
  ownerUrl: string,
  ring: KeyRing,
  name: ServiceKeyName,
): Promise<Buffer> {
  await sodium.ready;
  const pool = createPool(ownerUrl, { max: 1 });
  const sealed = await storedKey(pool, ring, name).finally(() => pool.close());
  return unsealBytes(ring, serviceKeyBinding(name), sealed);
}

function storedKey(pool: Pool, ring: KeyRing, name: ServiceKeyName): Promise<SealedValue> {
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

/** What a service key is bound to. */
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

// What precedes an Ed25519 private key in PKCS #8 (RFC 8410).
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

/**
 * The signer of this database's audit logs. Its key is generated when there is none. Takes and throws the same as `openServiceKey`.
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

/**
 * Derives what is never stored: the passwords of the database logins, and bearer credentials that are given out twice. Rotating the
 * master key changes none of them, since the root stays the same. Prints as `[derivation]`.
 */
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

  /** A bearer credential for `purpose`. Credentials that have to differ need purposes that differ. */
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

/** The derivation of this database. Takes and throws the same as `openServiceKey`. */
export async function openDerivation(ownerUrl: string, ring: KeyRing): Promise<Derivation> {
  return new Derivation(await openServiceKey(ownerUrl, ring, "derivation"));
}
