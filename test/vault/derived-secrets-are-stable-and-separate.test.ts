import assert from "node:assert/strict";
import { hkdfSync, randomBytes } from "node:crypto";
import test from "node:test";
import { createVault } from "../../src/vault/index.ts";
import { masterKeyOf } from "./fixture.ts";

const bytes = randomBytes(32);
const vault = await createVault(await masterKeyOf(bytes.toString("base64")));

test("the same purpose gives the same 32 bytes in every process, by HKDF-SHA-256", () => {
  const expected = hkdfSync("sha256", bytes, "", "x3sproxy v1 derived database role proxy", 32);
  assert.equal(vault.derive("database role proxy"), Buffer.from(expected).toString("base64url"));
});

test("purposes and master keys don't share any", async () => {
  const other = await createVault(await masterKeyOf(randomBytes(32).toString("base64")));
  const all = [vault, other].flatMap((of) =>
    ["a", "b", "data key wrapping"].map((p) => of.derive(p)),
  );
  assert.equal(new Set(all).size, all.length);
});
