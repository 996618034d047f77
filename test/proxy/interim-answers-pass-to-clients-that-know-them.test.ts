import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { createWireUpstream, head, openWireClient } from "../support/wire.ts";

const TARGET = "/openai/v1/responses";
const INTERIM =
  "HTTP/1.1 102 Processing\r\n\r\n" +
  "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nSet-Cookie: a=b\r\n\r\n";
const FINAL = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

describe("interim answers pass to clients that know them", () => {
  test("to HTTP/1.1, each as it comes; the final answer is intact", async (t) => {
    const upstream = await createWireUpstream(({ socket }) => {
      socket.on("data", () => socket.write(INTERIM));
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    for (let round = 0; round < 2; round++) {
      client.send(head(plane.token, TARGET));
      assert.equal((await client.answer()).line, "HTTP/1.1 102 Processing");
      const hints = await client.answer();
      assert.equal(hints.status, 103);
      assert.deepEqual(hints.headers, [["Link", "</openai/style.css>; rel=preload"]]);
      (await upstream.connection()).socket.write(FINAL);
      const answer = await client.answer();
      assert.equal(answer.status, 200);
      assert.equal(answer.body, "ok");
    }
  });

  test("not to HTTP/1.0", async (t) => {
    const upstream = await createWireUpstream(({ socket }) => {
      socket.on("data", () => socket.write(INTERIM + FINAL));
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, TARGET, { version: "1.0" }));
    const answer = await client.answer();
    assert.equal(answer.status, 200);
    assert.equal(answer.body, "ok");
  });

  test("and a break after one is a refusal, not a retry", async (t) => {
    let requests = 0;
    const upstream = await createWireUpstream(({ socket }) => {
      socket.on("data", () => {
        if (++requests === 1) socket.write(FINAL);
        else socket.end(INTERIM);
      });
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, TARGET));
    assert.equal((await client.answer()).body, "ok");
    client.send(head(plane.token, TARGET));
    assert.equal((await client.answer()).status, 102);
    assert.equal((await client.answer()).status, 103);
    const answer = await client.answer();
    assert.equal(answer.status, 502);
    assert.equal(answer.header("x3sproxy-refusal"), "upstream_protocol_error");
    assert.equal(requests, 2);
  });
});
