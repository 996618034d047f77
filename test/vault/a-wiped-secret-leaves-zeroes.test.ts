import assert from "node:assert/strict";
import test from "node:test";
import sodium from "libsodium-wrappers";
import { SealError } from "../../src/platform/errors.ts";
import { FAKE_KEY, freshVault, ORIGIN, sealSample, sent } from "./fixture.ts";

const vault = await freshVault();
const CIPHER = "crypto_aead_xchacha20poly1305_ietf_decrypt";

test("wiping zeroes the opened bytes, and the data key is zeroed at once", (t) => {
  const cipher = t.mock.method(sodium, CIPHER);
  const held = vault.hold(sealSample(vault));
  assert.equal(cipher.mock.callCount(), 0, "it opens on first use");
  assert.equal(sent(vault, held), FAKE_KEY);
  assert.equal(sent(vault, held), FAKE_KEY);
  const [dataKey, value, ...more] = cipher.mock.calls.map(
    ({ result }) => result as unknown as Uint8Array,
  );
  assert.ok(dataKey !== undefined && value !== undefined);
  assert.equal(more.length, 0, "it opens once");
  assert.equal(Buffer.from(value).toString(), FAKE_KEY);
  assert.ok(dataKey.length === 32 && dataKey.every((byte) => byte === 0));
  for (const { arguments: args } of cipher.mock.calls) {
    assert.ok(
      args[4].every((byte) => byte === 0),
      "the key that opened it",
    );
  }

  held.wipe();
  assert.ok(value.length === FAKE_KEY.length && value.every((byte) => byte === 0));
});

test("nothing can be injected once it is wiped, not even by an injection made before", () => {
  const held = vault.hold(sealSample(vault));
  const injection = vault.inject(held.release(), ORIGIN);
  held.wipe();
  held.wipe();
  const headers: string[] = [];
  assert.throws(() => injection.applyTo(headers), SealError);
  assert.throws(() => vault.inject(held.release(), ORIGIN), SealError);
  assert.deepEqual(headers, []);
});

test("a secret that was never opened can be wiped", () => {
  const held = vault.hold(sealSample(vault));
  held.wipe();
  assert.throws(() => vault.inject(held.release(), ORIGIN), SealError);
});
