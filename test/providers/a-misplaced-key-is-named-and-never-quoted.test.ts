import assert from "node:assert/strict";
import test from "node:test";
import { builtInProviders, keyProblem } from "../../src/providers/index.ts";

// Obviously fake keys of each shape.
const BODY = "FAKE0123456789abcdefghijklmnopqrstuvwxyz";
const SHAPED: readonly [provider: string, key: string][] = [
  ["anthropic", `sk-ant-api03-${BODY}`],
  ["openai", `sk-proj-${BODY}`],
  ["openai", `sk-svcacct-${BODY}`],
  ["openai", `sk-FAKE0123456789T3BlbkFJ${BODY}`],
  ["openrouter", `sk-or-v1-${BODY}`],
  ["gemini", `AIza${BODY}`],
  ["gemini", `AQ.${BODY}`],
  ["groq", `gsk_${BODY}`],
  ["fireworks", `fw_${BODY}`],
  ["xai", `xai-${BODY}`],
  ["perplexity", `pplx-${BODY}`],
  ["huggingface", `hf_${BODY}`],
  ["elevenlabs", `sk_${"fa4e".repeat(12)}`],
  ["bedrock", `ABSK${BODY.repeat(3)}`],
  ["bedrock", `bedrock-api-key-${BODY}`],
];

test("there is an example for each shape in the table", () => {
  const shaped = [...builtInProviders.values()].filter((it) => it.keyPattern !== undefined);
  assert.deepEqual(
    [...new Set(SHAPED.map(([provider]) => provider))].sort(),
    shaped.map(({ name }) => name).sort(),
  );
});

for (const [owner, key] of SHAPED) {
  test(`a key that begins with ${key.slice(0, 4)} is good for ${owner} and refused by every other provider`, () => {
    for (const provider of builtInProviders.values()) {
      const problem = keyProblem(provider, key);
      if (provider.name === owner) {
        assert.equal(problem, undefined);
        continue;
      }
      assert.ok(problem, provider.name);
      assert.ok(problem.includes(`"${owner}"`), problem);
      assert.ok(problem.includes(provider.title), problem);
      assert.ok(!problem.includes(key.slice(0, 12)), problem);
    }
  });
}

test("a custom provider takes any provider's ordinary key, since it may be a gateway", () => {
  for (const [, key] of SHAPED) assert.equal(keyProblem(undefined, key), undefined);
});

test("keys of no known shape, and the bare sk- that many use, pass everywhere", () => {
  for (const key of [`sk-${BODY}`, BODY, "fa4e".repeat(8), "0f-FAKE:0123456789abcdef"]) {
    for (const provider of builtInProviders.values()) {
      assert.equal(keyProblem(provider, key), undefined, `${provider.name} ${key}`);
    }
  }
});

test("admin keys and personal OAuth tokens are refused everywhere, with what to use in their place", () => {
  const refused: [string, RegExp][] = [
    [`sk-ant-admin01-${BODY}`, /admin key.*sk-ant-api/],
    [`sk-admin-${BODY}`, /admin key.*sk-proj-/],
    [`sk-ant-oat01-${BODY}`, /login.*sk-ant-api/],
    [`sk-ant-ort01-${BODY}`, /login.*sk-ant-api/],
  ];
  for (const [key, sentence] of refused) {
    for (const provider of [...builtInProviders.values(), undefined]) {
      const problem = keyProblem(provider, key) ?? "";
      assert.match(problem, sentence);
      assert.ok(!problem.includes("FAKE"), problem);
    }
  }
});
