import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { execEnvironment } from "../../src/cli/exec.ts";
import { builtInProviders } from "../../src/providers/index.ts";
import { openCli, runCli } from "../cli/fixture.ts";
import { inputs } from "../support/generated.ts";

const VALUE = "a-FAKE-value-of-no-known-form";
const keptBack = (environment: Record<string, string>): readonly string[] => {
  const { variables, removed } = execEnvironment(environment, {
    ...{ usable: [], all: [] },
    ...{ token: "x3sproxy_FAKE", url: "https://llm.example.test" },
  });
  for (const name of removed) assert.equal(name in variables, false, name);
  for (const name of Object.keys(environment)) {
    assert.equal(name in variables, !removed.includes(name), name);
  }
  return removed;
};

// From the providers' own documentation, their SDKs, and the tools that people run agents with.
const OF_PROVIDERS =
  "ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN ANTHROPIC_ADMIN_KEY CLAUDE_API_KEY CLAUDE_CODE_OAUTH_TOKEN OPENAI_API_KEY OPENAI_ADMIN_KEY " +
  "OPENAI_KEY OPENAI_API_KEY_PATH OPENAI_API_KEY_2 OPENAI_API_KEYS CODEX_API_KEY AIDER_OPENAI_API_KEY VITE_OPENAI_API_KEY GEMINI_API_KEY GOOGLE_API_KEY " +
  "GOOGLE_GENERATIVE_AI_API_KEY PALM_API_KEY MISTRAL_API_KEY CODESTRAL_API_KEY DEEPSEEK_API_KEY XAI_API_KEY GROK_API_KEY CO_API_KEY " +
  "COHERE_API_KEY PPLX_API_KEY PERPLEXITY_API_KEY PERPLEXITYAI_API_KEY ELEVEN_API_KEY ELEVENLABS_API_KEY XI_API_KEY DEEPGRAM_API_KEY " +
  "DEEPGRAM_ACCESS_TOKEN OPENROUTER_API_KEY OR_API_KEY GROQ_API_KEY TOGETHER_API_KEY TOGETHERAI_API_KEY TOGETHER_AI_TOKEN FIREWORKS_API_KEY " +
  "FIREWORKS_AI_API_KEY HF_TOKEN HF_API_TOKEN HF_TOKEN_PATH HUGGING_FACE_HUB_TOKEN HUGGINGFACE_TOKEN HUGGINGFACEHUB_API_TOKEN AZURE_OPENAI_API_KEY " +
  "AZURE_OPENAI_AD_TOKEN AZURE_API_KEY AZURE_INFERENCE_CREDENTIAL AWS_BEARER_TOKEN_BEDROCK FAL_KEY FAL_KEY_SECRET FAL_API_KEY openai_api_key";
const OF_CLOUDS =
  "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_SECURITY_TOKEN AWS_SECRET_KEY AWS_WEB_IDENTITY_TOKEN_FILE " +
  "AWS_SHARED_CREDENTIALS_FILE AWS_CONTAINER_AUTHORIZATION_TOKEN AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE AWS_CONTAINER_CREDENTIALS_FULL_URI " +
  "GOOGLE_APPLICATION_CREDENTIALS GOOGLE_APPLICATION_CREDENTIALS_JSON GOOGLE_CREDENTIALS GOOGLE_OAUTH_ACCESS_TOKEN GCP_SERVICE_ACCOUNT_KEY " +
  "CLOUDSDK_AUTH_ACCESS_TOKEN AZURE_CLIENT_SECRET AZURE_CLIENT_CERTIFICATE_PATH AZURE_PASSWORD AZURE_FEDERATED_TOKEN_FILE AZURE_STORAGE_KEY " +
  "AZURE_STORAGE_CONNECTION_STRING AZURE_STORAGE_SAS_TOKEN AZURE_CREDENTIALS ARM_CLIENT_SECRET MSI_SECRET IDENTITY_HEADER CLOUDFLARE_API_TOKEN " +
  "DIGITALOCEAN_ACCESS_TOKEN AZURE_COSMOS_CONNECTION_STRING AWS_SECRET_ACCESS_KEY_PROD GOOGLE_APPLICATION_CREDENTIALS_BASE64 ALIBABA_CLOUD_ACCESS_KEY_SECRET IBMCLOUD_API_KEY OCI_CLI_KEY_CONTENT HCLOUD_TOKEN";
const OF_NOBODY =
  "PATH HOME LANG SSH_AUTH_SOCK EDITOR OPENAI_BASE_URL OPENAI_MODEL OPENAI_ORG_ID OPENAI_MAX_TOKENS ANTHROPIC_MODEL CLAUDE_CODE_MAX_OUTPUT_TOKENS " +
  "AWS_REGION AWS_PROFILE AWS_CONFIG_FILE GOOGLE_CLOUD_PROJECT AZURE_TENANT_ID AZURE_CLIENT_ID HF_HOME KEY TOKENIZERS_PARALLELISM GPG_KEY " +
  "MY_CF_TOKEN COLOR_KEY GIT_COMMIT";

it("keys by each of their usual names, and nothing else", () => {
  const named = `${OF_PROVIDERS} ${OF_CLOUDS}`.split(" ");
  const others = Object.fromEntries(OF_NOBODY.split(" ").map((name) => [name, VALUE]));
  const all = Object.fromEntries(named.map((name) => [name, VALUE]));
  assert.deepEqual(keptBack({ ...all, ...others }), named.sort());
});

it("each provider's variables, with other words for a key", () => {
  const names = [...builtInProviders.values()].flatMap(({ client, otherKeyVariables = [] }) => [
    client.keyVariable,
    ...otherKeyVariables,
  ]);
  fc.assert(
    fc.property(
      fc.constantFrom(...names.filter((name) => /_(API_KEY|KEY|TOKEN)$/.test(name))),
      fc.constantFrom("_API_KEY", "_KEY", "_TOKEN", "_API_TOKEN", "_SECRET", "_ADMIN_KEY"),
      fc.constantFrom("", "_2", "_FILE", "_PATH", "_BASE64", "_PROD", "_STAGING", "_DEV", "_OLD"),
      (name, word, end) => {
        const other = name.replace(/(_API)?_(KEY|TOKEN)$/, word) + end;
        assert.deepEqual(keptBack({ [other]: VALUE }), [other]);
      },
    ),
    inputs(14_14, 300),
  );
});

it("whatever looks like a key of a provider or a cloud, under any name and among other text", () => {
  const long = "FAKE0123456789abcdefghijklmnopqrstuvwxyz";
  const keys = [
    ...["sk-ant-api03-", "sk-proj-", "sk-svcacct-", "sk-or-v1-", "gsk_", "xai-", "AIza", "pplx-"],
    ...["hf_", "fw_", "ya29."],
  ].map((prefix) => prefix + long);
  keys.push("AKIAFAKEFAKEFAKEFAKE", "ASIAFAKEFAKEFAKEFAKE", `ABSK${"Fa+/".repeat(25)}`);
  fc.assert(
    fc.property(
      fc.constantFrom(...keys),
      fc.constantFrom("", "Bearer ", '"', "x-api-key: ", "https://user:", "https://h.test/?key="),
      fc.constantFrom("", '"', "@h.test/", "\n", "&a=b", ", other"),
      (key, before, after) => {
        assert.deepEqual(keptBack({ SOMETHING: before + key + after }), ["SOMETHING"]);
      },
    ),
    inputs(14_15, 300),
  );
  const harmless = {
    GIT_COMMIT: "0123456789abcdef0123456789abcdef01234567",
    NOTE: "risk-management-of-the-whole-house sk-ant",
    WHERE: "/home/ada/hf_models/llama",
    GITHUB_TOKEN: "ghp_FAKE0123456789abcdefghijklmnopqrstuv",
  };
  assert.deepEqual(keptBack(harmless), []);
  const folders = [
    "hf_datasets_of_everybody_0123",
    "sk-proj-tools-for-the-house-1",
    "fw_build_0123456789ab",
  ];
  for (const folder of folders) {
    const path = `/home/ada/${folder}`;
    assert.deepEqual(keptBack({ PATH: `/usr/bin:${path}/bin:/bin`, HF_HOME: path }), [], folder);
  }
});

it("the command gets none of them, and standard error names them without a value", async (t) => {
  const { environment, json } = await openCli(t);
  await json(["agent", "deploy", "coder"]);
  const key = "sk-ant-api03-FAKE-0123456789abcdefghij";
  const { stdout, stderr } = await runCli(
    ["exec", "coder", "--", process.execPath, "-p", "JSON.stringify(process.env)"],
    { environment: { ...environment, PPLX_API_KEY: VALUE, MY_OWN: key, LANG: "C" } },
  );
  const env = JSON.parse(stdout) as Record<string, string>;
  assert.deepEqual([env["LANG"], env["PPLX_API_KEY"], env["MY_OWN"]], ["C", undefined, undefined]);
  assert.match(stderr, /^x3sproxy: Not passed on: MY_OWN, PPLX_API_KEY\.$/m);
  assert.ok(!stderr.includes(key) && !stderr.includes(VALUE));
});
