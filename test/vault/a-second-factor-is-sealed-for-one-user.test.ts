import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import test from "node:test";
import { inspect } from "node:util";
import { SealError } from "../../src/platform/errors.ts";
import { freshVault } from "./fixture.ts";

// RFC 6238, appendix B: the seed "12345678901234567890", SHA-1. Its codes have 8 digits, of which ours are the last six.
const SEED = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const VECTORS = [
  [59, "94287082"],
  [1111111109, "07081804"],
  [1111111111, "14050471"],
  [1234567890, "89005924"],
  [2000000000, "69279037"],
  [20000000000, "65353130"],
] as const;
const vault = await freshVault();
const owner = { workspaceId: randomUUID(), userId: randomUUID() };
const sealed = vault.sealSeed(owner, SEED);

/** RFC 4226, 5.3, with nothing of ours. */
function codeOf(step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac("sha1", "12345678901234567890").update(counter).digest();
  const offset = (mac.at(-1) ?? 0) & 15;
  return String((mac.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

test("the codes of RFC 6238 are of the steps that it says", () => {
  for (const [atS, code] of VECTORS) {
    const step = vault.matchingStep(owner, sealed, { code: code.slice(2), nowMs: atS * 1000 });
    assert.equal(step, Math.floor(atS / 30));
  }
});

test("a code is taken one step early and one step late, and no further", () => {
  const step = 57_000_000;
  for (const nowMs of [step * 30_000, step * 30_000 + 29_999]) {
    for (let delta = -4; delta <= 4; delta++) {
      const found = vault.matchingStep(owner, sealed, { code: codeOf(step + delta), nowMs });
      assert.equal(found, Math.abs(delta) <= 1 ? step + delta : undefined, `${delta} steps`);
    }
  }
});

test("what is no code is of no step", () => {
  const nowMs = 1_700_000_000_000;
  for (const code of ["", "00000", "0000000", "abcdef", "-12345", "１２３４５６", " 12345"]) {
    assert.equal(vault.matchingStep(owner, sealed, { code, nowMs }), undefined, code);
  }
});

test("it opens for no other user and in no other workspace, nor edited, nor under another master key", async () => {
  const at = { code: codeOf(1), nowMs: 30_000 };
  assert.equal(vault.matchingStep(owner, sealed, at), 1);
  for (const other of [
    { ...owner, userId: randomUUID() },
    { ...owner, workspaceId: randomUUID() },
    { workspaceId: owner.userId, userId: owner.workspaceId },
  ]) {
    assert.throws(() => vault.matchingStep(other, sealed, at), SealError);
  }
  for (const field of ["wrappedKey", "ciphertext"] as const) {
    const edited = Uint8Array.from(sealed[field]);
    edited[30] = (edited[30] ?? 0) ^ 1;
    assert.throws(() => vault.matchingStep(owner, { ...sealed, [field]: edited }, at), SealError);
  }
  const other = await freshVault();
  assert.throws(() => other.matchingStep(owner, sealed, at), SealError);
});

test("a seed is no secret's value, and the other way round", () => {
  const place = {
    ...owner,
    secretId: owner.userId,
    version: 1,
    origin: "https://api.anthropic.com",
    ...{ header: "x-api-key", scheme: "" },
  };
  const held = vault.hold({ ...place, provider: "anthropic", ...sealed });
  const inject = () => vault.inject(held.release(), place.origin);
  assert.throws(inject, SealError);
  const value = vault.seal(place, SEED);
  assert.throws(
    () => vault.matchingStep(owner, value, { code: codeOf(1), nowMs: 30_000 }),
    SealError,
  );
});

test("nothing that the vault gives shows the seed", () => {
  const shown = [sealed.wrappedKey, sealed.ciphertext]
    .map((bytes) => Buffer.from(bytes).toString("latin1"))
    .concat(inspect(sealed), JSON.stringify(sealed), inspect(vault))
    .join();
  assert.ok(!shown.includes("12345678901234567890"));
  assert.ok(!shown.includes(SEED));
  assert.ok(!shown.includes(Buffer.from("12345678901234567890").toString("hex")));
});
