import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import test, { type TestContext } from "node:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import { ApiError, GoogleGenAI } from "@google/genai";
import { APICallError, generateText } from "ai";
import OpenAI, { AzureOpenAI } from "openai";
import { errorBody, type ErrorShape } from "../../src/providers/index.ts";

// What a refusal really says: quotation marks, angle brackets and a link included.
const MESSAGE = 'No key for "production" <yet>. Add one: http://127.0.0.1:8788/secrets?a=b&c=d';
const STATUSES = [400, 401, 403, 404, 429, 503] as const;
const FAKE = "x3sproxy_FAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKE";
const MESSAGES = [{ role: "user" as const, content: "hi" }];

/** A server that refuses everything in one shape; returns its base URL. */
async function refusing(t: TestContext, shape: ErrorShape, status: number): Promise<string> {
  const server = createServer((_request, response) => {
    const { headers, body } = errorBody(shape, {
      status,
      code: "no_secret",
      message: MESSAGE,
      requestId: "exchange-1",
    });
    response.writeHead(status, headers.flat());
    response.end(body);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function errorOf(call: PromiseLike<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    return error;
  }
  return assert.fail("the call was not refused");
}

const OPENAI_ERRORS = {
  400: OpenAI.BadRequestError,
  401: OpenAI.AuthenticationError,
  403: OpenAI.PermissionDeniedError,
  404: OpenAI.NotFoundError,
  429: OpenAI.RateLimitError,
  503: OpenAI.InternalServerError,
};
const ANTHROPIC_ERRORS = {
  400: [Anthropic.BadRequestError, "invalid_request_error"],
  401: [Anthropic.AuthenticationError, "authentication_error"],
  403: [Anthropic.PermissionDeniedError, "permission_error"],
  404: [Anthropic.NotFoundError, "not_found_error"],
  429: [Anthropic.RateLimitError, "rate_limit_error"],
  503: [Anthropic.ServiceUnavailableError, "overloaded_error"],
} as const;
const GOOGLE_STATUSES = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  429: "RESOURCE_EXHAUSTED",
  503: "UNAVAILABLE",
};

for (const status of STATUSES) {
  test(`openai: ${status}`, async (t) => {
    const baseURL = `${await refusing(t, "openai", status)}/v1`;
    const client = new OpenAI({ apiKey: FAKE, baseURL, maxRetries: 0 });
    for (const call of [
      client.responses.create({ model: "m", input: "hi" }),
      client.chat.completions.create({ model: "m", messages: MESSAGES, stream: true }),
    ]) {
      const error = await errorOf(call);
      assert.ok(error instanceof OPENAI_ERRORS[status], String(error));
      assert.equal(error.message, `${status} ${MESSAGE}`);
      assert.equal(error.code, "no_secret");
      assert.equal(error.requestID, "exchange-1");
    }
  });

  test(`@anthropic-ai/sdk: ${status}`, async (t) => {
    const baseURL = await refusing(t, "anthropic", status);
    const client = new Anthropic({ apiKey: FAKE, baseURL, maxRetries: 0 });
    for (const stream of [false, true]) {
      const error = await errorOf(
        client.messages.create({ model: "m", max_tokens: 9, messages: MESSAGES, stream }),
      );
      const [type, name] = ANTHROPIC_ERRORS[status];
      assert.ok(error instanceof type, String(error));
      assert.equal(error.status, status);
      assert.equal(error.type, name);
      assert.ok(error.message.includes(JSON.stringify(MESSAGE).slice(1, -1)), error.message);
      assert.equal(error.requestID, "exchange-1");
    }
  });

  test(`@google/genai: ${status}`, async (t) => {
    const baseUrl = await refusing(t, "google", status);
    const client = new GoogleGenAI({ apiKey: FAKE, httpOptions: { baseUrl } });
    for (const call of [
      client.models.generateContent({ model: "m", contents: "hi" }),
      client.models.generateContentStream({ model: "m", contents: "hi" }),
    ]) {
      const error = await errorOf(call);
      assert.ok(error instanceof ApiError, String(error));
      assert.equal(error.status, status);
      const body = JSON.parse(error.message) as { error: Record<string, unknown> };
      assert.equal(body.error["message"], MESSAGE);
      assert.equal(body.error["status"], GOOGLE_STATUSES[status]);
      assert.equal(body.error["code"], status);
    }
  });

  test(`ai with its OpenAI and Anthropic providers: ${status}`, async (t) => {
    const openai = createOpenAI({ apiKey: FAKE, baseURL: await refusing(t, "openai", status) });
    const anthropic = createAnthropic({
      apiKey: FAKE,
      baseURL: await refusing(t, "anthropic", status),
    });
    for (const model of [openai("m"), openai.chat("m"), anthropic("m")]) {
      const error = await errorOf(generateText({ model, prompt: "hi", maxRetries: 0 }));
      assert.ok(APICallError.isInstance(error), String(error));
      assert.equal(error.statusCode, status);
      assert.equal(error.message, MESSAGE);
    }
  });

  test(`AzureOpenAI: ${status}`, async (t) => {
    const endpoint = await refusing(t, "azure", status);
    const client = new AzureOpenAI({
      apiKey: FAKE,
      endpoint,
      apiVersion: "2025-04-01-preview",
      maxRetries: 0,
    });
    const error = await errorOf(client.chat.completions.create({ model: "m", messages: MESSAGES }));
    assert.ok(error instanceof OPENAI_ERRORS[status], String(error));
    assert.equal(error.message, `${status} ${MESSAGE}`);
    assert.equal(error.code, "no_secret");
  });
}

for (const shape of ["openrouter", "aws", "cohere", "mistral", "huggingface"] as const) {
  test(`OpenAI's SDK shows our message in the ${shape} shape, too`, async (t) => {
    const baseURL = await refusing(t, shape, 403);
    const client = new OpenAI({ apiKey: FAKE, baseURL, maxRetries: 0 });
    const error = await errorOf(client.chat.completions.create({ model: "m", messages: MESSAGES }));
    assert.ok(error instanceof OpenAI.PermissionDeniedError, String(error));
    const shown = shape === "huggingface" ? JSON.stringify(MESSAGE) : MESSAGE;
    assert.equal(error.message, `403 ${shown}`);
  });
}

for (const shape of ["openrouter", "aws", "cohere", "mistral"] as const) {
  test(`so does ai with its OpenAI provider in the ${shape} shape`, async (t) => {
    const openai = createOpenAI({ apiKey: FAKE, baseURL: await refusing(t, shape, 403) });
    const call = generateText({ model: openai.chat("m"), prompt: "hi", maxRetries: 0 });
    const error = await errorOf(call);
    assert.ok(APICallError.isInstance(error), String(error));
    assert.equal(error.message, MESSAGE);
  });
}
