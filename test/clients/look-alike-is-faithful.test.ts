// The look-alike by itself, without the proxy: what the official clients read from it is what they read from the
// providers. If a client test fails and this one does not, the proxy is to blame.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { ApiError, GoogleGenAI } from "@google/genai";
import OpenAI from "openai";
import { createLookAlike } from "../../demo/look-alike/look-alike.ts";

const keys = {
  anthropic: ["sk-ant-api03-FAKE-1111"],
  openai: ["sk-proj-FAKE-2222"],
  gemini: ["AIzaFAKE-3333"],
};
const lookAlike = createLookAlike({ keys });
let origin = "";
before(async () => (origin = await lookAlike.listen()));
after(() => lookAlike.close());

const openai = (apiKey = "sk-proj-FAKE-2222") =>
  new OpenAI({ baseURL: `${origin}/v1`, apiKey, maxRetries: 0 });
const anthropic = (apiKey = "sk-ant-api03-FAKE-1111") =>
  new Anthropic({ baseURL: origin, apiKey, maxRetries: 0 });
const gemini = (apiKey = "AIzaFAKE-3333") =>
  new GoogleGenAI({ apiKey, httpOptions: { baseUrl: origin } });

const say = (content: string) => [{ role: "user" as const, content }];

test("openai: chat completions, whole and streamed", async () => {
  const request = { model: "look-alike", messages: say("hello") };
  const whole = await openai().chat.completions.create(request);
  assert.match(whole.choices[0]?.message.content ?? "", /openai look-alike.*…2222/);

  const stream = openai().chat.completions.stream({
    ...request,
    stream_options: { include_usage: true },
  });
  const final = await stream.finalChatCompletion();
  assert.equal(final.choices[0]?.message.content, whole.choices[0]?.message.content);
  assert.equal(final.choices[0]?.finish_reason, "stop");
  assert.equal(final.usage?.total_tokens, 21);
});

test("openai: responses, whole and streamed, with a tool call", async () => {
  const request = { model: "look-alike", input: "hello" };
  const whole = await openai().responses.create(request);
  assert.match(whole.output_text, /openai look-alike/);

  const deltas: string[] = [];
  const stream = openai().responses.stream(request);
  stream.on("response.output_text.delta", ({ delta }) => deltas.push(delta));
  const final = await stream.finalResponse();
  assert.equal(final.output_text, whole.output_text);
  assert.equal(deltas.join(""), whole.output_text);
  assert.ok(deltas.length > 5);

  const parameters = { type: "object", properties: { city: { type: "string" } } };
  const called = await openai()
    .responses.stream({
      model: "look-alike",
      input: "use the tool",
      tools: [{ type: "function", name: "weather", parameters, strict: false }],
    })
    .finalResponse();
  const call = called.output[0];
  assert.ok(call?.type === "function_call");
  assert.deepEqual([call.name, JSON.parse(call.arguments)], ["weather", { city: "Paris" }]);
});

test("openai: models and embeddings", async () => {
  const models = await openai().models.list();
  assert.equal(models.data[0]?.id, "look-alike-large");
  const { data } = await openai().embeddings.create({ model: "look-alike", input: ["a", "b"] });
  assert.deepEqual(data[1]?.embedding, [0.25, -0.5, 0.125, 1]);
});

test("openai: errors are the SDK's typed ones", async () => {
  const create = (client: OpenAI, content: string) =>
    client.chat.completions.create({ model: "look-alike", messages: say(content) });
  await assert.rejects(create(openai("sk-proj-FAKE-9999"), "hello"), OpenAI.AuthenticationError);
  await assert.rejects(create(openai(), "status:429"), OpenAI.RateLimitError);
  await assert.rejects(create(openai(), "status:500"), OpenAI.InternalServerError);
  await assert.rejects(create(openai(), "break"));
});

test("anthropic: messages, whole and streamed, with a tool call", async () => {
  const request = { model: "look-alike", max_tokens: 100, messages: say("hello") };
  const whole = await anthropic().messages.create(request);
  const text = whole.content[0]?.type === "text" ? whole.content[0].text : "";
  assert.match(text, /anthropic look-alike.*sk-ant-…1111/);
  assert.equal(await anthropic().messages.stream(request).finalText(), text);

  const called = await anthropic()
    .messages.stream({
      ...request,
      messages: say("use the tool"),
      tools: [{ name: "weather", input_schema: { type: "object" } }],
    })
    .finalMessage();
  const call = called.content[0];
  assert.ok(call?.type === "tool_use");
  assert.deepEqual([call.name, call.input], ["weather", { city: "Paris" }]);
  assert.equal(called.stop_reason, "tool_use");

  const { input_tokens } = await anthropic().messages.countTokens(request);
  assert.equal(input_tokens, 14);
  const models = await anthropic().models.list();
  assert.equal(models.data[0]?.id, "look-alike-large");
});

test("anthropic: errors are the SDK's typed ones", async () => {
  const create = (client: Anthropic, content: string) =>
    client.messages.create({ model: "look-alike", max_tokens: 9, messages: say(content) });
  const wrong = anthropic("sk-ant-api03-FAKE-9999");
  await assert.rejects(create(wrong, "hello"), Anthropic.AuthenticationError);
  await assert.rejects(create(anthropic(), "status:429"), Anthropic.RateLimitError);
  await assert.rejects(create(anthropic(), "status:529"), {
    status: 529,
    type: "overloaded_error",
  });
});

test("gemini: content, whole and streamed, with a function call", async () => {
  const request = { model: "look-alike", contents: "hello" };
  const whole = await gemini().models.generateContent(request);
  assert.match(whole.text ?? "", /gemini look-alike.*…3333/);

  let streamed = "";
  for await (const chunk of await gemini().models.generateContentStream(request)) {
    streamed += chunk.text ?? "";
  }
  assert.equal(streamed, whole.text);

  const called = await gemini().models.generateContent({
    model: "look-alike",
    contents: "use the tool",
    config: { tools: [{ functionDeclarations: [{ name: "weather" }] }] },
  });
  assert.deepEqual(called.functionCalls, [{ name: "weather", args: { city: "Paris" } }]);
});

test("gemini: errors are the SDK's typed ones", async () => {
  const create = (client: GoogleGenAI, contents: string) =>
    client.models.generateContent({ model: "look-alike", contents });
  const isError = (status: number, message: RegExp) => (error: unknown) =>
    error instanceof ApiError && error.status === status && message.test(error.message);
  await assert.rejects(create(gemini("AIzaFAKE-9"), "hello"), isError(400, /API key not valid/));
  await assert.rejects(create(gemini(), "status:429"), isError(429, /RESOURCE_EXHAUSTED/));
});

test("an abandoned stream ends as abandoned, a cut one as cut", async () => {
  const stream = await openai().chat.completions.create({
    model: "look-alike",
    messages: say("slow:1000x20"),
    stream: true,
  });
  assert.equal((await stream[Symbol.asyncIterator]().next()).done, false);
  stream.controller.abort();
  assert.equal(await lookAlike.requests.at(-1)?.ended, "abandoned");

  const cut = await openai().chat.completions.create({
    model: "look-alike",
    messages: say("break"),
    stream: true,
  });
  await assert.rejects(Array.fromAsync(cut));
  assert.equal(await lookAlike.requests.at(-1)?.ended, "cut");
});
