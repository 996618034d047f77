// Of an agent, of a workspace: what is over a limit is refused with the time to wait, in the provider's shape, and goes no further.
import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { ask, openTarget } from "../support/attack.ts";
import { eventually } from "../support/eventually.ts";
import { get, limitAgent, limitWorkspace, refusalOf } from "../support/limits.ts";
import { createEcho, openWebSocket } from "../support/websocket-upstream.ts";
import { openWithUpstream } from "../support/data-plane.ts";
import { openWireClient, webSocketHead } from "../support/wire.ts";

const WITHIN_MS = 1000;
/** One at once, and the next a minute later. */
const ONE_CALL = { requestsPerMinute: 1 };

test("an agent's second call, while its neighbour's passes", async (t) => {
  const { plane, sent } = await openTarget(t);
  const limited = await plane.deploy("limited", { limits: ONE_CALL });
  const free = await plane.deploy("free");
  assert.equal((await get(plane, limited)).status, 200);
  sent();
  const refused = await get(plane, limited);
  assert.equal(refused.status, 429);
  assert.equal(refused.header("x3sproxy-refusal"), "rate_limited");
  const waitS = Number(refused.header("retry-after"));
  assert.ok(Number.isInteger(waitS) && waitS > 30 && waitS <= 60, String(waitS));
  assert.match(refused.body, new RegExp(`Try again in ${waitS} s`));
  assert.equal(sent(), "");
  assert.equal((await get(plane, free)).status, 200);
});

test("all agents of a workspace together, and those of another on their own", async (t) => {
  const { plane } = await openTarget(t);
  const [one, other] = [await plane.deploy("one"), await plane.deploy("other")];
  await limitWorkspace(plane, ONE_CALL);
  assert.equal(await refusalOf(plane, one), undefined);
  assert.equal(await refusalOf(plane, other), "rate_limited");
  assert.equal(await refusalOf(plane, one), "rate_limited");
});

test("calls that are refused otherwise, and our own endpoints, don't count", async (t) => {
  const { plane, ask: askTarget } = await openTarget(t);
  const token = await plane.deploy("limited", {
    limits: ONE_CALL,
    rules: ["GET /openai/v1/models"],
  });
  const bearer = `Authorization: Bearer ${token}`;
  for (let i = 0; i < 3; i++) {
    const outside = await askTarget(["GET /openai/v1/files HTTP/1.1", bearer]);
    assert.equal(outside.header("x3sproxy-refusal"), "path_not_allowed");
    const own = await askTarget(["GET /_x3sproxy/token HTTP/1.1", bearer]);
    assert.equal(own.status, 200);
  }
  assert.equal(await refusalOf(plane, token), undefined);
  assert.equal(await refusalOf(plane, token), "rate_limited");
  assert.equal((await askTarget(["GET /_x3sproxy/token HTTP/1.1", bearer])).status, 200);
});

test("a change of a limit holds within a second, of the agent and of the workspace", async (t) => {
  const { plane, token } = await openTarget(t);
  const becomes = (reason: string | undefined): Promise<unknown> =>
    eventually(async () => (await refusalOf(plane, token)) === reason, WITHIN_MS);
  assert.equal(await refusalOf(plane, token), undefined);
  await limitAgent(plane, "agent", { requestsPerMinute: 1 });
  await becomes("rate_limited");
  await limitAgent(plane, "agent", { requestsPerMinute: null });
  await becomes(undefined);
  await limitWorkspace(plane, { requestsPerMinute: 1 });
  await becomes("rate_limited");
  await limitWorkspace(plane, {});
  await becomes(undefined);
});

test("the official SDKs raise their RateLimitError and see the time to wait", async (t) => {
  const { plane } = await openTarget(t, { providers: ["openai", "anthropic"] });
  const token = await plane.deploy("limited", { limits: ONE_CALL });
  assert.equal(await refusalOf(plane, token), undefined);
  const openai = new OpenAI({
    apiKey: token,
    baseURL: `${plane.url}/openai/v1`,
    maxRetries: 0,
  });
  await assert.rejects(openai.models.list(), (error) => {
    assert.ok(error instanceof OpenAI.RateLimitError);
    assert.equal(error.code, "rate_limited");
    assert.match(error.headers.get("retry-after") ?? "", /^([3-5]\d|60)$/);
    return true;
  });
  const anthropic = new Anthropic({
    apiKey: token,
    baseURL: `${plane.url}/anthropic`,
    maxRetries: 0,
  });
  const message = {
    model: "m",
    max_tokens: 1,
    messages: [{ role: "user" as const, content: "x" }],
  };
  await assert.rejects(anthropic.messages.create(message), (error) => {
    assert.ok(error instanceof Anthropic.RateLimitError);
    assert.equal(error.type, "rate_limit_error");
    assert.match(error.headers.get("retry-after") ?? "", /^([3-5]\d|60)$/);
    return true;
  });
});

test("an SDK that tries again when it is told to is let in", async (t) => {
  const answer = '{"object":"list","data":[]}';
  const { plane } = await openTarget(t, {
    answer: `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${answer.length}\r\n\r\n${answer}`,
  });
  // One each three seconds, after a rush of four: the SDK's first try comes too early.
  const token = await plane.deploy("limited", { limits: { requestsPerMinute: 20 } });
  while ((await refusalOf(plane, token)) === undefined);
  const openai = new OpenAI({ apiKey: token, baseURL: `${plane.url}/openai/v1`, maxRetries: 1 });
  const startMs = performance.now();
  await openai.models.list();
  const refused = () => plane.logged().filter((line) => line["reason"] === "rate_limited").length;
  await eventually(() => refused() === 2);
  assert.ok(performance.now() - startMs >= 1_990, "not before the time");
  assert.equal(await refusalOf(plane, token), "rate_limited");
});

test("a call with a body, on a connection that goes on", async (t) => {
  const { plane } = await openTarget(t);
  const token = await plane.deploy("limited", { limits: ONE_CALL });
  assert.equal(await refusalOf(plane, token), undefined);
  const client = await openWireClient(plane.port);
  const body = "x".repeat(300_000);
  for (let i = 0; i < 3; i++) {
    client.send(
      `POST /openai/v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    assert.equal((await client.answer()).status, 429);
  }
  client.socket.destroy();
});

test("a WebSocket's handshake gets the refusal as an HTTP answer", async (t) => {
  const upstream = await createEcho();
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  await limitWorkspace(plane, { openWebsockets: 1 });
  const headers = { authorization: `Bearer ${plane.token}` };
  const socket = await openWebSocket(`${plane.url}/openai/v1/realtime`, { headers });
  const client = await openWireClient(plane.port);
  client.send(webSocketHead(plane.token, "/openai/v1/realtime"));
  const { status, headers: fields } = await client.answer();
  assert.equal(status, 429);
  assert.ok(JSON.stringify(fields).includes("too_many_streams"));
  assert.equal(upstream.requests.length, 1);
  const plain = await ask(plane.port, [
    "GET /openai/v1/models HTTP/1.1",
    `Authorization: Bearer ${plane.token}`,
  ]);
  assert.equal(plain.status, 200, "it is a limit of WebSockets alone");
  socket.close();
});
