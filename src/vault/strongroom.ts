// The strongroom: the one place where a real key exists as plaintext, and only as bytes that can be zeroed. It offers to set a
// header, and never gives the value. Nothing in here may return, print or log plaintext.
import { inspect } from "node:util";
import sodium from "libsodium-wrappers";
import { SealError } from "../platform/errors.ts";
import type { Derivation } from "./service-keys.ts";
import type { KeyRing } from "./master-key.ts";
import { seal, unseal, zero, type Place, type SealedValue } from "./sealing.ts";
import { matchingStep, sealSeed, type SeedOwner } from "./second-factor.ts";

/** A sealed version of a secret, as `resolve_token` returns it. */
export interface SealedSecret extends Place, SealedValue {
  readonly provider: string;
}

/** A secret that is opened on its first use, and not before its release is in the audit. Prints `[sealed]`. */
export interface HeldSecret {
  readonly secretId: string;
  readonly version: number;
  readonly origin: string;
  /** The only header and scheme in which it is sent. */
  readonly header: string;
  readonly scheme: string;
  /** The same secret, once it may be injected; undefined before the release. */
  readonly released: ReleasedSecret | undefined;
  /** Whether its plaintext is in memory. */
  readonly opened: boolean;
  /** Call this once the audit event of the release is committed. From then on the secret may be opened. */
  release(): ReleasedSecret;
  /** Zeroes the plaintext. From then on the secret can't be injected. */
  wipe(): void;
}

declare const onRecord: unique symbol;
/** A held secret whose release is in the audit. */
export interface ReleasedSecret extends HeldSecret {
  readonly [onRecord]: true;
}

/** Sets a credential on a request without showing it. */
export interface Injection {
  /** Lower-case names of the headers that it sets. */
  readonly names: readonly string[];
  /** Pushes name and value onto a flat raw-header array. Throws SealError once the secret is wiped. */
  applyTo(headers: string[]): void;
}

export interface Vault {
  /** Seals a key for one place. It can't be opened for any other. */
  seal(place: Place, value: string): SealedValue;
  /** Takes a sealed secret without opening it. */
  hold(sealed: SealedSecret): HeldSecret;
  /**
   * Opens the secret and gives an injection into the header that it was sealed for. Throws SealError when the row does not open, was
   * sealed for another origin than `origin`, or is wiped.
   */
  inject(held: ReleasedSecret, origin: string): Injection;
  /** Seals a user's TOTP seed (base32). It can't be opened for any other user. */
  sealSeed(owner: SeedOwner, seed: string): SealedValue;
  /**
   * The time step (RFC 6238) to which `code` belongs, at most one step away from `nowMs`; undefined when the code is wrong. Throws
   * SealError when the row does not open.
   */
  matchingStep(
    owner: SeedOwner,
    sealed: SealedValue,
    at: { code: string; nowMs: number },
  ): number | undefined;
  /** Derives 32 bytes for `purpose`, as base64url: the password of a database login. All processes on a database get the same. */
  derive(purpose: string): string;
  /**
   * Derives a bearer credential for `purpose`, the same each time on a database, so that it can be given out again. Two credentials
   * that have to differ need purposes that differ.
   */
  deriveBearer(prefix: string, purpose: readonly string[]): string;
}

/** Waits for libsodium, and creates a vault with the master keys in `ring`. The vault derives only with a `derivation`. */
export async function createVault(ring: KeyRing, derivation?: Derivation): Promise<Vault> {
  await sodium.ready;
  const derived = (): Derivation => {
    if (derivation === undefined) throw new Error("this vault was created without a derivation");
    return derivation;
  };
  return {
    seal: (place, value) => seal(ring, place, value),
    hold: (sealed) => new Held(sealed, () => unseal(ring, sealed, sealed)),
    inject: (held, origin) => {
      if (!(held instanceof Held)) throw new SealError("not a secret of this vault");
      return held.inject(origin);
    },
    sealSeed: (owner, seed) => sealSeed(ring, owner, seed),
    matchingStep: (owner, sealed, at) => matchingStep(ring, owner, sealed, at),
    derive: (purpose) => derived().derive(purpose),
    deriveBearer: (prefix, purpose) => derived().deriveBearer(prefix, purpose),
  };
}

class Held implements HeldSecret {
  readonly secretId: string;
  readonly version: number;
  readonly origin: string;
  readonly header: string;
  readonly scheme: string;
  readonly #open: () => Buffer;
  #opened: Buffer | undefined;
  #released = false;
  #wiped = false;

  constructor(place: Place, open: () => Buffer) {
    this.secretId = place.secretId;
    this.version = place.version;
    this.origin = place.origin;
    this.header = place.header;
    this.scheme = place.scheme;
    this.#open = open;
  }

  get released(): ReleasedSecret | undefined {
    return this.#released ? (this as HeldSecret as ReleasedSecret) : undefined;
  }

  get opened(): boolean {
    return this.#opened !== undefined;
  }

  release(): ReleasedSecret {
    this.#released = true;
    return this as HeldSecret as ReleasedSecret;
  }

  inject(origin: string): Injection {
    const { header, scheme } = this;
    if (origin !== this.origin) {
      throw new SealError(`${this.#row()} was sealed for another origin`);
    }
    if (header === "") throw new SealError(`${this.#row()} was sealed for no known header`);
    this.#value();
    return {
      names: [header],
      applyTo: (headers: string[]) => {
        const key = this.#value().toString("latin1");
        headers.push(header, scheme === "" ? key : `${scheme} ${key}`);
      },
    };
  }

  wipe(): void {
    this.#wiped = true;
    if (this.#opened !== undefined) zero(this.#opened);
    this.#opened = undefined;
  }

  #value(): Buffer {
    if (!this.#released) throw new SealError(`the release of ${this.#row()} is not on record`);
    if (this.#wiped) throw new SealError(`${this.#row()} is no longer held`);
    return (this.#opened ??= this.#open());
  }

  #row(): string {
    return `secret ${this.secretId} version ${this.version}`;
  }

  toString(): string {
    return "[sealed]";
  }

  toJSON(): string {
    return "[sealed]";
  }

  [Symbol.toPrimitive](): string {
    return "[sealed]";
  }

  [inspect.custom](): string {
    return "[sealed]";
  }
}
