// RFC 9110, 8.6: Content-Length in 1xx and 204 is an error, and some clients then wait for the bytes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import {
  createWireUpstream,
  head,
  openWireClient,
  SWITCHING,
  webSocketHead,
} from "../support/wire.ts";

test("Content-Length and Transfer-Encoding pass with neither 1xx nor 204; with 304 the length does", async (t) => {
  let bytes = "";
  const upstream = await createWireUpstream(({ socket }) => {
    socket.on("data", () => socket.write(bytes));
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const client = await openWireClient(plane.port);
  const ask = async (answer: string) => {
    bytes = answer;
    client.send(head(plane.token, "/openai/v1/responses"));
    return client.answer();
  };
  const framing = ["content-length: 5", "Content_Length: 5", "transfer-encoding: chunked"];
  for (const field of framing) {
    const answer = await ask(`HTTP/1.1 204 No Content\r\nx-a: b\r\n${field}\r\n\r\n`);
    assert.equal(answer.status, 204);
    assert.equal(answer.header("x-a"), "b");
    for (const name of ["content-length", "content_length", "transfer-encoding"]) {
      assert.equal(answer.header(name), undefined, `204 with ${field}`);
    }

    const interim = await ask(
      `HTTP/1.1 103 Early Hints\r\nx-a: b\r\n${field}\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok`,
    );
    assert.deepEqual(interim.headers, [["x-a", "b"]], `103 with ${field}`);
    assert.equal((await client.answer()).body, "ok");
  }

  const unmodified = await ask("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n");
  assert.equal(unmodified.header("content-length"), "5");
  assert.equal((await ask("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")).body, "ok");

  bytes = SWITCHING.replace("\r\n\r\n", "\r\ncontent-length: 5\r\n\r\n");
  client.send(webSocketHead(plane.token, "/openai/v1/realtime"));
  const switched = await client.answer();
  assert.equal(switched.status, 101);
  assert.equal(switched.header("content-length"), undefined);
});
