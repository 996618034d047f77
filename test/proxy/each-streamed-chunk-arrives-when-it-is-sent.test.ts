import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { openWithUpstream } from "../support/data-plane.ts";
import { createWireUpstream, head, openWireClient } from "../support/wire.ts";

const SSE_HEAD =
  "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

function chunk(data: string): string {
  return `${data.length.toString(16)}\r\n${data}\r\n`;
}

test("each event of a stream arrives when it is sent, and not with a later one", async (t) => {
  const upstream = await createWireUpstream();
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const client = await openWireClient(plane.port);
  client.send(head(plane.token, "/openai/v1/responses"));
  const { socket } = await upstream.connection().then(async (it) => {
    await it.head();
    return it;
  });

  socket.write(SSE_HEAD);
  await client.until((bytes) => bytes.endsWith("\r\n\r\n"));
  const start = client.received().length;
  let sent = "";
  for (let n = 0; n < 20; n++) {
    const event = chunk(`data: {"n":${n}}\n\n`);
    sent += event;
    socket.write(event);
    // Nothing more is sent until this one is there: if it waited for a later one, it would wait for ever.
    await client.until((bytes) => bytes.slice(start) === sent);
  }
  socket.write("0\r\n\r\n");
  const answer = await client.answer();
  assert.equal(answer.chunks.length, 20);
});

test("any body, in any chunks, cut into any packets, arrives byte for byte", async (t) => {
  let next: { packets: Buffer[]; ends: boolean } | undefined;
  const upstream = await createWireUpstream(({ socket }) => {
    socket.on("data", () => {
      const { packets = [], ends = false } = next ?? {};
      next = undefined;
      void (async () => {
        for (const packet of packets) {
          socket.write(packet);
          await new Promise(setImmediate);
        }
        if (ends) socket.end();
      })();
    });
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);

  const body = fc.array(fc.uint8Array({ minLength: 1, maxLength: 3000 }), { maxLength: 10 });
  const cuts = fc.array(fc.nat(30_000), { maxLength: 12 });
  const framing = fc.constantFrom("chunked", "length", "close");
  await fc.assert(
    fc.asyncProperty(body, cuts, framing, async (parts, places, how) => {
      const whole = Buffer.concat(parts).toString("latin1");
      const framed =
        how === "chunked"
          ? parts.map((part) => chunk(Buffer.from(part).toString("latin1"))).join("") + "0\r\n\r\n"
          : whole;
      const field =
        how === "chunked"
          ? "transfer-encoding: chunked\r\n"
          : how === "length"
            ? `content-length: ${whole.length}\r\n`
            : "";
      const statusLine = "HTTP/1.1 200 OK\r\n";
      const bytes = Buffer.from(`${statusLine}X-Test: ${how}\r\n${field}\r\n${framed}`, "latin1");
      const ends = [...places, bytes.length]
        .map((place) => Math.min(Math.max(place, statusLine.length), bytes.length))
        .sort((a, b) => a - b);
      next = {
        packets: ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end)),
        ends: how === "close",
      };

      const client = await openWireClient(plane.port);
      client.send(head(plane.token, "/openai/v1/responses"));
      const answer = await client.answer();
      assert.equal(answer.header("x-test"), how);
      assert.equal(answer.framing, how);
      assert.ok(answer.body === whole, "the body arrived altered");
      client.socket.destroy();
    }),
    { numRuns: 60 },
  );
});
