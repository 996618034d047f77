import assert from "node:assert/strict";
import { test } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { createWireUpstream, head, openWireClient } from "../support/wire.ts";

const CASES: Record<string, { method: string; answer: string; fields: [string, string][] }> = {
  "HEAD with a length": {
    method: "HEAD",
    answer: "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nContent-Type: text/plain\r\n\r\n",
    fields: [
      ["Content-Length", "12345"],
      ["Content-Type", "text/plain"],
    ],
  },
  "HEAD of a chunked answer": {
    method: "HEAD",
    answer: 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nETag: "x"\r\n\r\n',
    fields: [["ETag", '"x"']],
  },
  "HEAD of an answer with trailers": {
    method: "HEAD",
    answer: 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nTrailer: x\r\nETag: "x"\r\n\r\n',
    fields: [["ETag", '"x"']],
  },
  "HEAD without either": {
    method: "HEAD",
    answer: 'HTTP/1.1 200 OK\r\nETag: "x"\r\n\r\n',
    fields: [["ETag", '"x"']],
  },
  "204 No Content": {
    method: "DELETE",
    answer: 'HTTP/1.1 204 No Content\r\nETag: "x"\r\n\r\n',
    fields: [["ETag", '"x"']],
  },
  "304 Not Modified with the length of what is not sent": {
    method: "GET",
    answer: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: "x"\r\n\r\n',
    fields: [
      ["Content-Length", "99"],
      ["ETag", '"x"'],
    ],
  },
  "304 Not Modified without one": {
    method: "GET",
    answer: 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n',
    fields: [["ETag", '"x"']],
  },
  "200 with a length of nothing": {
    method: "GET",
    answer: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    fields: [["Content-Length", "0"]],
  },
};

test("answers without a body keep their headers, and the connection goes on", async (t) => {
  let sent = "";
  const upstream = await createWireUpstream(({ socket }) => {
    socket.on("data", () => socket.write(sent));
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const client = await openWireClient(plane.port);
  for (const [what, { method, answer: bytes, fields }] of Object.entries(CASES)) {
    await t.test(what, async () => {
      sent = bytes;
      for (let round = 0; round < 2; round++) {
        client.send(head(plane.token, "/openai/v1/models", { method }));
        const answer = await client.answer(method);
        assert.equal(answer.body, "");
        assert.equal(answer.header("transfer-encoding"), undefined);
        for (const [name, value] of fields) assert.equal(answer.header(name.toLowerCase()), value);
        assert.ok(fields.every(([name]) => answer.headers.some(([came]) => came === name)));
      }
    });
  }
  for (const connection of upstream.connections) {
    const { headers } = await connection.head();
    assert.ok(!headers.some(([name]) => name === "transfer-encoding"));
  }
  await plane.drain();
  const lines = plane.logged().filter((line) => line["msg"] === "exchange");
  assert.ok(lines.length > 0);
  assert.ok(lines.every((line) => line["outcome"] === "completed"));
});
