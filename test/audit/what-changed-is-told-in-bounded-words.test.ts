import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { changesInWords } from "../../src/audit/changes-in-words.ts";

const SCOPE = { providers: ["openai"], rules: null, limits: { openStreams: null }, models: null };

test("a field says what it was and what it became, and what stayed is not there", () => {
  const changes: [object | undefined, object | undefined, Record<string, string>][] = [
    [
      SCOPE,
      { ...SCOPE, providers: ["openai", "anthropic"] },
      { providers: "openai → openai, anthropic" },
    ],
    [SCOPE, { ...SCOPE, providers: null }, { providers: "openai → no limit" }],
    [SCOPE, { ...SCOPE, limits: { openStreams: 3 } }, { "limits.openStreams": "no limit → 3" }],
    [SCOPE, SCOPE, {}],
    [
      { expiresAt: null },
      { expiresAt: "2027-01-01T00:00:00.000Z" },
      { expiresAt: "never → 2027-01-01T00:00:00.000Z" },
    ],
    [{ candidate: null }, { candidate: 2 }, { candidate: "none → 2" }],
    [{ required: false }, { required: true }, { required: "no → yes" }],
    [{ endpoints: [] }, { endpoints: ["openai:admin"] }, { endpoints: "none → openai:admin" }],
    [
      { allowedAddresses: ["10.0.0.0/8"] },
      { allowedAddresses: [] },
      { allowedAddresses: "10.0.0.0/8 → no limit" },
    ],
    [undefined, { id: "1", name: "a", ...SCOPE }, { providers: "openai" }],
    [{ id: "1", name: "a", role: "owner", agents: null }, undefined, { role: "owner" }],
    [{ name: "a" }, { name: "b" }, { name: "a → b" }],
  ];
  for (const [before, after, words] of changes)
    assert.deepEqual(changesInWords(before, after), words);
});

test("what names a person and what a key ends with is not told", () => {
  const was = {
    email: "ada@example.test",
    label: "of ada",
    masked: "sk-…wxyz",
    createdBy: "ada",
    version: 1,
  };
  const is = {
    email: "eve@example.test",
    label: "of eve",
    masked: "sk-…abcd",
    createdBy: "eve",
    version: 2,
  };
  assert.deepEqual(changesInWords(was, is), { label: "changed", version: "1 → 2" });
  assert.deepEqual(changesInWords(was, undefined), { version: "1" });
});

test("of a long list one hears what was added and what was removed, whatever stands beside it", () => {
  const rules = Array.from({ length: 200 }, (_, at) => `POST /openai/v1/files/${at}`);
  const other = [...rules.slice(1), "* /**"];
  assert.deepEqual(changesInWords({ rules }, { rules: other }), {
    rules: "added * /**; removed POST /openai/v1/files/0; 200 → 200 in all",
  });
  const { rules: all = "" } = changesInWords({ rules: null }, { rules });
  assert.match(all, /^no limit → POST \/openai\/v1\/files\/0, .*, and \d+ more$/);
  assert.deepEqual(changesInWords({ rules }, { rules: rules.toReversed() }), {
    rules: "200 in another order",
  });
});

test("no value passes for another one, and none is unseen", () => {
  const rule = "a, b; x → y";
  assert.deepEqual(changesInWords({ rules: [] }, { rules: [rule, "c"] }), {
    rules: `none → "${rule}", c`,
  });
  assert.deepEqual(changesInWords({ rules: ["a"] }, { rules: ["a\u202eb\u{e0041}"] }), {
    rules: String.raw`a → "a\u202eb\udb40\udc41"`,
  });
});

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.constantFrom("\u0000".repeat(300), '"'.repeat(300), "\u202e".repeat(300), "→, ".repeat(100)),
);
const value = fc.oneof(
  ...[text, fc.constant(null), fc.boolean(), fc.integer()],
  fc.array(text, { maxLength: 200, size: "medium" }),
);
const name = fc.constantFrom(
  "providers",
  "rules",
  "addresses",
  "models",
  "allowedEndpoints",
  "label",
  "name",
  "origin",
);
const fields = fc.dictionary(name, value);
const view = fc
  .record({ limits: fields, more: fields })
  .chain((nested) => fields.map((each) => ({ ...each, ...nested })));

/** One field of a view, as text. */
function textOf(of: object, field: string): string {
  return JSON.stringify(Object.entries(of).filter(([each]) => each === field));
}

test("whatever changes, it fits into its event, and each field that changed is named", () => {
  fc.assert(
    fc.property(fc.option(view, { nil: undefined }), view, (before, after) => {
      const words = changesInWords(before, after);
      const json = JSON.stringify(words);
      assert.ok(json.length <= 3000, `${json.length}`);
      assert.doesNotMatch(json, /[\p{Cc}\p{Cf}]/u);
      if (before === undefined) return;
      for (const field of Object.keys(after)) {
        if (field === "limits" || field === "more") continue;
        const isOther: boolean = textOf(before, field) !== textOf(after, field);
        const isNamed = field in words || (words["changed"] ?? "").split(", ").includes(field);
        assert.equal(isNamed, isOther, field);
      }
    }),
    { seed: 14, numRuns: 60 },
  );
});
