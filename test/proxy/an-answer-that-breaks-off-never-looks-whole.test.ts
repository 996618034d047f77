import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { describe, test } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { createWireUpstream, head, openWireClient } from "../support/wire.ts";

const TARGET = "/openai/v1/responses";
const BEGINNINGS = {
  chunked: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhel",
  "content-length": "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello",
  "chunked, connection: close":
    "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
  "content-length, connection: close":
    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 100\r\n\r\nhello",
  "until the connection's end": "HTTP/1.1 200 OK\r\n\r\nhello",
  "HTTP/1.0": "HTTP/1.0 200 OK\r\n\r\nhello",
};
const CUTS: Record<string, (socket: Socket) => void> = {
  FIN: (socket) => void socket.end(),
  RST: (socket) => void socket.resetAndDestroy(),
};

describe("an answer that breaks off never looks whole", () => {
  test("whatever its framing, however it breaks", async (t) => {
    let beginning = "";
    const upstream = await createWireUpstream(({ socket }) => {
      socket.once("data", () => socket.write(beginning));
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    let cases = 0;
    for (const [framing, bytes] of Object.entries(BEGINNINGS)) {
      for (const [cut, act] of Object.entries(CUTS)) {
        const isWhole = cut === "FIN" && (framing.startsWith("until") || framing === "HTTP/1.0");
        if (isWhole) continue;
        for (const version of ["1.1", "1.0"]) {
          await t.test(`${framing}, cut by ${cut}, HTTP/${version} client`, async () => {
            beginning = bytes;
            const path = `/v1/${++cases}`;
            const client = await openWireClient(plane.port);
            client.send(head(plane.token, `/openai${path}`, { version }));
            await client.until((received) => received.includes("hello"));

            // A request that is already on its way must not get the rest of this answer for its own.
            if (version === "1.1") client.send(head(plane.token, "/openai/v1/second"));
            act((await upstream.connection(cases - 1)).socket);

            await assert.rejects(client.answer());
            const end = await client.ended();
            const tellsItsEnd = version === "1.1" && framing.startsWith("c");
            if (!tellsItsEnd) assert.equal(end, "reset");
            assert.equal(client.received().split("HTTP/1.").length, 2, "nothing follows");
            const line = await plane.exchange((one) => one["path"] === path);
            assert.equal(line["outcome"], "upstream_broke");
            assert.equal(line["status"], 200);
          });
        }
      }
    }
  });

  test("garbage behind the request ends an answer without a length by a reset, too", async (t) => {
    const upstream = await createWireUpstream(({ socket }) => {
      socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\n\r\nhello"));
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, TARGET, { version: "1.0" }));
    await client.until((bytes) => bytes.includes("hello"));
    client.send("garbage");
    assert.equal(await client.ended(), "reset");
    assert.equal(client.received().split("HTTP/1.").length, 2, "nothing follows");
  });

  test("what had come before the break is still delivered to a slow client", async (t) => {
    const body = "x".repeat(2_000_000);
    const upstream = await createWireUpstream(({ socket }) => {
      socket.once("data", () => {
        socket.end(`HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n${body}`);
      });
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.socket.pause();
    client.send(head(plane.token, TARGET));
    const { socket } = await upstream.connection();
    if (!socket.writableFinished) await new Promise((resolve) => socket.once("finish", resolve));
    client.socket.resume();
    assert.equal(await client.ended(), "fin");
    assert.ok(client.received().endsWith(`\r\n\r\n${body}`));
    assert.equal((await plane.exchange())["outcome"], "upstream_broke");
  });

  test("an answer that ends with its connection, in good order, is whole", async (t) => {
    const upstream = await createWireUpstream(({ socket }) => {
      socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\n\r\nhello"));
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, TARGET));
    const answer = await client.answer();
    assert.equal(answer.framing, "close");
    assert.equal(answer.header("connection"), "close");
    assert.equal(answer.body, "hello");
    assert.equal((await plane.exchange())["outcome"], "completed");
  });
});
