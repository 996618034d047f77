// Sealing: a value under a data key of its own, the data key under the master key, both bound to the row that they
// belong to. Owns the byte format and the additional data; knows nothing of tables and keeps nothing.
// libsodium frees its working copies without wiping them: zeroing here covers our own buffers only.
import { randomBytes } from "node:crypto";
import sodium from "libsodium-wrappers";
import { SealError } from "../platform/errors.ts";
import type { KeyRing, MasterKey } from "./master-key.ts";

// The first byte of a sealed value. In the first format its additional data has the master key's id, in the second it has not, so that
// another master key can take the data key over; in the third it has the header and the scheme of a credential, too. A wrapped data key
// is always of the first.
const FORMATS = [1, 2, 3] as const;
type Format = (typeof FORMATS)[number];
const KEY_BYTES = 32;
const NONCE_BYTES = 24;
const TAG_BYTES = 16;

/** Where a sealed value belongs. Each field is authenticated: it opens in no other place. */
export interface Place {
  readonly workspaceId: string;
  readonly secretId: string;
  readonly version: number;
  /** Scheme, host and port that the value may be sent to. */
  readonly origin: string;
  /** Lower-case name of the header that it goes into. */
  readonly header: string;
  /** What stands before it there; empty: nothing. */
  readonly scheme: string;
}

export interface SealedValue {
  readonly keyId: string;
  readonly wrappedKey: Uint8Array;
  readonly ciphertext: Uint8Array;
}

/** What a sealed value is bound to: it opens for nothing else. */
export interface Binding {
  /** What the data key and the value are for; the value's without the version of its format. */
  readonly purposes: { readonly dataKey: string; readonly value: string };
  /** The row, field by field. */
  readonly fields: readonly string[];
  /** What values are bound to since the third format, beside the fields. Without it they are of the second. */
  readonly since3?: readonly string[];
  /** The row in words, for an error. */
  readonly row: string;
}

/** Seals `value` under a fresh random data key, and that under the active master key. libsodium must be ready. */
export function seal(ring: KeyRing, place: Place, value: string): SealedValue {
  const plaintext = Buffer.from(value, "utf8");
  try {
    return sealBytes(ring.active, secretBinding(place), plaintext);
  } finally {
    zero(plaintext);
  }
}

/** The plaintext's bytes, which the caller zeroes. Throws SealError when anything differs from what was sealed. */
export function unseal(ring: KeyRing, place: Place, sealed: SealedValue): Buffer {
  return unsealBytes(ring, secretBinding(place), sealed);
}

/** The same for bytes bound to any row. The caller zeroes `plaintext`. */
export function sealBytes(key: MasterKey, to: Binding, plaintext: Uint8Array): SealedValue {
  const dataKey = randomBytes(KEY_BYTES);
  const format = newestOf(to);
  try {
    return {
      keyId: key.id,
      wrappedKey: wrap(key, to, dataKey),
      ciphertext: encrypt(format, dataKey, plaintext, bindValue(format, to, key.id)),
    };
  } finally {
    zero(dataKey);
  }
}

/** The plaintext's bytes, which the caller zeroes. Throws SealError when anything differs from what was sealed. */
export function unsealBytes(ring: KeyRing, to: Binding, sealed: SealedValue): Buffer {
  const { ciphertext, keyId } = sealed;
  let dataKey: Buffer | undefined;
  try {
    dataKey = unwrap(ring, to, sealed);
    const format = formatOf(ciphertext);
    return decrypt(format, dataKey, ciphertext, bindValue(format, to, keyId));
  } catch (error) {
    throw asSealError(error, to);
  } finally {
    if (dataKey !== undefined) zero(dataKey);
  }
}

/**
 * The same value under the active master key: only its data key is opened. A value of an earlier format is itself opened and sealed
 * anew, this once. Throws SealError when it does not open.
 */
export function rewrap(ring: KeyRing, to: Binding, sealed: SealedValue): SealedValue {
  const { active } = ring;
  const { ciphertext } = sealed;
  if ((ciphertext[0] ?? 0) < newestOf(to)) {
    const plaintext = unsealBytes(ring, to, sealed);
    try {
      return sealBytes(active, to, plaintext);
    } finally {
      zero(plaintext);
    }
  }
  let dataKey: Buffer | undefined;
  try {
    formatOf(ciphertext);
    dataKey = unwrap(ring, to, sealed);
    return { keyId: active.id, wrappedKey: wrap(active, to, dataKey), ciphertext };
  } catch (error) {
    throw asSealError(error, to);
  } finally {
    if (dataKey !== undefined) zero(dataKey);
  }
}

function wrap(key: MasterKey, to: Binding, dataKey: Uint8Array): Buffer {
  const wrappingKey = key.derive("data key wrapping", KEY_BYTES);
  try {
    return encrypt(1, wrappingKey, dataKey, bind(to.purposes.dataKey, to, key.id));
  } finally {
    zero(wrappingKey);
  }
}

function unwrap(ring: KeyRing, to: Binding, { keyId, wrappedKey }: SealedValue): Buffer {
  const key = ring.get(keyId);
  if (key === undefined) {
    const [own, ...more] = ring.ids;
    const held = more.length === 0 ? `this is ${own ?? ""}` : `these are ${ring.ids.join(", ")}`;
    throw new SealError(`${to.row} was sealed under master key ${keyId}, and ${held}`);
  }
  const wrappingKey = key.derive("data key wrapping", KEY_BYTES);
  try {
    return decrypt(1, wrappingKey, wrappedKey, bind(to.purposes.dataKey, to, keyId));
  } finally {
    zero(wrappingKey);
  }
}

function asSealError(error: unknown, to: Binding): SealError {
  if (error instanceof SealError && error.message.startsWith(to.row)) return error;
  return new SealError(`${to.row} does not open: it was moved or edited since it was sealed`);
}

/** A constant sealed under `key`: what tells the right master key from a wrong one. */
export function sealCheckValue(key: MasterKey): Uint8Array {
  const checkKey = key.derive("check value", KEY_BYTES);
  try {
    return encrypt(
      1,
      checkKey,
      Buffer.from("x3sproxy"),
      frame(["x3sproxy check value v1", key.id]),
    );
  } finally {
    zero(checkKey);
  }
}

/** Whether `checkValue` was sealed under `key`. */
export function opensCheckValue(key: MasterKey, checkValue: Uint8Array): boolean {
  const checkKey = key.derive("check value", KEY_BYTES);
  try {
    decrypt(1, checkKey, checkValue, frame(["x3sproxy check value v1", key.id]));
    return true;
  } catch {
    return false;
  } finally {
    zero(checkKey);
  }
}

export function zero(...buffers: Uint8Array[]): void {
  for (const buffer of buffers) sodium.memzero(buffer);
}

/** Of a secret's version. */
export function secretBinding(place: Place): Binding {
  const { workspaceId, secretId, version, origin, header, scheme } = place;
  return {
    purposes: { dataKey: "x3sproxy data key v1", value: "x3sproxy secret value" },
    fields: [workspaceId, secretId, String(version), origin],
    since3: [header, scheme],
    row: `secret ${secretId} version ${version}`,
  };
}

function bind(purpose: string, { fields }: Binding, keyId: string): Buffer {
  return frame([purpose, ...fields, keyId]);
}

function bindValue(format: Format, to: Binding, keyId: string): Buffer {
  const purpose = `${to.purposes.value} v${format}`;
  if (format === 1) return bind(purpose, to, keyId);
  return frame([purpose, ...to.fields, ...(format === 2 ? [] : (to.since3 ?? []))]);
}

function newestOf({ since3 }: Binding): Format {
  return since3 === undefined ? 2 : 3;
}

function formatOf(blob: Uint8Array): Format {
  const format = FORMATS.find((each) => each === blob[0]);
  if (format === undefined) throw new SealError("not a sealed value");
  return format;
}

/** Joins fields, each after its length in 4 bytes, so that no two different lists give the same bytes. */
function frame(fields: readonly string[]): Buffer {
  return Buffer.concat(
    fields.flatMap((field) => {
      const bytes = Buffer.from(field, "utf8");
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}

/** Format byte ‖ nonce ‖ XChaCha20-Poly1305 (IETF) ciphertext and tag. */
function encrypt(
  format: Format,
  key: Uint8Array,
  plaintext: Uint8Array,
  additionalData: Uint8Array,
): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  return Buffer.concat([
    Buffer.of(format),
    nonce,
    sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, additionalData, null, nonce, key),
  ]);
}

function decrypt(
  format: Format,
  key: Uint8Array,
  blob: Uint8Array,
  additionalData: Uint8Array,
): Buffer {
  if (blob.length < 1 + NONCE_BYTES + TAG_BYTES || blob[0] !== format) {
    throw new SealError("not a sealed value");
  }
  const opened = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
    null,
    blob.subarray(1 + NONCE_BYTES),
    additionalData,
    blob.subarray(1, 1 + NONCE_BYTES),
    key,
  );
  return Buffer.from(opened.buffer, opened.byteOffset, opened.byteLength);
}
