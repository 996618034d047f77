import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, test } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { flood } from "../support/flood.ts";
import { createEcho, openWebSocket } from "../support/websocket-upstream.ts";
import { createWireUpstream, head, openWireClient, webSocketHead } from "../support/wire.ts";

const TARGET = "/openai/v1/responses";
const BEGINNING = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";

async function refusesConnections(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return false;
  } catch {
    return true;
  } finally {
    socket.destroy();
  }
}

describe("draining lets open exchanges end, then cuts them", () => {
  test("an open stream may end; nothing new is taken; idle connections are closed", async (t) => {
    const upstream = await createWireUpstream(({ socket }) => {
      socket.on("data", () => socket.write(BEGINNING));
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin, { X3SPROXY_DRAIN_TIMEOUT: "20s" });
    const idle = await openWireClient(plane.port);
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, TARGET));
    await client.until((bytes) => bytes.includes("hello"));
    const startMs = performance.now();
    const drained = plane.drain();
    await idle.ended();
    assert.ok(await refusesConnections(plane.port));
    const { socket } = await upstream.connection();
    socket.write("5\r\nagain\r\n0\r\n\r\n");
    assert.equal((await client.answer()).body, "helloagain");
    await client.ended();
    await drained;
    assert.ok(performance.now() - startMs < 5_000);
    assert.equal((await plane.exchange())["outcome"], "completed");
  });

  test("a request on a kept connection is still served, and ends that connection", async (t) => {
    const upstream = await createWireUpstream(({ socket }) => {
      socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin, { X3SPROXY_DRAIN_TIMEOUT: "20s" });
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, TARGET, { method: "POST", headers: ["content-length: 4"] }));
    await eventually(async () => (await plane.metrics.openExchanges.get()).values[0]?.value === 1);
    const drained = plane.drain();
    // The second is pipelined behind the first, so that its connection is not idle in between.
    client.send(`body${head(plane.token, TARGET)}`);
    assert.equal((await client.answer()).body, "ok");
    const second = await client.answer();
    assert.equal(second.body, "ok");
    assert.equal(second.header("connection"), "close");
    assert.equal(await client.ended(), "fin");
    await drained;
  });

  test("what is still open at the deadline is cut, visibly, and logged so", async (t) => {
    const upstream = await createWireUpstream((it) => {
      it.socket.on("data", () => {
        if (!it.received().includes("silent")) it.socket.write(BEGINNING);
      });
    });
    t.after(() => upstream.close());
    const echo = await createEcho();
    t.after(() => echo.close());
    const plane = await openWithUpstream(t, upstream.origin, {
      X3SPROXY_DRAIN_TIMEOUT: "300ms",
      X3SPROXY_ORIGIN_GROQ: echo.origin,
    });
    await plane.save("groq", "gsk_FAKE0123456789012345678901234567890123456789012345");
    const streaming = await openWireClient(plane.port);
    streaming.send(head(plane.token, TARGET));
    await streaming.until((bytes) => bytes.includes("hello"));
    const waiting = await openWireClient(plane.port);
    waiting.send(head(plane.token, "/openai/v1/silent"));
    const webSocket = await openWebSocket(`${plane.url}/groq/v1/realtime`, {
      headers: { authorization: `Bearer ${plane.token}` },
    });
    const handshaking = await openWireClient(plane.port);
    handshaking.send(webSocketHead(plane.token, "/openai/v1/silent"));
    await eventually(() => upstream.connections.length === 3);
    const closed = once(webSocket, "close") as Promise<[number]>;

    await plane.drain();

    await assert.rejects(streaming.answer());
    assert.equal((await closed)[0], 1001);
    for (const client of [waiting, handshaking]) {
      const answer = await client.answer();
      assert.equal(answer.status, 503);
      assert.equal(answer.header("x3sproxy-refusal"), "stopping");
      assert.equal(answer.header("connection"), "close");
      await client.ended();
    }
    await eventually(() => upstream.connections.every(({ socket }) => socket.destroyed));
    const outcomes = plane
      .logged()
      .filter((line) => line["msg"] === "exchange")
      .map((line) => line["outcome"])
      .sort();
    assert.deepEqual(outcomes, ["cut", "cut", "refused", "refused"]);
    assert.equal((await plane.metrics.openExchanges.get()).values[0]?.value, 0);
  });

  test("a client that takes nothing does not hold it up", async (t) => {
    const upstream = await createWireUpstream(({ socket }) => {
      socket.once("data", () => {
        socket.write("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n");
        flood(socket, 100_000_000, () => undefined);
      });
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin, { X3SPROXY_DRAIN_TIMEOUT: "300ms" });
    const client = await openWireClient(plane.port);
    client.socket.pause();
    client.send(head(plane.token, TARGET));
    await (await upstream.connection()).head();
    const startMs = performance.now();
    await plane.drain();
    assert.ok(performance.now() - startMs < 2_000);
    assert.equal((await plane.exchange())["outcome"], "cut");
  });
});
