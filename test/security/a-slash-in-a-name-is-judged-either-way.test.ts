// A slash in a model's name is encoded by SDKs, and one server takes it for a part of the name where another decodes it first. It goes
// up as it came, and only when the rules allow what each of these servers would read.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { builtInProviders, sensitiveEndpoint } from "../../src/providers/index.ts";
import { canonicalPath } from "../../src/proxy/path.ts";
import { actorIn } from "../support/actor.ts";
import { openTarget } from "../support/attack.ts";
import { checkReadings } from "./servers-behind.ts";
import { inputs } from "../support/generated.ts";

const ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile%2Fus.anthropic.claude";

/** A path of each row that says where a name may have a slash, with one in it. */
const NAMED = [...builtInProviders.values()].flatMap(({ name, slashedNames = [] }) =>
  slashedNames.map((path) => ({
    provider: name,
    path: path.replace("{name}", "meta-llama%2FLlama-3.3-70B").replaceAll("*", "v1"),
  })),
);

const lineOf = (text: string): string => text.slice(0, text.indexOf("\r\n"));

test("the openai package gets a model with a slash in its name from each provider that has such", async (t) => {
  const target = await openTarget(t, {
    providers: ["together", "groq", "fireworks", "openrouter", "huggingface", "gemini"],
    answer:
      'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{"id":"x"}',
  });
  for (const [base, model, expected] of [
    ["together/v1", "meta-llama/Llama-3.3-70B", "/v1/models/meta-llama%2FLlama-3.3-70B"],
    ["groq/openai/v1", "openai/gpt-oss-120b", "/openai/v1/models/openai%2Fgpt-oss-120b"],
    [
      "fireworks/inference/v1",
      "accounts/fireworks/models/glm-5",
      "/inference/v1/models/accounts%2Ffireworks%2Fmodels%2Fglm-5",
    ],
    ["openrouter/api/v1", "openai/gpt-5", "/api/v1/models/openai%2Fgpt-5"],
    ["huggingface/v1", "meta-llama/Llama-3.1-8B", "/v1/models/meta-llama%2FLlama-3.1-8B"],
    ["gemini/v1beta/openai", "models/gemini-3", "/v1beta/openai/models/models%2Fgemini-3"],
  ] as const) {
    const client = new OpenAI({
      apiKey: target.token,
      baseURL: `${target.plane.url}/${base}`,
      maxRetries: 0,
    });
    assert.deepEqual({ ...(await client.models.retrieve(model)) }, { id: "x" }, base);
    assert.equal(lineOf(target.sent()), `GET ${expected} HTTP/1.1`);
  }
});

test("it goes up byte for byte where a row says so, and nowhere else", async (t) => {
  const providers = [...new Set(NAMED.map(({ provider }) => provider))];
  const { plane, ask, sent, token } = await openTarget(t, { providers: [...providers, "openai"] });
  const get = (target: string): Promise<{ status: number }> =>
    ask([`GET ${target} HTTP/1.1`, `Authorization: Bearer ${token}`]);
  assert.ok(NAMED.length >= 6);
  for (const { provider, path } of NAMED) {
    for (const spelt of [path, path.replace("%2F", "%2f"), `${path}?x=%2F`]) {
      assert.equal((await get(`/${provider}${spelt}`)).status, 200, provider + spelt);
      assert.equal(lineOf(sent()), `GET ${spelt} HTTP/1.1`);
    }
    for (const spelt of [
      path.replace("%2F", "%252F"),
      path.replace("%2F", "%2F..%2F"),
      path.replace("%2F", "%2F%2F"),
      path.replace("%2F", "%2F%2e%2e%2F"),
      path.replace("%2F", "%2F.%20%2F"),
      path.replace("%2F", "%5C"),
      path.replace("%2F", ";x%2F"),
      path.replace("%2F", "%2Fx%3B"),
      path.replace("%2F", "%2Fx%ef%bc%9b"),
      path.replace("%2F", "%ef%bc%8f"),
      path.replace("%2F", "%2F").replace(/[^/]*%2F/, "%2F"),
      path.replace("%2F", "%2F").replace(/%2F[^/]*/, "%2F"),
      `${path}%2F`,
      `${path}/x%2Fy`,
      path.replace("/v1/", "/v1%2F"),
      `/v1/files/a%2Fb`,
    ]) {
      if (spelt === path) continue;
      assert.equal((await get(`/${provider}${spelt}`)).status, 400, provider + spelt);
    }
  }
  await plane.customProviders.put(actorIn(plane.workspaceId), {
    name: "acme",
    origin: plane.url,
    header: "authorization",
    scheme: "Bearer",
  });
  for (const path of [
    "/openai/v1/models/a%2Fb",
    "/acme/v1/models/a%2Fb",
    "/nobody/v1/models/a%2Fb",
  ])
    assert.equal((await get(path)).status, 400, path);
  assert.equal(sent(), "");
});

test("a rule that takes away fits either way, and one that allows has to fit both ways", async (t) => {
  const { plane, ask, sent } = await openTarget(t, {
    providers: ["bedrock", "together", "openai"],
  });
  let agents = 0;
  const answer = async (rules: string[], line: string): Promise<string> => {
    const token = await plane.deploy(`agent-${agents++}`, { rules });
    const { status, header } = await ask([
      `${line} HTTP/1.1`,
      `Authorization: Bearer ${token}`,
      "Content-Length: 0",
    ]);
    return header("x3sproxy-refusal") ?? String(status);
  };
  const invoke = `POST /bedrock/model/${ARN}/invoke`;
  const model = "GET /together/v1/models/meta-llama%2FLlama-3.3";
  for (const denied of [
    [["* /**", "!* /bedrock/model/*/invoke"], invoke],
    [["* /**", "!* /bedrock/model/*/*/invoke"], invoke],
    [["* /**", "!* /together/v1/models/*"], model],
    [["* /**", "!* /together/v1/models/meta-llama/*"], model],
    [["GET /together/v1/models/*"], model],
    [["GET /together/v1/models/*/*"], model],
    [["* /**", "!* /openai/v1/files"], "GET /openai/v1/files%3Fx"],
    [["* /**", "!* /openai/v1/files"], "GET /openai/v1/files%23x"],
    [["* /**", "!* /openai/v1/files"], "GET /openai/v1/files/%3Fx"],
    [["* /**", "!* /openai/v1/files"], "GET /openai/v1/files%EF%BC%9Fx"],
    [["* /**", "!* /openai/v1/files/*"], "GET /openai/v1/files/a%3Fb"],
    [["GET /openai/v1/files/*/content"], "GET /openai/v1/files/a%3Fb/content"],
    // A slash that is decoded beside a question mark that is not.
    [["* /**", "!* /bedrock/model/arn:x/*/invoke"], "POST /bedrock/model/arn:x%2Fy/invoke%3Fa"],
    [["* /**", "!* /bedrock/*/arn:x/y/z*"], "POST /bedrock/model%3Fq/arn:x%2Fy/z"],
  ] as const) {
    assert.equal(await answer([...denied[0]], denied[1]), "path_not_allowed", denied.join(" "));
  }
  assert.equal(sent(), "");
  for (const allowed of [
    [["* /**", "!* /bedrock/model/*/converse"], invoke],
    [["POST /bedrock/model/**/invoke"], invoke],
    [["GET /together/v1/models/**"], model],
    [["GET /together/v1/models/*", "GET /together/v1/models/*/*"], model],
    [["GET /openai/v1/files/**"], "GET /openai/v1/files/a%3Fb"],
  ] as const) {
    assert.equal(await answer([...allowed[0]], allowed[1]), "200", allowed.join(" "));
  }
});

test("whatever the rules and the path, no server behind reads what they do not allow", () => {
  checkReadings(inputs(17, 20_000));
});

test("a sensitive endpoint is one in whichever reading it is reached", async (t) => {
  const credentials = "/api/projects/p/datasets/arn:aws:x%2Fy/versions/1/credentials";
  const { ask, sent, token } = await openTarget(t, {
    providers: ["openai", "elevenlabs", "fireworks", "mistral"],
  });
  for (const path of [
    "/openai/v1/organization%3Fx/admin_api_keys",
    "/openai/v1/realtime/client_secrets%23",
    "/elevenlabs/v1/user%3F",
    "/elevenlabs/v1/user%23x/y",
    "/fireworks/v1/accounts/arn:x%2Fusers/u",
    "/mistral/v1/connectors/arn:aws:x%2Fy/auth_url",
  ]) {
    const { header } = await ask([`GET ${path} HTTP/1.1`, `Authorization: Bearer ${token}`]);
    assert.equal(header("x3sproxy-refusal"), "sensitive_endpoint", path);
  }
  assert.equal(sent(), "");
  const canonical = canonicalPath(credentials, "azure-openai");
  assert.equal(
    sensitiveEndpoint("azure-openai", "POST", canonical ?? ""),
    "azure-openai:project-credentials",
  );
  // Readings that hit different ones: nobody is allowed both by one name.
  assert.equal(
    sensitiveEndpoint("mistral", "GET", "/v1/connectors/arn:x%2fauth_url"),
    "mistral:connector-secrets and mistral:connector-credentials",
  );
});

test("a model with a slash in its name is one model", async (t) => {
  const { plane, ask, sent } = await openTarget(t, { providers: ["huggingface", "bedrock"] });
  const token = await plane.deploy("one-model", {
    models: ["meta-llama/Llama-3.3", decodeURIComponent(ARN)],
  });
  const answer = async (path: string): Promise<string> => {
    const { status, header } = await ask(
      [`POST ${path} HTTP/1.1`, `Authorization: Bearer ${token}`, "Content-Length: 2"],
      "{}",
    );
    return header("x3sproxy-refusal") ?? String(status);
  };
  for (const path of [
    "/huggingface/hf-inference/models/meta-llama/Llama-3.3",
    "/huggingface/hf-inference/models/meta-llama%2FLlama-3.3",
    "/huggingface/hf-inference/models/meta-llama%2FLlama-3.3/pipeline/feature-extraction",
    `/bedrock/model/${ARN}/invoke`,
  ]) {
    assert.equal(await answer(path), "200", path);
  }
  sent();
  for (const [path, refusal] of [
    ["/huggingface/hf-inference/models/meta-llama%2FLlama-4", "model_not_allowed"],
    ["/huggingface/hf-inference/models/other%2Fmeta-llama%2FLlama-3.3", "model_not_allowed"],
    // One server's model is another one's model and pipeline.
    ["/huggingface/hf-inference/models/meta-llama%2FLlama-3.3%2Fpipeline%2Fx", "model_unclear"],
    ["/huggingface/hf-inference/models/meta-llama%2FLlama-3.3%3Fx", "model_unclear"],
    ["/huggingface/hf-inference/models/meta-llama%2FLlama-3.3%23", "model_unclear"],
    [`/bedrock/model/${ARN}2/invoke`, "model_not_allowed"],
  ] as const) {
    assert.equal(await answer(path), refusal, path);
  }
  assert.equal(sent(), "");
});
