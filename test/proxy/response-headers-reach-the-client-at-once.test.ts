import assert from "node:assert/strict";
import { test } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { createWireUpstream, head, openWireClient } from "../support/wire.ts";

const RUNS = 25;
const ANSWER_HEAD =
  "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

test("response headers reach the client within 5 ms, though no body byte follows", async (t) => {
  let wroteAtMs = 0;
  const upstream = await createWireUpstream(({ socket }) => {
    socket.on("data", () => {
      wroteAtMs = performance.now();
      socket.write(ANSWER_HEAD);
    });
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);

  const delaysMs: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, "/openai/v1/responses"));
    const received = await client.until((bytes) => bytes.includes("\r\n\r\n"));
    delaysMs.push(performance.now() - wroteAtMs);
    assert.match(received, /^HTTP\/1\.1 200 OK\r\ncontent-type: text\/event-stream\r\n/);
    client.socket.destroy();
  }

  const medianMs = delaysMs.sort((a, b) => a - b)[Math.floor(RUNS / 2)] ?? Infinity;
  assert.ok(medianMs < 5, `median ${medianMs} ms`);
});
