// A client that follows redirects with the credential hands it to whoever wrote the Location.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ask } from "../support/attack.ts";
import { openWithUpstream } from "../support/data-plane.ts";
import { createCannedUpstream, createWireUpstream } from "../support/wire.ts";

test("a redirect of any kind reaches the client as it is, and leads to no second request", async (t) => {
  const other = await createCannedUpstream("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nother");
  t.after(() => other.close());
  let requests = 0;
  let answer = "";
  const upstream = await createWireUpstream(({ socket }) => {
    socket.on("data", () => {
      requests++;
      socket.write(answer);
    });
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  let asked = 0;
  for (const status of [300, 301, 302, 303, 304, 305, 307, 308]) {
    for (const [location, passedOn = location] of [
      [`${other.origin}/x`],
      [`//127.0.0.1:${other.port}/x`],
      ["/v1/elsewhere", "/openai/v1/elsewhere"],
    ] as const) {
      answer = `HTTP/1.1 ${status} Moved\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`;
      const { text, header } = await ask(plane.port, [
        "POST /openai/v1/responses HTTP/1.1",
        `Authorization: Bearer ${plane.token}`,
        "Content-Length: 0",
      ]);
      asked++;
      assert.ok(text.startsWith(`HTTP/1.1 ${status} Moved\r\n`), text);
      assert.equal(header("location"), passedOn);
      assert.equal(requests, asked);
    }
  }
  assert.equal(other.connections.length, 0);
});
