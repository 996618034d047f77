import assert from "node:assert/strict";
import { it } from "node:test";
import { checkPassword } from "../../src/identity/password-rules.ts";
import { openIdentity } from "./fixture.ts";

const EMAIL = "Ada.Lovelace@engines.example";

function codeFor(password: string): string | undefined {
  try {
    checkPassword(password, EMAIL);
    return undefined;
  } catch (error) {
    const { status, code, message } = error as { status: number; code: string; message: string };
    assert.equal(status, 422);
    assert.ok(password === "" || !message.includes(password));
    return code;
  }
}

it("what an attacker tries first is, in any case and whatever stands around it", () => {
  for (const password of [
    "1q2w3e4r5t6y",
    "1Q2W3E4R5T6Y",
    "qwertyuiop12",
    "password1234",
    "P-a-s-s-w-o-r-d-2026!",
    "dragon!!!!!!!!!",
    "sunshine 12345",
    "aaaaaaaaaaaa",
    "abcabcabcabcabc",
    "123412341234",
    "1234567890123456",
    "abcdefghijklmnop",
    "ponmlkjihgfedcba",
    "x3sproxy12345",
    "X3sProxy!2026!",
    "ada.lovelace",
    "AdaLovelace1815",
    "ada.lovelace@engines.example",
    "engines 2026!!",
    "engines.example",
  ]) {
    assert.equal(codeFor(password), "password_common", password);
  }
});

it("anything else is taken, of whatever characters", () => {
  for (const password of [
    "correct horse battery",
    "dragon kettle sunday",
    "            tabs and spaces",
    "аб вг де жз ик лм",
    "🜁🜂🜃🜄🜁🜂🜃🜃🜄🜁🜂🜄",
    "zvkqpwjxnthm",
    "ada keeps engines warm",
    "x".repeat(11) + "yz",
  ]) {
    assert.equal(codeFor(password), undefined, password);
  }
});

it("length is counted in characters, after normalisation", () => {
  assert.equal(codeFor("🜁🜂🜃🜄🜁🜂🜃🜃🜄🜁🜂"), "password_too_short");
  assert.equal(codeFor("e\u0301".repeat(11)), "password_too_short");
  assert.equal(codeFor(""), "password_too_short");
  assert.equal(codeFor(`${"long enough words ".repeat(57)}x`), "password_too_long");
});

it("a refused one leaves the link good", async (t) => {
  const { setUp } = await openIdentity(t);
  assert.equal(await setUp(EMAIL, undefined, "password123456"), "password_common");
  assert.equal(await setUp(EMAIL, undefined, "Ada.Lovelace 1815"), "password_common");
  assert.equal(await setUp(EMAIL), "made");
});
