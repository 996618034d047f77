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

// The master keys that this process holds, by id. One of them is active: it seals what is new. Which one is said by the database, so
// that all processes agree. Prints nothing but ids.

export class KeyRing {
  /** What the operator should know of where the keys came from, if anything: a sentence to log at start. */
  readonly warning: string | undefined;
  readonly #keys: ReadonlyMap<string, MasterKey>;
  #active: MasterKey;

  /** At least one key. The first is active until the database has said which. */
  constructor(keys: readonly MasterKey[], warning?: string) {
    const [first] = keys;
    if (first === undefined) throw new Error("a ring without a key");
    this.#keys = new Map(keys.map((key) => [key.id, key]));
    this.#active = first;
    this.warning = warning;
  }

  /** In the order in which they were given. */
  get ids(): string[] {
    return [...this.#keys.keys()];
  }

  get active(): MasterKey {
    return this.#active;
  }

  get(id: string): MasterKey | undefined {
    return this.#keys.get(id);
  }

  /** From now on this key seals what is new. False, and nothing changes, when the ring doesn't have it. */
  activate(id: string): boolean {
    const key = this.#keys.get(id);
    if (key !== undefined) this.#active = key;
    return key !== undefined;
  }

  toString(): string {
    return `[master keys ${this.ids.join(", ")}]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}
