import assert from "node:assert/strict";
import { test } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { createWireUpstream, head, openWireClient } from "../support/wire.ts";

const RUNS = 25;
const ANSWER_HEAD =
  "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

test("response headers reach the client less than 5 ms later than without the proxy, though no body byte follows", async (t) => {
  let wroteAtMs = 0;
  const upstream = await createWireUpstream(({ socket }) => {
    socket.on("data", () => {
      wroteAtMs = performance.now();
      socket.write(ANSWER_HEAD);
    });
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);

  const through: number[] = [];
  const past: number[] = [];
  const ask = async (port: number, delaysMs: number[]): Promise<void> => {
    const client = await openWireClient(port);
    client.send(head(plane.token, "/openai/v1/responses"));
    const received = await client.until((bytes) => bytes.includes("\r\n\r\n"));
    delaysMs.push(performance.now() - wroteAtMs);
    assert.match(received, /^HTTP\/1\.1 200 OK\r\ncontent-type: text\/event-stream\r\n/);
    client.socket.destroy();
  };
  for (let run = 0; run < RUNS; run++) {
    await ask(plane.port, through);
    await ask(Number(new URL(upstream.origin).port), past);
  }
  // Nine of ten: what else the machine does is in both.
  const most = (delaysMs: number[]): number =>
    delaysMs.sort((a, b) => a - b)[Math.floor(RUNS * 0.9)] ?? Infinity;
  const addedMs = most(through) - most(past);
  assert.ok(addedMs < 5, `${addedMs} ms later than without the proxy`);
});
