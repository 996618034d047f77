import assert from "node:assert/strict";
import test from "node:test";
import { parseOrigin } from "../../src/platform/config-values.ts";
import { builtInProviders, sensitiveEndpoint } from "../../src/providers/index.ts";

const PROVIDERS = [...builtInProviders.values()];

test("every provider that is promised is there, once", () => {
  assert.deepEqual(
    PROVIDERS.map(({ name }) => name).sort(),
    (
      "anthropic azure-openai bedrock cohere deepgram deepseek elevenlabs fal fal-queue fireworks gemini groq " +
      "huggingface mistral openai openrouter perplexity together xai"
    ).split(" "),
  );
  assert.equal(new Set(PROVIDERS.map(({ title }) => title)).size, PROVIDERS.length);
});

for (const provider of PROVIDERS) {
  test(`${provider.name}: names, origin, credential and client settings are in their normal form`, () => {
    assert.match(provider.name, /^[a-z0-9]+(-[a-z0-9]+)*$/);
    assert.equal(provider.title.trim(), provider.title);
    if (provider.origin === undefined) {
      assert.ok(provider.originPattern, "an origin for each secret needs a pattern");
    } else {
      assert.equal(provider.originPattern, undefined);
      assert.equal(parseOrigin(provider.origin), provider.origin);
      assert.match(provider.origin, /^https:\/\//);
    }
    assert.match(provider.credential.header, /^[a-z][a-z-]*$/);
    assert.equal(provider.credential.header === "authorization", provider.credential.scheme !== "");
    assert.match(provider.client.keyVariable, /^[A-Z][A-Z_]*_(KEY|TOKEN|TOKEN_BEDROCK)$/);
    assert.match(provider.client.baseUrlVariable ?? "A_URL", /^[A-Z][A-Z_]*(URL|ENDPOINT)/);
    assert.match(provider.client.basePath, /^(\/[a-z0-9]+)*$/);
  });

  test(`${provider.name}: paths of names with a slash are canonical and have one name`, () => {
    for (const path of provider.slashedNames ?? []) {
      assert.match(path, /^(?:\/(?:[a-z0-9._-]+|\*|\{name\}))+$/, path);
      assert.equal(path.split("{name}").length, 2, path);
    }
  });

  test(`${provider.name}: sensitive endpoints have stable names and canonical patterns`, () => {
    const names = provider.sensitiveEndpoints.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const { name, method, paths } of provider.sensitiveEndpoints) {
      assert.match(name, /^[a-z]+(-[a-z]+)*$/);
      assert.match(method, /^(\*|[A-Z]+)$/);
      assert.notEqual(paths.length, 0);
      for (const path of paths) {
        assert.match(
          path,
          /^(\/[a-z0-9$._*-]+)+$/,
          `${path}: lower-case segments, no trailing slash`,
        );
        assert.doesNotMatch(path.replace(/\/\*\*$/, ""), /\*\*/, `${path}: ** only at the end`);
        assert.match(path, /[a-z]/, `${path} would match everything`);
      }
    }
  });

  test(`${provider.name}: its models' places and its uses have paths in their normal form`, () => {
    const { models, uses } = provider;
    assert.notEqual(models.places.length, 0);
    for (const { at, method, paths, name, also = [], tools = [], rivals = [] } of models.places) {
      assert.match(name, /^[a-z]+(_[a-z]+)*$|^modelId$/);
      assert.notEqual(paths.length, 0);
      if (method === "WEBSOCKET") assert.ok(!/json|form/.test(at), "it has messages, no body");
      for (const path of paths) {
        const inPath = /\{(?:\w+\/)?model(?:\.{3})?\}/.test(path);
        assert.equal(inPath, at.startsWith("path"), path);
        assert.match(path.replaceAll(/\{.*?\}/g, "m"), /^(\/[\w.*:-]+)+$/, path);
        assert.doesNotMatch(path.replace(/\/\*\*$/, ""), /\*\*/, `${path}: ** only at the end`);
      }
      for (const member of [...also, ...tools, ...rivals, ...models.rivals]) {
        assert.match(member, /^[a-z]\w*(\[\])?(\.[a-z]\w*(\[\])?)*$/i);
      }
      for (const member of [...also, ...rivals]) assert.ok(!member.endsWith("[]"), member);
    }
    for (const header of models.rivalHeaders ?? []) assert.match(header, /^[a-z]+(-[a-z]+)*$/);
    for (const call of [...uses.chat, ...uses.embeddings]) assert.match(call, /^(GET|POST) \//);
    for (const path of uses.files) assert.match(path, /^\/[a-z/*:_-]+$/);
  });

  test(`${provider.name}: its probe is a plain path that mints and lists no credential`, () => {
    const { probe } = provider;
    if (probe === null) return;
    assert.match(probe.path, /^(\/[a-z0-9]+)+$/);
    assert.equal(sensitiveEndpoint(provider.name, "GET", probe.path), undefined);
    assert.ok(probe.refusedWith.includes(401) && probe.refusedWith.includes(403));
    assert.ok(probe.refusedWith.every((status) => status >= 400 && status < 500));
    assert.equal(probe.headers.length % 2, 0);
    const names = probe.headers.filter((_, index) => index % 2 === 0);
    for (const name of names) assert.notEqual(name.toLowerCase(), provider.credential.header);
  });

  test(`${provider.name}: its key pattern is anchored and nobody else's`, () => {
    if (provider.keyPattern === undefined) return;
    assert.ok(provider.keyPattern.source.startsWith("^"));
    assert.equal(provider.keyPattern.flags, "");
    assert.ok(!provider.keyPattern.test("sk-FAKE0123456789abcdefghij"), "a bare sk- is nobody's");
  });
}

test("only the resource's or region's own host passes as an origin for Azure OpenAI and Bedrock", () => {
  const good: [string, string[]][] = [
    [
      "azure-openai",
      [
        "https://my-resource.openai.azure.com",
        "https://my-resource.cognitiveservices.azure.com",
        "https://my-resource.services.ai.azure.com",
        "https://my-resource.openai.azure.us",
      ],
    ],
    [
      "bedrock",
      [
        "https://bedrock-runtime.us-east-1.amazonaws.com",
        "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com",
        "https://bedrock-runtime.cn-north-1.amazonaws.com.cn",
        "https://bedrock-mantle.eu-central-1.api.aws",
      ],
    ],
  ];
  const bad: [string, string[]][] = [
    [
      "azure-openai",
      [
        "http://my-resource.openai.azure.com",
        "https://openai.azure.com",
        "https://my-resource.openai.azure.com.evil.example",
        "https://evil.example/.openai.azure.com",
        "https://a.b.openai.azure.com",
        "https://my-resource.openai.azure.com:444",
        "https://my-resourceXopenai.azure.com",
        "https://my-resource.blob.azure.com",
      ],
    ],
    [
      "bedrock",
      [
        "http://bedrock-runtime.us-east-1.amazonaws.com",
        "https://bedrock.us-east-1.amazonaws.com",
        "https://s3.us-east-1.amazonaws.com",
        "https://bedrock-runtime.evil.us-east-1.amazonaws.com",
        "https://bedrock-runtime.us-east-1.amazonaws.com.evil.example",
        "https://bedrock-runtime.us-east-1.amazonaws.com:8443",
      ],
    ],
  ];
  for (const [name, origins] of good) {
    for (const origin of origins) {
      assert.ok(builtInProviders.get(name)?.originPattern?.test(origin), origin);
    }
  }
  for (const [name, origins] of bad) {
    for (const origin of origins) {
      assert.ok(!builtInProviders.get(name)?.originPattern?.test(origin), origin);
    }
  }
});
