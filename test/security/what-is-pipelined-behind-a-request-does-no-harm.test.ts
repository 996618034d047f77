import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { createWireUpstream, head, openWireClient, webSocketHead } from "../support/wire.ts";

const TARGET = "/openai/v1/responses";

describe("what is pipelined behind a request does no harm", () => {
  for (const [what, second] of Object.entries({
    "a WebSocket's handshake": (token: string) => webSocketHead(token, "/openai/v1/realtime"),
    "a CONNECT": (token: string) => head(token, "api.openai.com:443", { method: "CONNECT" }),
    garbage: () => "garbage\r\n\r\n",
    "a handshake with a body": (token: string) =>
      webSocketHead(token, "/openai/v1/realtime").replace(
        "\r\n\r\n",
        "\r\ncontent-length: 5\r\n\r\nhello",
      ),
  })) {
    test(`${what}: no second answer is taken for the first, and the service goes on`, async (t) => {
      const upstream = await createWireUpstream();
      t.after(() => upstream.close());
      const plane = await openWithUpstream(t, upstream.origin);
      const client = await openWireClient(plane.port);
      client.send(head(plane.token, TARGET));
      await (await upstream.connection()).head();
      client.send(second(plane.token));
      await client.ended();
      assert.equal(client.received(), "");
      assert.equal(upstream.connections.length, 1);
      assert.equal((await plane.exchange())["outcome"], "client_left");

      const next = await openWireClient(plane.port);
      next.send(head(plane.token, TARGET));
      const { socket, head: arrived } = await upstream.connection(1);
      await arrived();
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
      assert.equal((await next.answer()).body, "ok");
    });
  }

  test("a thousand requests at once keep their order and one upstream call at a time", async (t) => {
    let open = 0;
    let most = 0;
    const upstream = await createWireUpstream(({ socket }) => {
      socket.on("data", () => {
        most = Math.max(most, ++open);
        setImmediate(() => {
          open--;
          socket.write("HTTP/1.1 204 No Content\r\n\r\n");
        });
      });
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, TARGET).repeat(1_000));
    for (let n = 0; n < 1_000; n++) assert.equal((await client.answer()).status, 204);
    assert.equal(most, 1);
  });
});
