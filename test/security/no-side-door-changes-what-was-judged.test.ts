// Gateways and frameworks take a method, a path, a host, headers or a credential from elsewhere than the request line and the fields
// that were judged. None of these doors is open, in whatever spelling.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openTarget } from "../support/attack.ts";
import { checkFields, checkParameters } from "./side-doors.ts";
import { inputs } from "../support/generated.ts";

test("no parameter overrides method, headers, content type or body, and none is another credential", async (t) => {
  await checkParameters(await openTarget(t), inputs(18, 400));
});

test("no field says another method, path, host or caller, and none is another credential", async (t) => {
  await checkFields(await openTarget(t), inputs(18, 150));
});

test("what only looks like one goes up as it came", async (t) => {
  const { ask, sent, token } = await openTarget(t);
  for (const query of [
    "alt=sse",
    "$alt=json",
    "$fields=a,b",
    "$filter=a&$top=1",
    "uploadType=resumable",
    "method=flickr.test.echo",
    "pageToken=a&page_token=b",
    "max_tokens=1",
    "req=1&ct=2",
    "keyword=x",
  ]) {
    const { status } = await ask([
      `GET /openai/v1/models?${query} HTTP/1.1`,
      `Authorization: Bearer ${token}`,
    ]);
    assert.equal(status, 200, query);
    assert.ok(sent().startsWith(`GET /v1/models?${query} HTTP/1.1\r\n`), query);
  }
  for (const field of [
    "X-Goog-Api-Client: gl-node/24",
    "X-Goog-User-Project: p",
    "X-Goog-Upload-Command: start",
    "X-Stainless-Lang: js",
    "X-Amzn-Bedrock-Trace: ENABLED",
    "x-ms-client-request-id: 1",
    "x-ms-useragent: x",
    "OpenAI-Project: p",
  ]) {
    const { status } = await ask([
      "GET /openai/v1/models HTTP/1.1",
      `Authorization: Bearer ${token}`,
      field,
    ]);
    assert.equal(status, 200, field);
    assert.ok(sent().includes(`\r\n${field}\r\n`), field);
  }
});
