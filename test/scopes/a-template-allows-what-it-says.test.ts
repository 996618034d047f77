import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalRule, compileRules } from "../../src/scopes/path-rules.ts";
import { scopeTemplates } from "../../src/scopes/index.ts";

const rulesOf = (name: string): readonly string[] =>
  scopeTemplates.find((template) => template.name === name)?.rules ?? [];

test("each template has rules that a scope takes, in their one spelling", () => {
  assert.equal(scopeTemplates.length, 3);
  for (const { name, rules } of scopeTemplates) {
    assert.ok(rules.length > 5 && rules.length <= 200, name);
    assert.equal(new Set(rules).size, rules.length, name);
    for (const rule of rules) assert.equal(canonicalRule(rule), rule);
  }
});

const CALLS = {
  chat: [
    ["POST", "anthropic", "/v1/messages"],
    ["POST", "openai", "/v1/responses"],
    ["POST", "openai", "/v1/chat/completions"],
    ["POST", "gemini", "/v1beta/models/gemini-3:streamgeneratecontent"],
    ["POST", "azure-openai", "/openai/deployments/d/chat/completions"],
    ["POST", "bedrock", "/model/m/converse"],
    ["POST", "bedrock", "/model/arn:aws:bedrock:x:1:inference-profile%2fm/converse"],
  ],
  embeddings: [
    ["POST", "openai", "/v1/embeddings"],
    ["POST", "gemini", "/v1beta/models/e:batchembedcontents"],
    ["POST", "cohere", "/v2/embed"],
    ["POST", "huggingface", "/hf-inference/models/o/m/pipeline/feature-extraction"],
    ["POST", "huggingface", "/hf-inference/models/o%2fm/pipeline/feature-extraction"],
  ],
  files: [
    ["POST", "openai", "/v1/files"],
    ["GET", "openai", "/v1/files/f/content"],
    ["POST", "openai", "/v1/uploads/u/parts"],
    ["POST", "openai", "/v1/vector_stores/v/files"],
    ["POST", "anthropic", "/v1/files"],
    ["POST", "gemini", "/upload/v1beta/files"],
    ["GET", "gemini", "/v1beta/files/f:download"],
    ["POST", "azure-openai", "/openai/files"],
  ],
  other: [
    ["GET", "openai", "/v1/models"],
    ["POST", "openai", "/v1/images/generations"],
    ["POST", "in-house", "/any"],
  ],
} as const;

for (const [name, allowed] of [
  ["chat-only", ["chat"]],
  ["embeddings-only", ["embeddings"]],
  ["everything-but-files-and-admin", ["chat", "embeddings", "other"]],
] as const) {
  test(`${name} allows ${allowed.join(", ")} and nothing else`, () => {
    const rules = compileRules(rulesOf(name));
    for (const [use, calls] of Object.entries(CALLS)) {
      for (const [method, provider, path] of calls) {
        const expected = allowed.some((it) => it === use);
        assert.equal(rules.allow(method, provider, path), expected, `${provider}${path}`);
      }
    }
  });
}
