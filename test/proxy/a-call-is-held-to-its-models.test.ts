// An agent with a list of models calls them and no other, wherever a provider's calls name their model; what names none in a known place
// is refused, but for requests without a body that fetch or delete.
import assert from "node:assert/strict";
import { test } from "node:test";
import { actorIn } from "../support/actor.ts";
import { openTarget, type Target } from "../support/attack.ts";
import { eventually } from "../support/eventually.ts";

const JSON_TYPE = "Content-Type: application/json";
const WEBSOCKET = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

interface Request {
  readonly line: string;
  readonly fields?: readonly string[];
  readonly body?: string;
}

const asking =
  ({ ask }: Target, token: string) =>
  async ({ line, fields = [], body = "" }: Request): Promise<string | number> => {
    const answer = await ask(
      [
        `${line} HTTP/1.1`,
        `Authorization: Bearer ${token}`,
        ...(body === "" ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]),
        ...fields,
      ],
      body,
    );
    return answer.header("x3sproxy-refusal") ?? answer.status;
  };

const post = (path: string, body: object, ...fields: string[]): Request => ({
  line: `POST ${path}`,
  fields: [JSON_TYPE, ...fields],
  body: JSON.stringify(body),
});

const form = (path: string, name: string, model: string): Request => ({
  line: `POST ${path}`,
  fields: ["Content-Type: multipart/form-data; boundary=B"],
  body:
    '--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n' +
    `--B\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${model}\r\n--B--\r\n`,
});

const ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.good-1";

/** Each place: a call with `good-1` in it, and the same with another model. */
const PLACES: readonly ((model: string) => Request)[] = [
  (model) => post("/anthropic/v1/messages?beta=true", { model, max_tokens: 1, messages: [] }),
  (model) => post("/anthropic/v1/messages/count_tokens", { model, messages: [] }),
  (model) => post("/openai/v1/responses", { model, input: "x" }),
  (model) => post("/openai/v1//responses/", { model, input: "x" }),
  (model) => post("/openai/v1/embeddings", { model, input: "x" }),
  (model) => form("/openai/v1/audio/transcriptions", "model", model),
  (model) => form("/openai/v1/images/edits", "model", model),
  (model) => post("/openai/v1/images/edits", { model, prompt: "x" }),
  (model) => post(`/gemini/v1beta/models/${model}:generateContent`, { contents: [] }),
  (model) => post(`/gemini/v1beta/models/${model}:streamGenerateContent?alt=sse`, { contents: [] }),
  (model) => post("/gemini/v1beta/models/good-1:generateContent", { model: `models/${model}` }),
  (model) => post("/gemini/v1beta/openai/chat/completions", { model, messages: [] }),
  (model) => ({
    line: `POST /azure-openai/openai/deployments/${model}/chat/completions?api-version=1`,
  }),
  (model) => post(`/azure-openai/openai/deployments/${model}/chat/completions`, { messages: [] }),
  (model) => form(`/azure-openai/openai/deployments/${model}/audio/transcriptions`, "a", "b"),
  (model) => ({ line: `GET /azure-openai/openai/deployments/${model}/anything` }),
  (model) => ({ line: `DELETE /azure-openai/openai/deployments/${model}` }),
  (model) => post("/azure-openai/openai/v1/responses", { model, input: "x" }),
  (model) => post(`/bedrock/model/${model}/converse-stream`, { messages: [] }),
  (model) => ({
    line: `POST /bedrock/model/${model}/invoke`,
    fields: ["Content-Type: application/octet-stream"],
    body: "{}",
  }),
  (model) => ({
    line: `POST /bedrock/model/${encodeURIComponent(ARN.replace("good-1", model))}/invoke`,
    body: '{"prompt":"x"}',
  }),
  (model) => post("/bedrock/async-invoke", { modelId: model, modelInput: {} }),
  (model) => form("/elevenlabs/v1/speech-to-text", "model_id", model),
  (model) => post("/elevenlabs/v1/text-to-speech/voice", { model_id: model, text: "x" }),
  (model) => ({ line: `POST /deepgram/v1/listen?model=${model}&punctuate=true`, body: "audio" }),
  (model) => ({ line: `GET /fal/${model}/image` }),
  (model) => post(`/fal/${model}/image`, { prompt: "x" }),
  (model) => post(`/fal-queue/${model}/image`, { prompt: "x" }),
  (model) => post(`/huggingface/hf-inference/models/${model}/x/pipeline/summarization`, {}),
  (model) => post("/in-house/any/path", { model }),
];

test("each place of a model: the one on the list passes, another does not", async (t) => {
  const names = ["anthropic", "openai", "gemini", "azure-openai", "bedrock", "elevenlabs"];
  const target = await openTarget(t, {
    providers: [...names, "deepgram", "fal", "fal-queue", "huggingface"],
  });
  const { plane, upstream } = target;
  const custom = { origin: upstream.origin, header: "authorization", scheme: "Bearer" };
  await plane.customProviders.put(actorIn(plane.workspaceId), { name: "in-house", ...custom });
  await plane.save("in-house");
  const models = ["good-1", "good-1/*", "arn:*us.good-1"];
  const ask = asking(target, await plane.deploy("listed", { models }));
  for (const place of PLACES) {
    const { line } = place("good-1");
    assert.equal(await ask(place("good-1")), 200, line);
    target.sent();
    assert.equal(await ask(place("evil-2")), "model_not_allowed", line);
    assert.equal(await ask(place("GOOD-1")), "model_not_allowed", line);
    assert.equal(target.sent(), "", line);
  }
});

test("what names no model in a known place", async (t) => {
  const providers = ["anthropic", "openai", "gemini", "fal-queue", "azure-openai"];
  const target = await openTarget(t, { providers });
  const ask = asking(target, await target.plane.deploy("listed", { models: ["*"] }));
  const passing: Request[] = [
    { line: "GET /openai/v1/models" },
    { line: "HEAD /openai/v1/models/gpt-5" },
    { line: "GET /openai/v1/files/file-1/content" },
    { line: "DELETE /openai/v1/files/file-1" },
    { line: "OPTIONS /openai/v1/responses" },
    { line: "GET /openai/v1/chat/completions?model=good" },
    { line: "GET /openai/v1/responses/resp_1?stream=true" },
    { line: "POST /openai/v1/responses/resp_1/cancel" },
    { line: "GET /fal-queue/fal-ai/flux/requests/1/status" },
    { line: "PUT /fal-queue/fal-ai/flux/requests/1/cancel" },
  ];
  for (const request of passing) assert.equal(await ask(request), 200, request.line);
  target.sent();
  const good = { model: "good", input: "x" };
  const unclear: Request[] = [
    post("/openai/v1/batches", { input_file_id: "file-1", model: "good" }),
    post("/openai/v1/assistants", good),
    post("/openai/v1/fine_tuning/jobs", good),
    post("/openai/v1/realtime/calls", { sdp: "v=0", session: { model: "good" } }),
    post("/openai/v1/unheard-of", good),
    post("/openai/v2/responses", good),
    post("/anthropic/v1/messages/batches", { requests: [{ params: { model: "good" } }] }),
    post("/gemini/v1beta/models/good:batchGenerateContent", {}),
    post("/gemini/v1beta/cachedContents", { model: "models/good" }),
    form("/openai/v1/files", "purpose", "batch"),
    { line: "GET /openai/v1/files", body: "x" },
    { line: "DELETE /openai/v1/files/x", body: "x", fields: [JSON_TYPE] },
    { line: "GET /openai/v1/chat/completions?model=good&model=evil" },
    { line: "GET /openai/v1/chat/completions?Model=good" },
    { line: "POST /openai/v1/responses" },
    { line: "POST /openai/v1/responses", fields: [JSON_TYPE, "Content-Length: 0"] },
    { line: "PATCH /openai/v1/responses", fields: [JSON_TYPE], body: "{}" },
    { line: "GET /openai/v1/realtime", fields: WEBSOCKET },
    { line: "GET /openai/v1/responses", fields: WEBSOCKET },
    { line: "GET /openai/v1/responses?model=good", fields: WEBSOCKET },
    {
      line: "GET /gemini/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
      fields: WEBSOCKET,
    },
    // Other spellings of a place.
    post("/openai/v1/responses;x", good),
    post("/openai/v1/responses%20", good),
    post("/gemini/v1beta/models/%EF%BD%87ood:generateContent", {}),
    post("/azure-openai/openai/deployments/good;x/chat/completions", {}),
    {
      line: "PUT /azure-openai/openai/deployments/good",
      body: '{"model":"good"}',
      fields: [JSON_TYPE],
    },
    form("/azure-openai/openai/deployments/good/chat/completions", "model", "good"),
    // Other ways to choose one.
    post("/openai/v1/responses", { ...good, prompt: { id: "pmpt_1" } }),
    post("/openai/v1/responses", { ...good, moderation: { model: "evil" } }),
    post("/anthropic/v1/messages", { model: "good", fallbacks: [{ model: "evil" }] }),
    post("/openai/v1/responses?model=evil", good),
    post("/azure-openai/openai/v1/responses", good, "x-ms-oai-image-generation-deployment: evil"),
  ];
  for (const request of unclear) {
    assert.equal(await ask(request), "model_unclear", request.line + (request.body ?? ""));
  }
  assert.equal(target.sent(), "");
});

test("how a body is sent has to be clear, too", async (t) => {
  const target = await openTarget(t);
  const ask = asking(target, await target.plane.deploy("listed", { models: ["good"] }));
  const body = JSON.stringify({ model: "good", input: "x" });
  const line = "POST /openai/v1/responses";
  for (const type of [
    "application/json",
    "Application/JSON; charset=UTF-8",
    'application/json;charset="utf-8"',
    "application/vnd.openai+json",
  ]) {
    assert.equal(await ask({ line, body, fields: [`Content-Type: ${type}`] }), 200, type);
  }
  assert.equal(await ask({ line, body, fields: [JSON_TYPE, "Content-Encoding: identity"] }), 200);
  target.sent();
  for (const fields of [
    [],
    ["Content-Type:"],
    ["Content-Type: text/plain"],
    ["Content-Type: application/jsonx"],
    ["Content-Type: application/json, text/plain"],
    ["Content-Type: application/json; charset=utf-16"],
    ["Content-Type: application/json; charset=utf-8; charset=utf-16"],
    ["Content-Type: application/json", "Content-Type: application/json"],
    ["Content_Type: application/json"],
    ["Content-Type: application/x-www-form-urlencoded"],
    ["Content-Type: application/x-protobuf"],
    ["Content-Type: multipart/form-data; boundary=B"],
    [JSON_TYPE, "Content-Encoding: gzip"],
    [JSON_TYPE, "Content-Encoding: identity, gzip"],
    [JSON_TYPE, "Content-Encoding: identity", "Content-Encoding: br"],
  ]) {
    assert.equal(await ask({ line, body, fields }), "model_unclear", fields.join());
  }
  const { body: fields } = form("", "model", "good");
  for (const type of [
    "multipart/form-data",
    "multipart/form-data; boundary=",
    'multipart/form-data; boundary="B"; boundary=C',
    "multipart/form-data; boundary=B; charset=utf-16",
    'multipart/form-data; boundary="B',
    "multipart/mixed; boundary=B",
    JSON_TYPE.slice(14),
  ]) {
    const request = {
      line: "POST /openai/v1/audio/transcriptions",
      fields: [`Content-Type: ${type}`],
      ...(fields === undefined ? {} : { body: fields }),
    };
    assert.equal(await ask(request), "model_unclear", type);
  }
  assert.equal(target.sent(), "");
});

test("a WebSocket that names its model in the query", async (t) => {
  const target = await openTarget(t, { providers: ["openai", "deepgram", "azure-openai"] });
  const ask = asking(target, await target.plane.deploy("listed", { models: ["good"] }));
  const at = (path: string): Request => ({ line: `GET ${path}`, fields: WEBSOCKET });
  for (const path of [
    "/openai/v1/realtime?model=good",
    "/openai/v1/realtime?x=1&model=goo%64",
    "/deepgram/v1/listen?language=en&model=good",
    "/azure-openai/openai/realtime?api-version=1&deployment=good",
  ]) {
    assert.equal(await ask(at(path)), 200, path);
  }
  target.sent();
  assert.equal(await ask(at("/openai/v1/realtime?model=evil")), "model_not_allowed");
  for (const query of [
    "",
    "?model=",
    "?model",
    "?model=good&model=good",
    "?model=good&model=evil",
    "?model=good&Model=evil",
    "?model=good&mod%65l=evil",
    "?model=good&model[]=evil",
    "?mod%65l=good",
    "?MODEL=good",
    "?model=good;model=evil",
    "?model=good&x=1;model=evil",
    "?model=good+",
    "?model=good%20",
    "?model=good%00",
    "?model=%zz",
    "?model=good&call_id=rtc_1",
  ]) {
    assert.equal(await ask(at(`/openai/v1/realtime${query}`)), "model_unclear", query);
  }
  assert.equal(target.sent(), "");
});

test("a change of the list holds at once, and without one nothing is looked at", async (t) => {
  const target = await openTarget(t);
  const { plane } = target;
  const ask = asking(target, await plane.deploy("changing"));
  const request = { line: "POST /openai/v1/anything", body: "\0 no JSON" };
  assert.equal(await ask(request), 200);
  const by = actorIn(plane.workspaceId);
  await plane.agents.changeScope(by, "changing", { models: ["good"] });
  await eventually(async () => (await ask(request)) === "model_unclear");
  await plane.agents.changeScope(by, "changing", { models: null });
  await eventually(async () => (await ask(request)) === 200);
});
