import assert from "node:assert/strict";
import test from "node:test";
import { builtInProviders, errorBody, type ErrorShape } from "../../src/providers/index.ts";

const ERROR = {
  status: 403,
  code: "no_secret",
  message: 'No key for "production".\u2028',
  requestId: "exchange-1",
};
const { message } = ERROR;

// Bodies for a 403 of the providers whose own SDK is not among our packages, as their documentation shows them.
const BODIES: Partial<Record<ErrorShape, object>> = {
  openrouter: { error: { code: 403, message, metadata: { reason: "no_secret" } } },
  azure: { error: { code: "no_secret", message } },
  huggingface: { error: message },
  elevenlabs: { detail: { status: "no_secret", message } },
  deepgram: { err_code: "NO_SECRET", err_msg: message, request_id: "exchange-1" },
  fal: { detail: message, message, error_type: "no_secret" },
};
const TOP_LEVEL_MESSAGE = ["aws", "cohere", "mistral"] as const;

for (const shape of new Set([...builtInProviders.values()].map(({ errorShape }) => errorShape))) {
  test(`${shape}: JSON that carries the message, with valid headers`, () => {
    const { headers, body } = errorBody(shape, ERROR);
    const parsed = JSON.parse(body) as object;
    assert.ok(body.includes(JSON.stringify(message)));
    assert.equal(new Headers(headers).get("content-type"), "application/json");
    const names = headers.map(([name]) => name);
    assert.equal(new Set(names).size, names.length);
    for (const name of names) assert.match(name, /^[a-z][a-z-]*$/);
    const expected = BODIES[shape];
    if (expected !== undefined) assert.deepEqual(parsed, expected);
  });
}

for (const shape of TOP_LEVEL_MESSAGE) {
  test(`${shape}: the message stands at the top level`, () => {
    const parsed = JSON.parse(errorBody(shape, ERROR).body) as Record<string, unknown>;
    assert.equal(parsed["message"], message);
  });
}

test("aws: the header names the exception that the AWS SDKs raise", () => {
  const exceptions: [number, string][] = [
    [400, "ValidationException"],
    [401, "UnrecognizedClientException"],
    [403, "AccessDeniedException"],
    [404, "ResourceNotFoundException"],
    [429, "ThrottlingException"],
    [500, "InternalServerException"],
    [503, "ServiceUnavailableException"],
    [504, "ModelTimeoutException"],
  ];
  for (const [status, exception] of exceptions) {
    const headers = new Headers(errorBody("aws", { ...ERROR, status }).headers);
    assert.equal(headers.get("x-amzn-errortype"), exception);
    assert.equal(headers.get("x-amzn-requestid"), "exchange-1");
  }
});

test("every status that a refusal can have gets a type in every shape", () => {
  const statuses = [400, 401, 403, 404, 405, 408, 413, 417, 429, 431, 500, 502, 503, 504, 529];
  for (const { errorShape } of builtInProviders.values()) {
    for (const status of statuses) {
      const { body } = errorBody(errorShape, { ...ERROR, status });
      assert.doesNotMatch(body, /undefined|"type":(?:null|"")|"status":(?:null|"")/);
    }
  }
});
