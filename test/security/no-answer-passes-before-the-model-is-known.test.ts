import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import {
  createWireUpstream,
  head,
  openWireClient,
  type UpstreamConnection,
} from "../support/wire.ts";

const ANSWERS = { "a body": "too large", "no body": "" };
const earlyOf = (body: string): string =>
  "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" +
  `HTTP/1.1 413 Content Too Large\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
const BEGINNING = `{"input":"${"x".repeat(10_000)}`;
const REST = "x".repeat(500_000);
const LENGTH = BEGINNING.length + REST.length + '","model":"gpt-5"}'.length;

/** An upstream that answers at once, and a client that has sent the beginning of its body. */
async function open(t: TestContext, body: string, after: (connection: UpstreamConnection) => void) {
  const early = earlyOf(body);
  const upstream = await createWireUpstream((connection) => {
    connection.socket.once("data", () => {
      connection.socket.write(early);
      after(connection);
    });
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const token = await plane.deploy("listed", { models: ["gpt-5"] });
  const client = await openWireClient(plane.port);
  const headers = ["Content-Type: application/json", `Content-Length: ${LENGTH}`];
  client.send(head(token, "/openai/v1/chat/completions", { method: "POST", headers }));
  client.send(BEGINNING);
  const { socket } = await upstream.connection();
  await eventually(() => socket.bytesWritten >= early.length);
  return { upstream, plane, client };
}

const UPSTREAMS: Record<string, (connection: UpstreamConnection) => void> = {
  "reads on": () => undefined,
  "stops reading": ({ socket }) => socket.pause(),
  "ends its connection": ({ socket }) => socket.end(),
};

const CASES = Object.entries(UPSTREAMS).flatMap(([what, after]) =>
  Object.entries(ANSWERS).map(([kind, body]) => [`${what}, ${kind}`, body, after] as const),
);

for (const [what, body, after] of CASES) {
  test(`a model that is refused: the early answer never passes (the upstream ${what})`, async (t) => {
    const { plane, client } = await open(t, body, after);
    client.send(REST);
    assert.equal(client.received(), "");
    client.send('","model":"gpt-4"}');
    const answer = await client.answer();
    assert.equal(answer.header("x3sproxy-refusal"), "model_not_allowed");
    assert.ok(!client.received().includes("413"));
    assert.equal((await plane.exchange())["outcome"], "refused");
  });

  test(`a model that is allowed: it passes when that is known (the upstream ${what})`, async (t) => {
    const { plane, client } = await open(t, body, after);
    client.send(REST);
    assert.equal(client.received(), "");
    client.send('","model":"gpt-5"}');
    const answer = await client.answer();
    assert.equal(answer.status, 413);
    assert.equal(answer.body, body);
    assert.equal(answer.header("x3sproxy-refusal"), undefined);
    assert.ok(!client.received().includes("103 Early Hints"));
    assert.equal((await plane.exchange())["outcome"], "completed");
  });
}

test("an interim answer does not keep the rest of the body from the upstream", async (t) => {
  const upstream = await createWireUpstream((connection) => {
    connection.socket.once("data", () =>
      connection.socket.write(earlyOf("too large").split("HTTP/1.1 413")[0] ?? ""),
    );
    connection.socket.on("data", () => {
      if (!connection.received().endsWith('gpt-5"}')) return;
      connection.socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    });
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const token = await plane.deploy("listed", { models: ["gpt-5"] });
  const client = await openWireClient(plane.port);
  const headers = ["Content-Type: application/json", `Content-Length: ${LENGTH}`];
  client.send(head(token, "/openai/v1/chat/completions", { method: "POST", headers }));
  client.send(BEGINNING);
  const { until } = await upstream.connection();
  await until((received) => received.includes("xxxx"));
  client.send(`${REST}","model":"gpt-5"}`);
  assert.equal((await client.answer()).body, "ok");
});

test("a client that stops sending is told that its body is late, not that the upstream is", async (t) => {
  const upstream = await createWireUpstream(({ socket }) => {
    socket.once("data", () => socket.write(earlyOf("too large")));
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin, {
    X3SPROXY_CLIENT_IDLE_TIMEOUT: "400ms",
  });
  const token = await plane.deploy("listed", { models: ["gpt-5"] });
  const client = await openWireClient(plane.port);
  const headers = ["Content-Type: application/json", `Content-Length: ${LENGTH}`];
  client.send(head(token, "/openai/v1/chat/completions", { method: "POST", headers }));
  client.send(BEGINNING);
  assert.equal((await client.answer()).header("x3sproxy-refusal"), "request_timeout");
});
