import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import {
  createWireUpstream,
  head,
  openWireClient,
  type UpstreamConnection,
  type WireClient,
} from "../support/wire.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const TARGET = "/openai/v1/chat/completions";

/** The length of the request that `bytes` begin with; undefined while it is not whole. */
function wholeRequest(bytes: string): number | undefined {
  const end = bytes.indexOf("\r\n\r\n") + 4;
  if (end < 4) return undefined;
  const declared = /^content-length: (\d+)/im.exec(bytes.slice(0, end))?.[1];
  const last = bytes.indexOf("\r\n0\r\n\r\n", end);
  const length = declared === undefined ? last + 7 : end + Number(declared);
  return (declared === undefined && last < 0) || bytes.length < length ? undefined : length;
}

const isComplete = (received: string): boolean => wholeRequest(received) !== undefined;

/** Answers whole requests, and only them. */
function answerWhole(connection: UpstreamConnection): void {
  let taken = 0;
  connection.socket.on("data", () => {
    for (;;) {
      const length = wholeRequest(connection.received().slice(taken));
      if (length === undefined) return;
      taken += length;
      connection.socket.write(OK);
    }
  });
}

async function open(t: TestContext) {
  const upstream = await createWireUpstream(answerWhole);
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const token = await plane.deploy("listed", { models: ["gpt-5*"] });
  return { upstream, plane, token };
}

type Framing = "length" | "chunked";

function begin(client: WireClient, token: string, framing: Framing, length: number): void {
  const field = framing === "length" ? `Content-Length: ${length}` : "Transfer-Encoding: chunked";
  const headers = ["Content-Type: application/json", field];
  client.send(head(token, TARGET, { method: "POST", headers }));
}

function frame(piece: string, framing: Framing): string {
  if (framing === "length" || piece === "") return piece;
  return `${piece.length.toString(16)}\r\n${piece}\r\n`;
}

const LARGE = "x".repeat(700_000);

const REFUSED: Record<string, readonly [body: string, reason: string]> = {
  "another model": [`{"model":"o3","input":"${LARGE}"}`, "model_not_allowed"],
  "another model at the end": [`{"input":"${LARGE}","model":"o3"}`, "model_not_allowed"],
  "two models": [`{"model":"gpt-5","input":"${LARGE}","model":"gpt-5"}`, "model_unclear"],
  "no model": [`{"input":"${LARGE}"}`, "model_unclear"],
  "a document without its end": [`{"model":"gpt-5","input":"${LARGE}"`, "model_unclear"],
  "something behind it": [`{"model":"gpt-5","input":"${LARGE}"} x`, "model_unclear"],
  "a small one": ['{"model":"o3"}', "model_not_allowed"],
  "a small unclear one": ['{"model":"gpt-5","Model":"o3"}', "model_unclear"],
};

for (const framing of ["length", "chunked"] as const) {
  for (const [what, [body, reason]] of Object.entries(REFUSED)) {
    test(`${what} (${framing})`, async (t) => {
      const { upstream, plane, token } = await open(t);
      const client = await openWireClient(plane.port);
      begin(client, token, framing, body.length);
      for (let at = 0; at < body.length; at += 60_000) {
        client.send(frame(body.slice(at, at + 60_000), framing));
      }
      if (framing === "chunked") client.send("0\r\n\r\n");
      const answer = await client.answer();
      assert.equal(answer.status, 403);
      assert.equal(answer.header("x3sproxy-refusal"), reason);
      for (const { socket } of upstream.connections) await eventually(() => socket.destroyed);
      for (const { received } of upstream.connections) assert.ok(!isComplete(received()));
      if (framing === "length" && body.length < 1000) assert.equal(upstream.connections.length, 0);
      const line = await plane.exchange();
      assert.equal(line["outcome"], "refused");
      assert.equal(line["reason"], reason);
    });
  }

  test(`an allowed model passes, wherever it stands (${framing})`, async (t) => {
    const { upstream, plane, token } = await open(t);
    const client = await openWireClient(plane.port);
    const bodies = [
      `{"model":"gpt-5","input":"${LARGE}"}`,
      `{"input":"${LARGE}","model":"gpt-5"}`,
      `{"model":"gpt-5","input":"${LARGE}"}  \n`,
      '{"model":"gpt-5"}',
    ];
    for (const body of bodies) {
      begin(client, token, framing, body.length);
      for (let at = 0; at < body.length; at += 50_000) {
        client.send(frame(body.slice(at, at + 50_000), framing));
      }
      if (framing === "chunked") client.send("0\r\n\r\n");
      assert.equal((await client.answer()).body, "ok");
    }
    const received = upstream.connections.map((it) => it.received()).join("");
    assert.equal(received.split("POST ").length - 1, bodies.length);
    if (framing === "length") for (const body of bodies) assert.ok(received.includes(body));
  });

  test(`the refusal comes while the client is still sending (${framing})`, async (t) => {
    const { upstream, plane, token } = await open(t);
    const client = await openWireClient(plane.port);
    begin(client, token, framing, 1_000_000);
    client.send(frame(`{"model":"o3","input":"${"x".repeat(1000)}`, framing));
    const answer = await client.answer();
    assert.equal(answer.header("x3sproxy-refusal"), "model_not_allowed");
    for (const { socket, received } of upstream.connections) {
      await eventually(() => socket.destroyed);
      assert.ok(!received().includes("o3"), "the piece with the model was held back");
    }
  });

  test(`what has passed the check is not held back (${framing})`, async (t) => {
    const { upstream, plane, token } = await open(t);
    const client = await openWireClient(plane.port);
    begin(client, token, framing, 1_000_000);
    client.send(frame('{"model":"gpt-5","input":"first', framing));
    const connection = await upstream.connection();
    await connection.until((received) => received.includes("first"));
    client.send(frame(" second", framing));
    await connection.until((received) => received.includes("second"));
  });
}

test("a client that waits for 100 Continue is refused as well", async (t) => {
  const { upstream, plane, token } = await open(t);
  const client = await openWireClient(plane.port);
  const body = `{"model":"o3","input":"${LARGE}"}`;
  const headers = [
    "Content-Type: application/json",
    `Content-Length: ${body.length}`,
    "Expect: 100-continue",
  ];
  client.send(head(token, TARGET, { method: "POST", headers }));
  assert.equal((await client.answer()).status, 100);
  client.send(body);
  const answer = await client.answer();
  assert.equal(answer.header("x3sproxy-refusal"), "model_not_allowed");
  for (const { received } of upstream.connections) assert.ok(!isComplete(received()));
});

test("after a refusal the connection serves the next request", async (t) => {
  const { plane, token } = await open(t);
  const client = await openWireClient(plane.port);
  for (const [model, expected] of [
    ["o3", "model_not_allowed"],
    ["gpt-5", undefined],
  ] as const) {
    const body = `{"model":"${model}","input":"${LARGE}"}`;
    begin(client, token, "length", body.length);
    client.send(body);
    assert.equal((await client.answer()).header("x3sproxy-refusal"), expected);
  }
});

test("the log holds nothing of a model that a body names", async (t) => {
  const { plane, token } = await open(t);
  const client = await openWireClient(plane.port);
  const body = '{"model":"o3-SECRET-NAME"}';
  begin(client, token, "length", body.length);
  client.send(body);
  const { body: text } = await client.answer();
  await plane.exchange();
  assert.ok(!text.includes("SECRET-NAME"));
  assert.ok(!JSON.stringify(plane.logged()).includes("SECRET-NAME"));
});
