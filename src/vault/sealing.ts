// Sealing: encrypts each value under its own data key, and the data key under the master key; both are bound to their row. Owns the
// byte format and the additional data. Must never read or write the database, nor keep plaintext. libsodium frees its working copies
// without wiping them, so zeroing here covers our own buffers only.
import { randomBytes } from "node:crypto";
import sodium from "libsodium-wrappers";
import { SealError } from "../platform/errors.ts";
import type { KeyRing, MasterKey } from "./master-key.ts";

// The first byte of a sealed value says its format, which determines the additional data. Format 1 includes the master key's id.
// Format 2 leaves it out, so that a rotation need only wrap the data key again. Format 3 adds a credential's header and scheme.
// A wrapped data key always has format 1.
const FORMATS = [1, 2, 3] as const;
type Format = (typeof FORMATS)[number];
const KEY_BYTES = 32;
const NONCE_BYTES = 24;
const TAG_BYTES = 16;

/** The place of a sealed key. Each field is authenticated, so the key opens in no other place. */
export interface Place {
  readonly workspaceId: string;
  readonly secretId: string;
  readonly version: number;
  /** Scheme, host and port that the value may be sent to. */
  readonly origin: string;
  /** The lower-case name of the header that carries it. */
  readonly header: string;
  /** The authentication scheme before it (RFC 9110, 11.1); empty: none. */
  readonly scheme: string;
}

export interface SealedValue {
  readonly keyId: string;
  readonly wrappedKey: Uint8Array;
  readonly ciphertext: Uint8Array;
}

/** What a sealed value is bound to. It opens only with the same binding. */
export interface Binding {
  /** What the data key and the value are for. The format's version is added to the value's purpose. */
  readonly purposes: { readonly dataKey: string; readonly value: string };
  /** The row, field by field. */
  readonly fields: readonly string[];
  /** What a value is bound to from format 3 on, besides the fields. Without it a value has format 2. */
  readonly format3Fields?: readonly string[];
  /** The row in words, for an error. */
  readonly row: string;
}

/** Seals `value` under a new random data key, and the data key under the active master key. libsodium must be ready. */
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

/** Seals bytes that belong to any row. The caller zeroes `plaintext`. */
export function sealBytes(key: MasterKey, to: Binding, plaintext: Uint8Array): SealedValue {
  const dataKey = randomBytes(KEY_BYTES);
  const format = newestFormatOf(to);
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
 * The same value under the active master key. Only its data key is opened and wrapped again; a value of an earlier format is opened
 * too, and sealed again in the newest one. Throws SealError when it does not open.
 */
export function rewrap(ring: KeyRing, to: Binding, sealed: SealedValue): SealedValue {
  const { active } = ring;
  const { ciphertext } = sealed;
  if ((ciphertext[0] ?? 0) < newestFormatOf(to)) {
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
    const held = `${ring.ids.length === 1 ? "this is" : "these are"} ${ring.ids.join(", ")}`;
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

/** A constant sealed under `key`. It tells the right master key from a wrong one. */
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

/** What a version of a secret is bound to. */
export function secretBinding(place: Place): Binding {
  const { workspaceId, secretId, version, origin, header, scheme } = place;
  return {
    purposes: { dataKey: "x3sproxy data key v1", value: "x3sproxy secret value" },
    fields: [workspaceId, secretId, String(version), origin],
    format3Fields: [header, scheme],
    row: `secret ${secretId} version ${version}`,
  };
}

function bind(purpose: string, { fields }: Binding, keyId: string): Buffer {
  return frame([purpose, ...fields, keyId]);
}

function bindValue(format: Format, to: Binding, keyId: string): Buffer {
  const purpose = `${to.purposes.value} v${format}`;
  if (format === 1) return bind(purpose, to, keyId);
  return frame([purpose, ...to.fields, ...(format === 2 ? [] : (to.format3Fields ?? []))]);
}

function newestFormatOf({ format3Fields }: Binding): Format {
  return format3Fields === undefined ? 2 : 3;
}

function formatOf(blob: Uint8Array): Format {
  const format = FORMATS.find((each) => each === blob[0]);
  if (format === undefined) throw new SealError("not a sealed value");
  return format;
}

/** Joins fields, each with its length in 4 bytes before it, so that different lists never give the same bytes. */
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
