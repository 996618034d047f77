// What is derived instead of kept: the database logins' passwords, and bearers that are given out twice. All of it comes, one way, from
// a random root in the database, sealed under the master key: another master key changes nothing of it.
import { createSecretKey, type KeyObject } from "node:crypto";
import { inspect } from "node:util";
import { bearerOf } from "../ids.ts";
import type { KeyRing } from "./key-ring.ts";
import { deriveKey } from "./master-key.ts";
import { zero } from "./sealing.ts";
import { openServiceKey } from "./service-keys.ts";

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
