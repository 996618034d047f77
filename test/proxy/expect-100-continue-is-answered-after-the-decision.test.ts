import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { createCannedUpstream, createWireUpstream, head, openWireClient } from "../support/wire.ts";

const TARGET = "/openai/v1/files";
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

function expecting(token: string, expectation: string, version = "1.1"): string {
  const headers = ["content-length: 5", `Expect: ${expectation}`];
  return head(token, TARGET, { method: "POST", version, headers });
}

describe("Expect: 100-continue is answered after the decision", () => {
  test("an allowed request gets 100, then its answer; the expectation does not go up", async (t) => {
    const upstream = await createWireUpstream((it) => {
      it.socket.on("data", () => {
        if (it.received().endsWith("hello")) it.socket.write(OK);
      });
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    for (let round = 0; round < 2; round++) {
      client.send(expecting(plane.token, "100-Continue"));
      assert.equal((await client.answer()).line, "HTTP/1.1 100 Continue");
      client.send("hello");
      const answer = await client.answer();
      assert.equal(answer.status, 200);
      assert.equal(answer.body, "ok");
    }
    const { headers } = await (await upstream.connection()).head();
    assert.ok(!headers.some(([name]) => name === "expect"));
  });

  test("a refused one gets no 100, and its connection ends: what follows may be a body or not", async (t) => {
    const upstream = await createWireUpstream();
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(expecting(`x3sproxy_${"a".repeat(32)}`, "100-continue"));
    const answer = await client.answer();
    assert.equal(answer.status, 401);
    assert.equal(answer.header("connection"), "close");
    assert.equal(await client.ended(), "fin");
    assert.equal(upstream.connections.length, 0);
  });

  test("the upstream's own 417 passes", async (t) => {
    const upstream = await createCannedUpstream(
      "HTTP/1.1 417 Expectation Failed\r\ncontent-length: 2\r\n\r\nno",
    );
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(expecting(plane.token, "100-continue"));
    assert.equal((await client.answer()).status, 100);
    client.send("hello");
    const answer = await client.answer();
    assert.equal(answer.status, 417);
    assert.equal(answer.header("x3sproxy-refusal"), undefined);
    assert.equal(answer.body, "no");
  });

  test("any other expectation is refused with 417", async (t) => {
    const upstream = await createWireUpstream();
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(expecting(plane.token, "a-miracle"));
    const answer = await client.answer();
    assert.equal(answer.status, 417);
    assert.equal(answer.header("x3sproxy-refusal"), "expectation_failed");
    assert.equal(await client.ended(), "fin");
    assert.equal(upstream.connections.length, 0);
  });

  test("an HTTP/1.0 client's expectation is ignored (RFC 9110, 10.1.1)", async (t) => {
    const upstream = await createCannedUpstream(OK);
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(expecting(plane.token, "100-continue", "1.0") + "hello");
    assert.equal((await client.answer()).status, 200);
  });
});
