// The strongroom: the one place where a real key exists in the open, and only as bytes that can be zeroed. It hands out
// the act of setting a header, never the value. Nothing in here may return, print or log plaintext.
import { inspect } from "node:util";
import sodium from "libsodium-wrappers";
import { SealError } from "../platform/errors.ts";
import type { Derivation } from "./service-keys.ts";
import type { KeyRing } from "./master-key.ts";
import { seal, unseal, zero, type Place, type SealedValue } from "./sealing.ts";
import { matchingStep, sealSeed, type SeedOwner } from "./second-factor.ts";

/** A row as `resolve_token` returns it. */
export interface SealedSecret extends Place, SealedValue {
  readonly provider: string;
}

/** A sealed secret that opens on first use, and not before its release is on record. Prints `[sealed]`. */
export interface HeldSecret {
  readonly secretId: string;
  readonly version: number;
  readonly origin: string;
  /** The header and the scheme that it goes up in, and no others. */
  readonly header: string;
  readonly scheme: string;
  /** What can be injected; undefined before the release. */
  readonly released: ReleasedSecret | undefined;
  /** Whether it was opened, and not wiped since. */
  readonly opened: boolean;
  /** Says that an event of the release is committed: from now on it may be opened. */
  release(): ReleasedSecret;
  /** Zeroes what was opened; from then on nothing can be injected. */
  wipe(): void;
}

declare const onRecord: unique symbol;
/** A held secret whose release is on record. */
export interface ReleasedSecret extends HeldSecret {
  readonly [onRecord]: true;
}

/** How to set a credential, without showing it. */
export interface Injection {
  /** Lower-case names of the headers that it sets. */
  readonly names: readonly string[];
  /** Pushes name and value onto a flat raw-header array. Throws SealError once the secret is wiped. */
  applyTo(headers: string[]): void;
}

export interface Vault {
  /** Seals a key for one place: nothing opens it anywhere else. */
  seal(place: Place, value: string): SealedValue;
  hold(sealed: SealedSecret): HeldSecret;
  /**
   * Into the header, and after the scheme, that it was sealed for. Throws SealError when the row does not open, was sealed for another
   * origin than `origin`, or is wiped.
   */
  inject(held: ReleasedSecret, origin: string): Injection;
  /** Seals a user's TOTP seed (base32): nothing opens it for anybody else. */
  sealSeed(owner: SeedOwner, seed: string): SealedValue;
  /**
   * The time step (RFC 6238) whose code `code` is, within one step of `nowMs`; undefined when it is of none. Throws SealError
   * when the row does not open.
   */
  matchingStep(
    owner: SeedOwner,
    sealed: SealedValue,
    at: { code: string; nowMs: number },
  ): number | undefined;
  /** 32 bytes for `purpose`, base64url, one way, the same for all processes on a database: for its logins' passwords. */
  derive(purpose: string): string;
  /**
   * A bearer credential for `purpose`, one way, the same each time on a database: for whoever may have it again. The purpose has to
   * name everything that makes it another one's.
   */
  deriveBearer(prefix: string, purpose: readonly string[]): string;
}

/** Readies libsodium and closes the vault over the keys of `ring`, and over the root of what is derived. */
export async function createVault(ring: KeyRing, derivation?: Derivation): Promise<Vault> {
  await sodium.ready;
  const derived = (): Derivation => {
    if (derivation === undefined) throw new Error("a vault without a root to derive from");
    return derivation;
  };
  return {
    seal: (place, value) => seal(ring, place, value),
    hold: (sealed) => new Held(sealed, () => unseal(ring, sealed, sealed)),
    inject: (held, origin) => {
      if (!(held instanceof Held)) throw new SealError("not a secret that the vault holds");
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
