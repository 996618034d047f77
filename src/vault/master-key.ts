// The master keys of a process, and the keys derived from them. A master key's bytes stay in a native key object, used only to derive
// other keys. Must never print or return them.
import { createSecretKey, hkdfSync, type KeyObject } from "node:crypto";
import { inspect } from "node:util";

export const MASTER_KEY_BYTES = 32;

/** The 32-byte key that wraps data keys. Prints as `[master key <id>]`. */
export class MasterKey {
  /** 16 hex digits, derived from the key. Reveals nothing of it. */
  readonly id: string;
  readonly #key: KeyObject;

  /** Copies `bytes` and zeroes them. */
  constructor(bytes: Buffer) {
    this.#key = createSecretKey(bytes);
    bytes.fill(0);
    this.id = this.derive("key id", 8).toString("hex");
  }

  /** Derives a key for one purpose, as `deriveKey` does. The caller zeroes it. */
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

/** Derives a key for one purpose by HKDF-SHA-256 (RFC 5869) without salt. The caller zeroes it. */
export function deriveKey(root: KeyObject, purpose: string, lengthBytes: number): Buffer {
  return Buffer.from(hkdfSync("sha256", root, "", `x3sproxy v1 ${purpose}`, lengthBytes));
}

/**
 * The master keys that this process holds, by id. The active one seals new values; the database says which it is, so that all
 * processes agree. Prints ids alone.
 */
export class KeyRing {
  /** A sentence to log at start when the source of the keys isn't safe. */
  readonly warning: string | undefined;
  readonly #keys: ReadonlyMap<string, MasterKey>;
  #active: MasterKey;

  /** Takes at least one key. The first is active until `activate` is called. */
  constructor(keys: readonly MasterKey[], warning?: string) {
    const [first] = keys;
    if (first === undefined) throw new Error("a key ring needs a key");
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

  /** Makes a key the active one. Returns false, and changes nothing, when the ring doesn't have it. */
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
