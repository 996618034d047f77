// Seals as earlier versions did, written from the description of their formats: older databases have such values.
import { randomBytes } from "node:crypto";
import sodium from "libsodium-wrappers";
import type { MasterKey, SealedSecret } from "../../src/vault/index.ts";

type EarlierPlace = Pick<SealedSecret, "workspaceId" | "secretId" | "version" | "origin">;

/** In format 1 the additional data of the value includes the master key's id, in format 2 it doesn't. Neither has header and scheme. */
export function sealAsBefore(format: 1 | 2, key: MasterKey, place: EarlierPlace, value: string) {
  const bound = [place.workspaceId, place.secretId, String(place.version), place.origin];
  const encrypt = (as: number, by: Uint8Array, plaintext: Uint8Array, fields: string[]): Buffer => {
    const nonce = randomBytes(24);
    const sealed = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
      ...([plaintext, frame(fields), null, nonce, by] as const),
    );
    return Buffer.concat([Buffer.of(as), nonce, sealed]);
  };
  const dataKey = randomBytes(32);
  const wrappingKey = key.derive("data key wrapping", 32);
  const purpose = `x3sproxy secret value v${format}`;
  return {
    keyId: key.id,
    wrappedKey: encrypt(1, wrappingKey, dataKey, ["x3sproxy data key v1", ...bound, key.id]),
    ciphertext: encrypt(format, dataKey, Buffer.from(value), [
      purpose,
      ...bound,
      ...(format === 1 ? [key.id] : []),
    ]),
  };
}

function frame(fields: readonly string[]): Buffer {
  return Buffer.concat(
    fields.flatMap((field) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(Buffer.byteLength(field));
      return [length, Buffer.from(field)];
    }),
  );
}
