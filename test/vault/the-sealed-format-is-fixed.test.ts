// Opens what the vault sealed with nothing but the description of the format, so that no change of it goes unseen:
// keys that were sealed years ago must still open.
import assert from "node:assert/strict";
import { hkdfSync } from "node:crypto";
import test from "node:test";
import sodium from "libsodium-wrappers";
import { SealError } from "../../src/platform/errors.ts";
import { createVault } from "../../src/vault/index.ts";
import { rewrap, secretBinding } from "../../src/vault/sealing.ts";
import { FAKE_KEY, ringOf, sent } from "./fixture.ts";

const master = Buffer.alloc(32, "fake master key");
const place = {
  workspaceId: "00000000-0000-4000-8000-000000000001",
  secretId: "00000000-0000-4000-8000-000000000002",
  version: 7,
  origin: "https://api.anthropic.com",
  header: "x-api-key",
  scheme: "",
};

function derived(purpose: string, length: number): Buffer {
  return Buffer.from(hkdfSync("sha256", master, "", `x3sproxy v1 ${purpose}`, length));
}

function framed(...fields: string[]): Buffer {
  return Buffer.concat(
    fields.flatMap((field) => [Buffer.of(0, 0, 0, Buffer.byteLength(field)), Buffer.from(field)]),
  );
}

function open(
  key: Uint8Array,
  blob: Uint8Array,
  additionalData: Uint8Array,
  format = 1,
): Uint8Array {
  assert.equal(blob[0], format);
  return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
    null,
    blob.subarray(25),
    additionalData,
    blob.subarray(1, 25),
    key,
  );
}

test("data key under the wrapping key, value under the data key, each bound to its purpose and place", async () => {
  const vault = await createVault(await ringOf(master.toString("base64")));
  const sealed = vault.seal(place, FAKE_KEY);
  assert.equal(sealed.keyId, derived("key id", 8).toString("hex"));
  const bound = [place.workspaceId, place.secretId, "7", place.origin];
  const wrappingKey = derived("data key wrapping", 32);
  const toKey = framed("x3sproxy data key v1", ...bound, sealed.keyId);
  const dataKey = open(wrappingKey, sealed.wrappedKey, toKey);
  assert.equal(dataKey.length, 32);
  const toPlace = framed("x3sproxy secret value v3", ...bound, place.header, place.scheme);
  const value = open(dataKey, sealed.ciphertext, toPlace, 3);
  assert.equal(Buffer.from(value).toString(), FAKE_KEY);
});

test("a value sealed by the first release opens", async () => {
  const vault = await createVault(await ringOf(master.toString("base64")));
  const sealed = {
    ...place,
    provider: "anthropic",
    keyId: "2b1498fba5b3742f",
    wrappedKey: Buffer.from(
      "AWRnerBUeNPmdVsksTzc9QRtvOTN2wq4teVKm90YVXTyiDJv0w9ai8KN0W5Du3bkykN+Xph+7pFt6rRiK0TDd8tf81HI3bCREg==",
      "base64",
    ),
    ciphertext: Buffer.from(
      "AcPn4s/d3HenmnbLrjSqqoU0PQJAdV4wGk8z//kWlLLuoqHHr+uftcbxVdpj7nYX8K/EVXDt1SV96SVGpqhQqpVYjp1QcYBtur9lhiv4Ne6cys6E",
      "base64",
    ),
  };
  assert.equal(sent(vault, vault.hold(sealed)), FAKE_KEY);
});

test("a value of the second format opens, and is bound to its header and scheme once another master key takes it over", async () => {
  const sealed = {
    ...place,
    provider: "anthropic",
    keyId: "2b1498fba5b3742f",
    wrappedKey: Buffer.from(
      "Aezg0aiCVYNXjYLJmjhhVm/4SDf3acaW5AsfGKwooXnPJU1T0HDS0hgtWl1soxDFdN96EdFJ1SazEJCogHEUSBL3TltVdUVJJw==",
      "base64",
    ),
    ciphertext: Buffer.from(
      "AoxCT+xP6Kd01mQRnHO+r6j6pWIQRaGkVvpauW/Izld7gLcTsHdg/QqUB52qJs3VO5uj9YJ2KkdWn2mhlYVUp2SdxZEOpsn6YLZwK0t8s/+FwPQ1",
      "base64",
    ),
  };
  const next = Buffer.alloc(32, "fake second master key").toString("base64");
  const ring = await ringOf(`${next},${master.toString("base64")}`);
  const vault = await createVault(ring);
  assert.equal(sent(vault, vault.hold(sealed)), FAKE_KEY);
  const moved = { ...sealed, ...rewrap(ring, secretBinding(place), sealed) };
  assert.notEqual(moved.keyId, sealed.keyId);
  assert.equal(moved.ciphertext[0], 3);
  const after = await createVault(await ringOf(next));
  assert.equal(sent(after, after.hold(moved)), FAKE_KEY);
  assert.throws(() => sent(after, after.hold({ ...moved, header: "x-request-id" })), SealError);
});
