import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { createWireUpstream, head, openWireClient } from "../support/wire.ts";

// A parser knows one name for each; what only looks like it says nothing of where the answer ends.
describe("no other spelling of a field frames an answer", () => {
  for (const name of ["content_length", "content.length", "Content~Length"]) {
    test(`${name} is no length: the answer ends with the connection`, async (t) => {
      const upstream = await createWireUpstream(({ socket }) => {
        socket.on("data", () => socket.end(`HTTP/1.1 200 OK\r\n${name}: 5\r\n\r\nlonger`));
      });
      t.after(() => upstream.close());
      const plane = await openWithUpstream(t, upstream.origin);
      const client = await openWireClient(plane.port);
      client.send(head(plane.token, "/openai/v1/models"));
      const text = await client.until((bytes) => bytes.includes("longer"));
      assert.match(text, /\r\nConnection: close\r\n/);
      assert.equal(await client.ended(), "fin");
      assert.ok(!text.includes(name), "nobody behind the proxy reads it either");
    });
  }

  test("transfer_encoding is no coding: what is reset never looks whole", async (t) => {
    const upstream = await createWireUpstream(({ socket }) => {
      socket.on("data", () => {
        socket.write("HTTP/1.1 200 OK\r\ntransfer_encoding: chunked\r\n\r\nhalf");
      });
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, "/openai/v1/models"));
    await client.until((bytes) => bytes.includes("half"));
    const { socket } = await upstream.connection();
    socket.resetAndDestroy();
    assert.equal(await client.ended(), "reset");
    assert.doesNotMatch(client.received(), /\r\n0\r\n/);
  });
});
