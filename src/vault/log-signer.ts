// The key that signs the audit's checkpoints: made on the first start, kept sealed in the database, and open only in here. No verb
// returns it.
import { createPrivateKey, createPublicKey, sign, type KeyObject } from "node:crypto";
import { inspect } from "node:util";
import type { LogSigner } from "../audit/index.ts";
import type { KeyRing } from "./key-ring.ts";
import { zero } from "./sealing.ts";
import { openServiceKey, SERVICE_KEY_BYTES } from "./service-keys.ts";

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
