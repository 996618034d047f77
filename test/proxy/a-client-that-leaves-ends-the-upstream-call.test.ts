import assert from "node:assert/strict";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { once } from "node:events";
import { describe, test } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { openWithUpstream, type DataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { asChunk, flood } from "../support/flood.ts";
import { atRest } from "../support/steady.ts";
import { createWireUpstream, head, openWireClient, type WireClient } from "../support/wire.ts";

const AT_ONCE_MS = 50;
const SSE =
  "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
const TARGET = "/openai/v1/responses";

async function openExchanges(plane: DataPlane): Promise<number | undefined> {
  return (await plane.metrics.openExchanges.get()).values[0]?.value;
}

async function leaves(client: WireClient, upstream: Socket, plane: DataPlane): Promise<void> {
  const closed = once(upstream, "close");
  const leftAtMs = performance.now();
  client.socket.destroy();
  await closed.catch(() => undefined);
  const tookMs = performance.now() - leftAtMs;
  assert.ok(tookMs < AT_ONCE_MS, `${tookMs} ms`);
  assert.equal((await plane.exchange())["outcome"], "client_left");
  assert.equal(await openExchanges(plane), 0);
}

describe("a client that leaves ends the upstream call", () => {
  test("while it waits for the first byte", async (t) => {
    const upstream = await createWireUpstream();
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, TARGET));
    const { socket, head: arrived } = await upstream.connection();
    await arrived();
    await leaves(client, socket, plane);
  });

  test("in the middle of a stream", async (t) => {
    const upstream = await createWireUpstream(({ socket }) => {
      socket.on("data", () => socket.write(SSE));
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, TARGET));
    await client.until((bytes) => bytes.includes("hello"));
    await leaves(client, (await upstream.connection()).socket, plane);
  });

  test("by ending its side of the connection, in the middle of a stream", async (t) => {
    const upstream = await createWireUpstream(({ socket }) => {
      socket.on("data", () => socket.write(SSE));
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, TARGET));
    await client.until((bytes) => bytes.includes("hello"));
    const closed = once((await upstream.connection()).socket, "close");
    client.socket.end();
    await closed;
    assert.equal((await plane.exchange())["outcome"], "client_left");
  });

  for (const framing of ["content-length: 1000000", "transfer-encoding: chunked"]) {
    test(`in the middle of its upload (${framing})`, async (t) => {
      const upstream = await createWireUpstream();
      t.after(() => upstream.close());
      const plane = await openWithUpstream(t, upstream.origin);
      const client = await openWireClient(plane.port);
      client.send(head(plane.token, TARGET, { method: "POST", headers: [framing] }));
      client.send("5\r\nhello\r\n");
      const { socket, until } = await upstream.connection();
      await until((bytes) => bytes.includes("hello"));
      await leaves(client, socket, plane);
    });
  }

  test("before the end of a small body: nothing is sent at all", async (t) => {
    const upstream = await createWireUpstream();
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, TARGET, { method: "POST", headers: ["content-length: 10"] }));
    client.send("hello");
    client.socket.end();
    assert.equal((await plane.exchange())["outcome"], "client_left");
    assert.equal(upstream.connections.length, 0);
  });

  test("while it does not read what comes", async (t) => {
    let sent = (): number => 0;
    const upstream = await createWireUpstream(({ socket }) => {
      socket.once("data", () => {
        socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        const flooding = flood(socket, 100 * 1024 * 1024, () => undefined, asChunk);
        sent = () => flooding.sent;
      });
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.socket.pause();
    client.send(head(plane.token, TARGET));
    await atRest(() => sent());
    await leaves(client, (await upstream.connection()).socket, plane);
  });

  // Nobody can see the end of a connection behind bytes that nobody takes.
  test("while the upstream does not read its upload: as soon as it reads on", async (t) => {
    const upstream = await createWireUpstream(({ socket }) => {
      socket.once("data", () => socket.pause());
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    const headers = ["content-length: 100000000"];
    client.send(head(plane.token, TARGET, { method: "POST", headers }));
    const flooding = flood(client.socket, 100_000_000, () => undefined);
    await atRest(() => flooding.sent);
    client.socket.resetAndDestroy();
    const { socket } = await upstream.connection();
    socket.resume();
    await once(socket, "close").catch(() => undefined);
    assert.equal((await plane.exchange())["outcome"], "client_left");
  });

  test("in the middle of an upload that nobody takes: the service goes on", async (t) => {
    const upstream = await createWireUpstream(({ socket }) => {
      socket.on("data", () => socket.write("HTTP/1.1 204 No Content\r\n\r\n"));
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin, {
      X3SPROXY_ORIGIN_GROQ: "http://127.0.0.1:1",
      X3SPROXY_ORIGIN_MISTRAL: "https://127.0.0.1:1",
    });
    await plane.save("groq", "gsk_FAKE0123456789012345678901234567890123456789012345");
    await plane.save("mistral", "FAKEmistral0123456789abcdefghijkl");
    for (const provider of ["groq", "mistral", "openai"]) {
      const client = await openWireClient(plane.port);
      const headers = ["transfer-encoding: chunked"];
      client.send(head(plane.token, `/${provider}/v1/files`, { method: "POST", headers }));
      client.send("5\r\nhello\r\n");
      await client.answer();
      client.send("5\r\nhello\r\n");
      client.socket.resetAndDestroy();
    }
    const { status } = await fetch(`${plane.url}${TARGET}`, {
      headers: { authorization: `Bearer ${plane.token}` },
    });
    assert.equal(status, 204);
  });

  test("while the upstream is being connected to", async (t) => {
    const accepted: Socket[] = [];
    const silent = createServer((socket) => accepted.push(socket)).listen(0, "127.0.0.1");
    await once(silent, "listening");
    t.after(() => {
      for (const socket of accepted) socket.destroy();
      silent.close();
    });
    const { port } = silent.address() as AddressInfo;
    const plane = await openWithUpstream(t, `https://127.0.0.1:${port}`);
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, TARGET));
    await once(silent, "connection");
    client.socket.destroy();
    assert.equal((await plane.exchange())["outcome"], "client_left");
  });

  test("while its token is being looked up: nothing is sent at all", async (t) => {
    const upstream = await createWireUpstream();
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    await withOwner(plane.ownerUrl, (sql) =>
      sql.begin(async (transaction) => {
        await transaction`lock table x3sproxy.agents in access exclusive mode`;
        client.send(head(plane.token, TARGET));
        await eventually(async () => (await openExchanges(plane)) === 1);
        client.socket.destroy();
      }),
    );
    assert.equal((await plane.exchange())["outcome"], "client_left");
    assert.equal(upstream.connections.length, 0);
  });
});
