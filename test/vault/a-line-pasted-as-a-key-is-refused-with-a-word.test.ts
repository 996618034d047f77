import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RequestError } from "../../src/platform/errors.ts";
import { builtInProviders } from "../../src/providers/index.ts";
import { refuseMistakes } from "../../src/vault/secret-input.ts";
import { inputs } from "../support/generated.ts";

const KEY = "sk-proj-FAKEpasted4f1Zq0test";
const openai = builtInProviders.get("openai");

function refusal(value: string): RequestError | undefined {
  try {
    refuseMistakes(openai, value);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof RequestError);
    return error;
  }
}

test("a line of a shell, of a .env file, or a header, is refused as what it is", () => {
  for (const [code, line] of [
    ["key_has_name", `OPENAI_API_KEY=${KEY}`],
    ["key_has_name", `export OPENAI_API_KEY=${KEY}`],
    ["key_has_name", `export OPENAI_API_KEY="${KEY}"`],
    ["key_has_name", `OPENAI_API_KEY='${KEY}'`],
    ["key_has_name", `  set OPENAI_API_KEY=${KEY}\n`],
    ["key_has_name", `$env:OPENAI_API_KEY = "${KEY}"`],
    ["key_has_name", `OPENAI_API_KEY: ${KEY}`],
    ["key_has_name", `apiKey=${KEY}`],
    ["key_has_name", `token: ${KEY}`],
    ["key_has_name", `Authorization: Bearer ${KEY}`],
    ["key_has_name", `-H "x-api-key: ${KEY}"`],
    ["key_has_name", `x-api-key:${KEY}`],
    ["key_has_name", `"api-key": "${KEY}"`],
    ["key_has_whitespace", `Bearer ${KEY}`],
    ["key_has_quotes", `"${KEY}"`],
    ["key_has_quotes", `\`${KEY}\``],
    ["key_has_odd_characters", `${KEY.slice(0, 12)}\u200b${KEY.slice(12)}`],
    ["key_has_odd_characters", `\ufeff${KEY}\u2060`],
    ["key_has_odd_characters", `\u202e${KEY}`],
    ["key_is_ours", "OPENAI_API_KEY=x3sproxy_FAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKE"],
  ] as const) {
    const found = refusal(line);
    assert.equal(found?.code, code, line);
    assert.ok(!found.message.includes(KEY.slice(0, 12)), found.message);
  }
  assert.match(refusal(`\u202e${KEY}`)?.message ?? "", /nobody sees/);
  // The provider that it looks like is named.
  assert.match(refusal("sk-ant-api03-FAKE")?.message ?? "", /a key of Anthropic.*"anthropic"/);
});

test("no key of any form is taken for such a line", () => {
  const bytes = fc.uint8Array({ minLength: 16, maxLength: 64 }).map((it) => Buffer.from(it));
  const keys = fc.oneof(
    bytes.map((it) => it.toString("base64")),
    bytes.map((it) => it.toString("base64url").padEnd(88, "=")),
    bytes.map((it) => it.toString("hex")),
    // fal's, and a JSON Web Token.
    fc.tuple(fc.uuid(), bytes).map(([id, it]) => `${id}:${it.toString("hex")}`),
    fc.tuple(bytes, bytes).map((parts) => parts.map((it) => it.toString("base64url")).join(".")),
  );
  fc.assert(
    fc.property(keys, (key) => {
      assert.equal(refusal(`v${key}`), undefined, key);
    }),
    inputs(20_261_130, 2000),
  );
});
