import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { mask } from "../../src/vault/secret-input.ts";

test("keys as providers issue them", () => {
  assert.equal(mask("sk-ant-api03-FAKE0123456789wxyz"), "sk-…wxyz");
  assert.equal(mask("gsk_FAKE0123456789abcdefwxyz"), "gsk…wxyz");
  assert.equal(mask("hf_FAKE0123456789abcdefwxyz"), "hf_…wxyz");
  assert.equal(mask("AIzaFAKE0123456789abcdefwxyz"), "…wxyz");
  assert.equal(mask("0badcafe-0000-4000-8000-000000000000:FAKEwxyz"), "…wxyz");
});

test("a short key shows nothing", () => {
  assert.equal(mask("sk-FAKE01234567"), "…");
  assert.equal(mask("sk-FAKE012345678"), "sk-…5678");
});

test("never more than 3 characters of a prefix and the last 4, and never more than 16 in all", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (key) => {
      const [before, after, ...rest] = [
        mask(key).slice(0, mask(key).lastIndexOf("…")),
        mask(key).split("…").at(-1) ?? "",
      ];
      assert.equal(rest.length, 0);
      assert.ok(mask(key).length <= 16);
      assert.ok(before.length === 0 || (before.length === 3 && key.startsWith(before)));
      assert.ok(after.length === 0 || (after.length === 4 && key.endsWith(after)));
      assert.ok(key.length >= 16 || mask(key) === "…");
    }),
  );
});
