import assert from "node:assert/strict";
import { test } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { createWireUpstream, head, openWireClient } from "../support/wire.ts";

const TOO_LARGE =
  "HTTP/1.1 413 Content Too Large\r\ncontent-length: 9\r\nconnection: close\r\n\r\ntoo large";
const BLOCK = Buffer.alloc(256 * 1024, "x");

for (const framing of ["content-length: 100000000", "transfer-encoding: chunked"]) {
  for (const reads of [true, false]) {
    test(`an early answer reaches a client that is still sending (${framing}, upstream ${reads ? "reads on" : "stops reading"})`, async (t) => {
      const upstream = await createWireUpstream(({ socket }) => {
        socket.once("data", () => {
          socket.write(TOO_LARGE);
          if (!reads) socket.pause();
        });
      });
      t.after(() => upstream.close());
      const plane = await openWithUpstream(t, upstream.origin);
      const client = await openWireClient(plane.port);
      client.send(head(plane.token, "/openai/v1/files", { method: "POST", headers: [framing] }));
      const block = framing.startsWith("t")
        ? Buffer.concat([Buffer.from("40000\r\n"), BLOCK, Buffer.from("\r\n")])
        : BLOCK;
      let sending = true;
      const send = (): void => {
        while (sending && !client.socket.destroyed && client.socket.write(block));
      };
      client.socket.on("drain", send);
      send();

      const answer = await client.answer();
      sending = false;
      assert.equal(answer.status, 413);
      assert.equal(answer.body, "too large");
      assert.equal(answer.header("x3sproxy-refusal"), undefined);
      const line = await plane.exchange();
      assert.equal(line["outcome"], "completed");
      assert.equal(line["status"], 413);
    });
  }
}
