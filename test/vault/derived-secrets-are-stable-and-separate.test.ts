import assert from "node:assert/strict";
import { hkdfSync, randomBytes } from "node:crypto";
import test from "node:test";
import { createVault } from "../../src/vault/index.ts";
import { Derivation } from "../../src/vault/service-keys.ts";
import { ringOf } from "./fixture.ts";

const bytes = randomBytes(32);
const vaultOf = async (root: Buffer) =>
  createVault(await ringOf(randomBytes(32).toString("base64")), new Derivation(Buffer.from(root)));
const vault = await vaultOf(bytes);

test("the same purpose gives the same 32 bytes in every process, by HKDF-SHA-256, whatever its master key", async () => {
  const expected = hkdfSync("sha256", bytes, "", "x3sproxy v1 derived database role proxy", 32);
  assert.equal(vault.derive("database role proxy"), Buffer.from(expected).toString("base64url"));
  const again = await vaultOf(bytes);
  assert.equal(again.derive("database role proxy"), vault.derive("database role proxy"));
});

test("purposes and roots don't share any", async () => {
  const other = await vaultOf(randomBytes(32));
  const all = [vault, other].flatMap((of) =>
    ["a", "b", "data key wrapping"].map((p) => of.derive(p)),
  );
  assert.equal(new Set(all).size, all.length);
});
