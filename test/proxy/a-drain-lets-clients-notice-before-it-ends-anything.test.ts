// A load balancer needs a moment to see that a process is not ready, a client to see that its connection ends. What neither may see
// is an answer that looks whole and is not.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createWebSocketUpstream, openWebSocket } from "../support/websocket-upstream.ts";
import {
  createCannedUpstream,
  createWireUpstream,
  head,
  openWireClient,
  type WireUpstream,
} from "../support/wire.ts";

const TARGET = "/openai/v1/responses";
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const BEGINNING = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
const END = "5\r\nagain\r\n0\r\n\r\n";

async function openPlane(t: TestContext, upstream: WireUpstream, env: Record<string, string>) {
  t.after(() => upstream.close());
  return openWithUpstream(t, upstream.origin, { X3SPROXY_DRAIN_TIMEOUT: "20s", ...env });
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  const [event] = await Promise.race([
    once(socket, "connect").then(() => [true]),
    once(socket, "close").then(() => [false]),
  ]).catch(() => [false]);
  socket.destroy();
  return event === true;
}

/** An upstream that begins an answer and waits. */
const createSlowUpstream = (beginning = BEGINNING): Promise<WireUpstream> =>
  createWireUpstream(({ socket, received }) => {
    socket.on("data", () => {
      const last = received().slice(received().lastIndexOf("GET "));
      socket.write(last.startsWith("GET /v1/short ") ? OK : beginning);
    });
  });

describe("a drain lets clients notice before it ends anything", () => {
  test("during its delay new connections are served, each answer ends its connection; then there are none", async (t) => {
    const plane = await openPlane(t, await createCannedUpstream(OK), {
      X3SPROXY_DRAIN_DELAY: "1s",
    });
    const kept = await openWireClient(plane.port);
    kept.send(head(plane.token, TARGET));
    assert.equal((await kept.answer()).header("connection"), "keep-alive");
    const idle = await openWireClient(plane.port);
    const startMs = performance.now();
    const drained = plane.drain();
    for (const client of [kept, await openWireClient(plane.port)]) {
      client.send(head(plane.token, TARGET));
      const answer = await client.answer();
      assert.equal(answer.body, "ok");
      assert.equal(answer.header("connection"), "close");
      assert.equal(await client.ended(), "fin");
    }
    await idle.ended();
    assert.ok(performance.now() - startMs >= 990, "an idle connection is kept as long");
    assert.equal(await accepts(plane.port), false);
    await drained;
  });

  test("an answer that has not begun yet ends its connection, too", async (t) => {
    const upstream = await createWireUpstream();
    const plane = await openPlane(t, upstream, { X3SPROXY_DRAIN_DELAY: "1s" });
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, TARGET));
    const connection = await upstream.connection();
    await connection.head();
    void plane.drain();
    connection.socket.write(OK);
    assert.equal((await client.answer()).header("connection"), "close");
    assert.equal(await client.ended(), "fin");
    await plane.exchange((line) => line["outcome"] === "completed");
  });

  test("a connection that was promised to be kept takes one more request", async (t) => {
    const upstream = await createSlowUpstream();
    const plane = await openPlane(t, upstream, { X3SPROXY_DRAIN_DELAY: "1ms" });
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, TARGET));
    await client.until((bytes) => bytes.includes("hello"));
    const drained = plane.drain();
    await eventually(async () => !(await accepts(plane.port)));
    (await upstream.connection()).socket.write(END);
    const first = await client.answer();
    assert.equal(first.body, "helloagain");
    assert.equal(first.header("connection"), "keep-alive");
    client.send(head(plane.token, "/openai/v1/short"));
    const second = await client.answer();
    assert.equal(second.body, "ok");
    assert.equal(second.header("connection"), "close");
    assert.equal(await client.ended(), "fin");
    await drained;
  });

  for (const [title, beginning, version, end] of [
    ["in chunks", BEGINNING, "1.1", undefined],
    ["with a length", "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello", "1.1", undefined],
    ["that ends with its connection", "HTTP/1.1 200 OK\r\n\r\nhello", "1.1", "reset"],
    ["in chunks, to a client of HTTP/1.0", BEGINNING, "1.0", "reset"],
  ] as const) {
    test(`an answer ${title} that is cut does not look whole`, async (t) => {
      const plane = await openPlane(t, await createSlowUpstream(beginning), {
        X3SPROXY_DRAIN_TIMEOUT: "100ms",
      });
      const client = await openWireClient(plane.port);
      client.send(head(plane.token, TARGET, { version }));
      await client.until((bytes) => bytes.includes("hello"));
      await plane.drain();
      const how = await client.ended();
      if (end !== undefined) assert.equal(how, end);
      assert.ok(client.received().trimEnd().endsWith("hello"));
      const line = await plane.exchange();
      assert.equal(line["outcome"], "cut");
      assert.equal(line["cutBy"], "stopping");
    });
  }

  test("a client that is still sending its body gets to read why it is cut", async (t) => {
    const plane = await openPlane(t, await createWireUpstream(), {
      X3SPROXY_DRAIN_TIMEOUT: "300ms",
    });
    const client = await openWireClient(plane.port, true);
    const headers = ["content-length: 100000000"];
    client.send(head(plane.token, TARGET, { method: "POST", headers }));
    const sending = setInterval(() => client.send(Buffer.alloc(16 * 1024)), 5);
    t.after(() => clearInterval(sending));
    await eventually(async () => (await plane.metrics.openExchanges.get()).values[0]?.value === 1);
    const drained = plane.drain();
    const answer = await client.answer();
    assert.equal(answer.status, 503);
    assert.equal(answer.header("x3sproxy-refusal"), "stopping");
    assert.equal(answer.header("connection"), "close");
    assert.equal(await client.ended(), "fin");
    clearInterval(sending);
    client.socket.end();
    await drained;
    const line = await plane.exchange();
    assert.deepEqual([line["outcome"], line["reason"]], ["refused", "stopping"]);
  });

  test("a WebSocket in the middle of a message gets the rest of it, then its close code", async (t) => {
    const upstream = await createWebSocketUpstream(() => undefined);
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin, { X3SPROXY_DRAIN_TIMEOUT: "100ms" });
    const client = await openWebSocket(`${plane.url}/openai/v1/realtime`, {
      headers: { authorization: `Bearer ${plane.token}` },
    });
    const messages: string[] = [];
    client.on("message", (data: Buffer) => messages.push(data.toString()));
    const text = "0123456789".repeat(100);
    // As one frame, whose length takes two bytes.
    const frame = Buffer.concat([Buffer.from([0x81, 126, 0x03, 0xe8]), Buffer.from(text)]);
    const [accepted] = upstream.sockets;
    const raw = (accepted as unknown as { _socket: NodeJS.WritableStream })._socket;
    raw.write(Buffer.concat([frame, frame.subarray(0, 3)]));
    await eventually(() => messages.length === 1);
    const closed = once(client, "close") as Promise<[number]>;
    const drained = plane.drain();
    await eventually(async () => !(await accepts(plane.port)));
    const startMs = performance.now();
    await eventually(() => performance.now() - startMs > 300); // its grace is over by then, which nobody can see yet
    raw.write(Buffer.concat([frame.subarray(3), frame]));
    assert.equal((await closed)[0], 1001);
    assert.deepEqual(messages, [text, text]);
    await drained;
    const line = await plane.exchange();
    assert.deepEqual([line["outcome"], line["cutBy"]], ["cut", "stopping"]);
    assert.equal(line["responseBytes"], 2 * frame.length);
  });

  test("one whose message never gets whole is ended without a close code", async (t) => {
    const upstream = await createWebSocketUpstream(() => undefined);
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin, { X3SPROXY_DRAIN_TIMEOUT: "100ms" });
    const client = await openWebSocket(`${plane.url}/openai/v1/realtime`, {
      headers: { authorization: `Bearer ${plane.token}` },
    });
    const [accepted] = upstream.sockets;
    (accepted as unknown as { _socket: NodeJS.WritableStream })._socket.write(
      Buffer.from([0x81, 5, 0x68]),
    );
    const pinged = once(client, "close") as Promise<[number]>;
    const startMs = performance.now();
    await plane.drain();
    assert.equal((await pinged)[0], 1006);
    assert.ok(performance.now() - startMs < 4000);
  });
});
