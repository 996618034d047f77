// Sealing: a value under a data key of its own, the data key under the master key, both bound to the row that they
// belong to. Owns the byte format and the additional data; knows nothing of tables and keeps nothing.
// libsodium frees its working copies without wiping them: zeroing here covers our own buffers only.
import { randomBytes } from "node:crypto";
import sodium from "libsodium-wrappers";
import { SealError } from "../errors.ts";
import type { MasterKey } from "./master-key.ts";

const FORMAT = 1;
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
}

export interface SealedValue {
  readonly keyId: string;
  readonly wrappedKey: Uint8Array;
  readonly ciphertext: Uint8Array;
}

/** What a sealed value is bound to: it opens for nothing else. */
export interface Binding {
  /** What the data key and the value are for, each with the version of its format. */
  readonly purposes: { readonly dataKey: string; readonly value: string };
  /** The row, field by field. */
  readonly fields: readonly string[];
  /** The row in words, for an error. */
  readonly row: string;
}

/** Seals `value` under a fresh random data key, and that under `key`. libsodium must be ready. */
export function seal(key: MasterKey, place: Place, value: string): SealedValue {
  const plaintext = Buffer.from(value, "utf8");
  try {
    return sealBytes(key, bindingOf(place), plaintext);
  } finally {
    zero(plaintext);
  }
}

/** The plaintext's bytes, which the caller zeroes. Throws SealError when anything differs from what was sealed. */
export function unseal(key: MasterKey, place: Place, sealed: SealedValue): Buffer {
  return unsealBytes(key, bindingOf(place), sealed);
}

/** The same for bytes bound to any row. The caller zeroes `plaintext`. */
export function sealBytes(key: MasterKey, to: Binding, plaintext: Uint8Array): SealedValue {
  const dataKey = randomBytes(KEY_BYTES);
  const wrappingKey = key.derive("data key wrapping", KEY_BYTES);
  try {
    return {
      keyId: key.id,
      wrappedKey: encrypt(wrappingKey, dataKey, bind(to.purposes.dataKey, to, key.id)),
      ciphertext: encrypt(dataKey, plaintext, bind(to.purposes.value, to, key.id)),
    };
  } finally {
    zero(dataKey, wrappingKey);
  }
}

/** The plaintext's bytes, which the caller zeroes. Throws SealError when anything differs from what was sealed. */
export function unsealBytes(key: MasterKey, to: Binding, sealed: SealedValue): Buffer {
  if (sealed.keyId !== key.id) {
    throw new SealError(
      `${to.row} was sealed under master key ${sealed.keyId}, and this is ${key.id}`,
    );
  }
  const wrappingKey = key.derive("data key wrapping", KEY_BYTES);
  let dataKey: Buffer | undefined;
  try {
    dataKey = decrypt(wrappingKey, sealed.wrappedKey, bind(to.purposes.dataKey, to, key.id));
    return decrypt(dataKey, sealed.ciphertext, bind(to.purposes.value, to, key.id));
  } catch {
    throw new SealError(`${to.row} does not open: it was moved or edited since it was sealed`);
  } finally {
    zero(wrappingKey, ...(dataKey === undefined ? [] : [dataKey]));
  }
}

/** A constant sealed under `key`: what tells the right master key from a wrong one. */
export function sealCheckValue(key: MasterKey): Uint8Array {
  const checkKey = key.derive("check value", KEY_BYTES);
  try {
    return encrypt(checkKey, Buffer.from("x3sproxy"), frame(["x3sproxy check value v1", key.id]));
  } finally {
    zero(checkKey);
  }
}

/** Whether `checkValue` was sealed under `key`. */
export function opensCheckValue(key: MasterKey, checkValue: Uint8Array): boolean {
  const checkKey = key.derive("check value", KEY_BYTES);
  try {
    decrypt(checkKey, checkValue, frame(["x3sproxy check value v1", key.id]));
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

function bindingOf({ workspaceId, secretId, version, origin }: Place): Binding {
  return {
    purposes: { dataKey: "x3sproxy data key v1", value: "x3sproxy secret value v1" },
    fields: [workspaceId, secretId, String(version), origin],
    row: `secret ${secretId} version ${version}`,
  };
}

function bind(purpose: string, { fields }: Binding, keyId: string): Buffer {
  return frame([purpose, ...fields, keyId]);
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
function encrypt(key: Uint8Array, plaintext: Uint8Array, additionalData: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  return Buffer.concat([
    Buffer.of(FORMAT),
    nonce,
    sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, additionalData, null, nonce, key),
  ]);
}

function decrypt(key: Uint8Array, blob: Uint8Array, additionalData: Uint8Array): Buffer {
  if (blob.length < 1 + NONCE_BYTES + TAG_BYTES || blob[0] !== FORMAT) {
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
