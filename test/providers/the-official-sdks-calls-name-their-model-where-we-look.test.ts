// The SDKs know where a model stands: call them, catch what they would send, and look there.
import assert from "node:assert/strict";
import test from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import OpenAI, { AzureOpenAI } from "openai";
import { modelPlace } from "../../src/providers/index.ts";

const MODEL = "the-model";

interface Caught {
  readonly request: Request;
  readonly path: string;
}

function catching(): { caught: Caught[]; fetch: typeof fetch } {
  const caught: Caught[] = [];
  const respond: typeof fetch = (input, init) => {
    const request = new Request(input, init);
    // An SDK tries out on a `data:` URL what its fetch can do.
    if (request.url.startsWith("http"))
      caught.push({ request, path: new URL(request.url).pathname });
    return Promise.resolve(Response.json({ data: [], id: "x" }));
  };
  return { caught, fetch: respond };
}

/** The model that a call names in the place that we know for it; undefined when we know none. */
async function modelOf(provider: string, { request, path }: Caught): Promise<unknown> {
  const { method } = request;
  const place = modelPlace({ provider, method, path, canonicalPath: path.toLowerCase() });
  assert.notEqual(place, "unclear");
  if (place === undefined || place === "unclear") return undefined;
  if (place.inPath !== undefined) return place.inPath;
  const type = request.headers.get("content-type") ?? "";
  if (type.startsWith("multipart/form-data")) {
    assert.match(place.at, /form/);
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- another parser than ours, for small bodies of our own
    return (await request.formData()).get(place.name);
  }
  assert.match(place.at, /json/);
  return ((await request.json()) as Record<string, unknown>)[place.name];
}

async function check(
  provider: string,
  caught: Caught[],
  calls: readonly (() => PromiseLike<unknown>)[],
  expected: unknown,
): Promise<void> {
  for (const call of calls) {
    caught.length = 0;
    await Promise.resolve(call()).catch(() => undefined); // our answer is none of theirs
    const [first] = caught;
    assert.ok(first, `the SDK sent nothing: ${call.toString()}`);
    assert.equal(await modelOf(provider, first), expected, first.path);
  }
}

const file = new File(["x"], "a.mp3");
const messages = [{ role: "user" as const, content: "x" }];

test("openai, and the same at Azure in its v1 form", async () => {
  const { caught, fetch } = catching();
  for (const [provider, baseURL] of [
    ["openai", "https://api.openai.com/v1"],
    ["azure-openai", "https://x.openai.azure.com/openai/v1"],
  ] as const) {
    const client = new OpenAI({ apiKey: "sk-FAKE", baseURL, fetch, maxRetries: 0 });
    await check(
      provider,
      caught,
      [
        () => client.chat.completions.create({ model: MODEL, messages }),
        () => client.responses.create({ model: MODEL, input: "x" }),
        () => client.embeddings.create({ model: MODEL, input: "x" }),
        () => client.images.generate({ model: MODEL, prompt: "x" }),
        () => client.images.edit({ model: MODEL, prompt: "x", image: file }),
        () => client.audio.speech.create({ model: MODEL, input: "x", voice: "alloy" }),
        () => client.audio.transcriptions.create({ model: MODEL, file }),
      ],
      MODEL,
    );
    await check(
      provider,
      caught,
      [
        () => client.files.create({ file, purpose: "batch" }),
        () =>
          client.batches.create({
            input_file_id: "f",
            endpoint: "/v1/responses",
            completion_window: "24h",
          }),
        () => client.fineTuning.jobs.create({ model: MODEL, training_file: "f" }),
        () => client.models.list(),
      ],
      undefined,
    );
  }
  const client = new OpenAI({ apiKey: "sk-FAKE", fetch, maxRetries: 0 });
  await check(
    "openai",
    caught,
    [
      () => client.responses.compact({ model: MODEL }),
      () => client.responses.inputTokens.count({ model: MODEL, input: "x" }),
      () => client.moderations.create({ model: MODEL, input: "x" }),
    ],
    MODEL,
  );
});

test("Azure's deployments", async () => {
  const { caught, fetch } = catching();
  const client = new AzureOpenAI({
    apiKey: "FAKE",
    apiVersion: "2025-01-01",
    endpoint: "https://x.openai.azure.com",
    fetch,
    maxRetries: 0,
  });
  await check(
    "azure-openai",
    caught,
    [
      () => client.chat.completions.create({ model: MODEL, messages }),
      () => client.embeddings.create({ model: MODEL, input: "x" }),
    ],
    MODEL,
  );
});

test("anthropic", async () => {
  const { caught, fetch } = catching();
  const client = new Anthropic({ apiKey: "sk-ant-FAKE", fetch, maxRetries: 0 });
  const ask = { model: MODEL, max_tokens: 1, messages };
  await check(
    "anthropic",
    caught,
    [
      () => client.messages.create(ask),
      () => client.beta.messages.create(ask),
      () => client.messages.countTokens({ model: MODEL, messages }),
    ],
    MODEL,
  );
  await check(
    "anthropic",
    caught,
    [
      () => client.messages.batches.create({ requests: [{ custom_id: "1", params: ask }] }),
      () => client.models.list(),
    ],
    undefined,
  );
});

test("gemini", async (t) => {
  const { caught, fetch } = catching();
  t.mock.method(globalThis, "fetch", fetch);
  const { models, batches, caches } = new GoogleGenAI({ apiKey: "FAKE" });
  await check(
    "gemini",
    caught,
    [
      () => models.generateContent({ model: MODEL, contents: "x" }),
      () => models.generateContentStream({ model: MODEL, contents: "x" }),
      () => models.countTokens({ model: MODEL, contents: "x" }),
      () => models.embedContent({ model: MODEL, contents: ["x"] }),
    ],
    MODEL,
  );
  await check(
    "gemini",
    caught,
    [() => models.generateContent({ model: "tunedModels/mine", contents: "x" })],
    "tunedModels/mine",
  );
  await check(
    "gemini",
    caught,
    [
      () => batches.create({ model: MODEL, src: "files/f" }),
      () => caches.create({ model: MODEL, config: { contents: "x" } }),
    ],
    undefined,
  );
});
