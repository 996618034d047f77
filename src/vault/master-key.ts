// A master key, and the keys derived from it. Its bytes stay in a native key object and serve derivation alone. Nothing here prints
// or returns them.
import { createSecretKey, hkdfSync, type KeyObject } from "node:crypto";
import { inspect } from "node:util";

export const MASTER_KEY_BYTES = 32;

/** The 32-byte key that wraps data keys. Prints as `[master key <id>]`. */
export class MasterKey {
  /** Names the key and tells nothing of it: derived from it, one way. 16 hex digits. */
  readonly id: string;
  readonly #key: KeyObject;

  /** Copies `bytes` and zeroes them. */
  constructor(bytes: Buffer) {
    this.#key = createSecretKey(bytes);
    bytes.fill(0);
    this.id = this.derive("key id", 8).toString("hex");
  }

  /** A key for one purpose. The caller zeroes it. */
  derive(purpose: string, lengthBytes: number): Buffer {
    return deriveKey(this.#key, purpose, lengthBytes);
  }

  toString(): string {
    return `[master key ${this.id}]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/** A key for one purpose: HKDF-SHA-256 (RFC 5869), no salt. The caller zeroes it. */
export function deriveKey(root: KeyObject, purpose: string, lengthBytes: number): Buffer {
  return Buffer.from(hkdfSync("sha256", root, "", `x3sproxy v1 ${purpose}`, lengthBytes));
}
