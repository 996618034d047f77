import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { createCannedUpstream, head, openWireClient } from "../support/wire.ts";

const TARGET = "/openai/v1/responses";
const CHUNKED =
  "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x\r\n\r\n" +
  "5\r\nhello\r\n6\r\n world\r\n0\r\nx: 1\r\n\r\n";
const WITH_LENGTH = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world";

describe("an HTTP/1.0 client gets what it understands", () => {
  for (const [framing, sent] of Object.entries({
    chunked: CHUNKED,
    "with a length": WITH_LENGTH,
  })) {
    test(`an answer ${framing}`, async (t) => {
      const upstream = await createCannedUpstream(sent);
      t.after(() => upstream.close());
      const plane = await openWithUpstream(t, upstream.origin);
      const client = await openWireClient(plane.port);
      client.send(head(plane.token, TARGET, { version: "1.0" }));
      const answer = await client.answer();
      assert.equal(answer.framing, framing === "chunked" ? "close" : "length");
      assert.equal(answer.body, "hello world");
      assert.equal(answer.header("connection"), "close");
      assert.equal(await client.ended(), "fin");
      assert.equal((await plane.exchange())["outcome"], "completed");
    });
  }

  test("without a Host field, and with its connection kept when it asks for that", async (t) => {
    const upstream = await createCannedUpstream(WITH_LENGTH);
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    for (let round = 0; round < 2; round++) {
      client.send(
        `GET ${TARGET} HTTP/1.0\r\nauthorization: Bearer ${plane.token}\r\nconnection: keep-alive\r\n\r\n`,
      );
      const answer = await client.answer();
      assert.equal(answer.header("connection"), "keep-alive");
      assert.equal(answer.body, "hello world");
    }
  });
});
