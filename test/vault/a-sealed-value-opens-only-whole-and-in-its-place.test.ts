import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import test from "node:test";
import fc from "fast-check";
import { SealError } from "../../src/platform/errors.ts";
import type { SealedSecret } from "../../src/vault/index.ts";
import { FAKE_KEY, freshVault, samplePlace, sealSample, sent } from "./fixture.ts";

const vault = await freshVault();

function refuses(sealed: SealedSecret, what: string): void {
  assert.throws(() => sent(vault, vault.hold(sealed)), SealError, what);
}

test("any key that a header can carry comes back as it was sealed", () => {
  const keys = fc.string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((c) => String.fromCharCode(c)),
    maxLength: 4096,
  });
  fc.assert(
    fc.property(keys, (key) => {
      assert.equal(sent(vault, vault.hold(sealSample(vault, key))), key);
    }),
  );
});

test("no bit of either blob can change", () => {
  const sealed = sealSample(vault);
  for (const field of ["wrappedKey", "ciphertext"] as const) {
    for (let bit = 0; bit < sealed[field].length * 8; bit++) {
      const edited = Uint8Array.from(sealed[field]);
      edited[bit >> 3] = (edited[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      refuses({ ...sealed, [field]: edited }, `${field}, bit ${bit}`);
    }
  }
  assert.equal(sent(vault, vault.hold(sealed)), FAKE_KEY);
});

test("neither blob can be cut short, lengthened or swapped for the other", () => {
  const sealed = sealSample(vault);
  for (const field of ["wrappedKey", "ciphertext"] as const) {
    for (let length = 0; length < sealed[field].length; length++) {
      refuses(
        { ...sealed, [field]: sealed[field].subarray(0, length) },
        `${field}, ${length} bytes`,
      );
    }
    refuses(
      { ...sealed, [field]: Buffer.concat([sealed[field], Buffer.of(0)]) },
      `${field}, longer`,
    );
  }
  refuses({ ...sealed, wrappedKey: sealed.ciphertext, ciphertext: sealed.wrappedKey }, "swapped");
});

test("it opens for no other workspace, secret, version, origin, header, scheme or key id", () => {
  const sealed = sealSample(vault);
  refuses({ ...sealed, workspaceId: randomUUID() }, "workspace");
  refuses({ ...sealed, secretId: randomUUID() }, "secret");
  refuses({ ...sealed, version: 2 }, "version");
  refuses({ ...sealed, origin: "https://evil.example" }, "origin");
  refuses({ ...sealed, header: "x-request-id" }, "header");
  refuses({ ...sealed, scheme: "Bearer" }, "scheme");
  refuses({ ...sealed, keyId: "0000000000000000" }, "key id");
});

test("text can't be shifted from one field to its neighbour", () => {
  const place = { ...samplePlace(), version: 12, origin: "3https://a.example" };
  const sealed = { ...place, provider: "anthropic", ...vault.seal(place, FAKE_KEY) };
  refuses({ ...sealed, version: 123, origin: "https://a.example" }, "version and origin");
  refuses({ ...sealed, header: "x-api-ke", scheme: "y" }, "header and scheme");
  refuses({ ...sealed, origin: `${place.origin}x`, header: "-api-key" }, "origin and header");
  const half = sealed.workspaceId.length / 2;
  refuses(
    {
      ...sealed,
      workspaceId: sealed.workspaceId.slice(0, half),
      secretId: sealed.workspaceId.slice(half) + sealed.secretId,
    },
    "workspace and secret",
  );
});

test("parts of two sealed values of one place don't mix", () => {
  const place = samplePlace();
  const first = { ...place, provider: "anthropic", ...vault.seal(place, FAKE_KEY) };
  const second = vault.seal(place, FAKE_KEY);
  refuses({ ...first, wrappedKey: second.wrappedKey }, "wrapped key of another");
  refuses({ ...first, ciphertext: second.ciphertext }, "ciphertext of another");
});

test("another master key opens nothing, and the error names both keys", async () => {
  const sealed = sealSample(vault);
  const other = await freshVault();
  assert.throws(() => sent(other, other.hold(sealed)), {
    name: "SealError",
    message: new RegExp(
      `^secret ${sealed.secretId} version 1 was sealed under master key ${sealed.keyId}, and this is [0-9a-f]{16}$`,
    ),
  });
  const { keyId } = sealSample(other);
  assert.throws(() => sent(other, other.hold({ ...sealed, keyId })), SealError);
});

test("sealing the same key twice gives nothing in common", () => {
  const place = samplePlace();
  const [a, b] = [vault.seal(place, FAKE_KEY), vault.seal(place, FAKE_KEY)];
  for (const field of ["wrappedKey", "ciphertext"] as const) {
    assert.equal(a[field][0], field === "wrappedKey" ? 1 : 3, "the format byte");
    assert.notDeepEqual(a[field].subarray(1, 25), b[field].subarray(1, 25), "the nonce");
    assert.notDeepEqual(a[field].subarray(25), b[field].subarray(25));
  }
});
