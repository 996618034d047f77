// What the official SDKs make of a list of models: their own typed error for one that isn't on it, and nothing for one that is.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { ApiError, GoogleGenAI } from "@google/genai";
import OpenAI from "openai";
import {
  rejection,
  startLookAlikeBehindProxy,
  type LookAlikeBehindProxy,
} from "../support/look-alike-behind-proxy.ts";

let world: LookAlikeBehindProxy;
let token: string;
before(async () => {
  world = await startLookAlikeBehindProxy();
  token = await world.service.deploy("listed", "--model", "look-*", "--model", "m");
});
after(() => world.close());

// More than is gathered before it is sent.
const LONG = `hello ${"x".repeat(400_000)}`;

describe("the openai SDK", () => {
  const client = () =>
    new OpenAI({ baseURL: `${world.baseUrl("openai")}/v1`, apiKey: token, maxRetries: 0 });
  const ask = (model: string, content = "hello") => ({
    model,
    messages: [{ role: "user" as const, content }],
  });

  test("works for a model on the list, streaming included", async () => {
    for (const content of ["hello", LONG]) {
      const { choices } = await client().chat.completions.create(ask("look-alike", content));
      assert.match(choices[0]?.message.content ?? "", /called with the key/);
    }
    const stream = await client().chat.completions.create({
      ...ask("look-alike", "slow:3x5"),
      stream: true,
    });
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    assert.equal(text, "1 2 3 ");
    assert.match(
      (await client().responses.create({ model: "m", input: "hello" })).output_text,
      /…/,
    );
    const { data } = await client().embeddings.create({ model: "m", input: "x" });
    assert.equal(data[0]?.embedding.length, 4);
    assert.ok((await client().models.list()).data.length > 0);
  });

  test("gets a PermissionDeniedError for another", async () => {
    for (const content of ["hello", LONG]) {
      const before = world.lookAlike.requests.length;
      const error = await rejection(client().chat.completions.create(ask("o3", content)));
      assert.ok(error instanceof OpenAI.PermissionDeniedError, String(error));
      assert.equal(error.code, "model_not_allowed");
      assert.equal(error.headers.get("x3sproxy-refusal"), "model_not_allowed");
      for (const request of world.lookAlike.requests.slice(before)) {
        assert.equal(await request.ended, "abandoned");
      }
    }
    const stream = await rejection(
      client().chat.completions.create({ ...ask("o3"), stream: true }),
    );
    assert.ok(stream instanceof OpenAI.PermissionDeniedError);
    const file = new File(["audio"], "a.mp3");
    const spoken = await rejection(
      client().audio.transcriptions.create({ model: "whisper-1", file }),
    );
    assert.ok(spoken instanceof OpenAI.PermissionDeniedError);
    assert.equal(spoken.code, "model_not_allowed");
  });

  test("gets one that says why, when its model is unclear", async () => {
    const error = await rejection(
      client().files.create({ file: new File(["x"], "x"), purpose: "batch" }),
    );
    assert.ok(error instanceof OpenAI.PermissionDeniedError);
    assert.equal(error.code, "model_unclear");
  });
});

describe("the Anthropic SDK", () => {
  const client = () =>
    new Anthropic({ baseURL: world.baseUrl("anthropic"), apiKey: token, maxRetries: 0 });
  const ask = (model: string, content = "hello") => ({
    model,
    max_tokens: 100,
    messages: [{ role: "user" as const, content }],
  });

  test("works for a model on the list, streaming included", async () => {
    for (const content of ["hello", LONG]) {
      assert.ok((await client().messages.create(ask("look-alike", content))).content.length > 0);
    }
    const text = await client().messages.stream(ask("look-alike", "slow:3x5")).finalText();
    assert.equal(text, "1 2 3 ");
  });

  test("gets a PermissionDeniedError for another, also beside one on the list", async () => {
    for (const content of ["hello", LONG]) {
      const error = await rejection(client().messages.create(ask("claude-opus-5", content)));
      assert.ok(error instanceof Anthropic.PermissionDeniedError, String(error));
      assert.equal(error.headers.get("x3sproxy-refusal"), "model_not_allowed");
    }
    const fallback = await rejection(
      client().beta.messages.create({
        ...ask("look-alike"),
        fallbacks: [{ model: "claude-opus-5" }],
      }),
    );
    assert.ok(fallback instanceof Anthropic.PermissionDeniedError);
    assert.equal(fallback.headers.get("x3sproxy-refusal"), "model_unclear");
    const batch = await rejection(
      client().messages.batches.create({
        requests: [{ custom_id: "1", params: ask("look-alike") }],
      }),
    );
    assert.ok(batch instanceof Anthropic.PermissionDeniedError);
  });
});

describe("the Google Gen AI SDK", () => {
  const models = () =>
    new GoogleGenAI({ apiKey: token, httpOptions: { baseUrl: world.baseUrl("gemini") } }).models;

  test("works for a model on the list, streaming included", async () => {
    for (const contents of ["hello", LONG]) {
      const { text } = await models().generateContent({ model: "look-alike", contents });
      assert.match(text ?? "", /called with the key/);
    }
    let text = "";
    const stream = await models().generateContentStream({
      model: "look-alike",
      contents: "slow:3x5",
    });
    for await (const chunk of stream) text += chunk.text ?? "";
    assert.equal(text, "1 2 3 ");
  });

  test("gets an ApiError for another", async () => {
    const error = await rejection(
      models().generateContent({ model: "gemini-3-pro", contents: "hello" }),
    );
    assert.ok(error instanceof ApiError);
    assert.equal(error.status, 403);
    assert.match(error.message, /MODEL_NOT_ALLOWED/);
  });
});
