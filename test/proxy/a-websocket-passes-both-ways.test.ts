import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { WebSocket } from "ws";
import { FAKE_KEY, openDataPlane, openWithUpstream } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { atRest } from "../support/steady.ts";
import {
  createEcho,
  createWebSocketUpstream,
  openWebSocket,
} from "../support/websocket-upstream.ts";
import { createWireUpstream, openWireClient, SWITCHING, webSocketHead } from "../support/wire.ts";

const PATH = "/openai/v1/realtime";

function sha256(data: Buffer): string {
  return createHash("sha256").update(data).digest("hex");
}

async function next(socket: WebSocket): Promise<{ data: Buffer; isBinary: boolean }> {
  const [data, isBinary] = (await once(socket, "message")) as [Buffer, boolean];
  return { data, isBinary };
}

function bearer(token: string): { headers: Record<string, string> } {
  return { headers: { authorization: `Bearer ${token}` } };
}

describe("a WebSocket passes both ways", () => {
  test("text, binary, large and fragmented messages", async (t) => {
    const upstream = await createEcho();
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const socket = await openWebSocket(`${plane.url}${PATH}?model=gpt`, bearer(plane.token));
    assert.equal(upstream.requests[0]?.headers.authorization, `Bearer ${FAKE_KEY}`);
    assert.equal(upstream.requests[0].url, "/v1/realtime?model=gpt");

    socket.send("häll😀");
    assert.deepEqual(await next(socket), { data: Buffer.from("häll😀"), isBinary: false });
    socket.send(Buffer.from([0, 255, 1]));
    assert.deepEqual(await next(socket), { data: Buffer.from([0, 255, 1]), isBinary: true });
    const large = randomBytes(16 * 1024 * 1024);
    socket.send(large);
    assert.equal(sha256((await next(socket)).data), sha256(large));
    socket.send("one ", { fin: false });
    await delay(20);
    socket.send("two ", { fin: false });
    socket.send("three", { fin: true });
    assert.equal((await next(socket)).data.toString(), "one two three");

    const closed = once(socket, "close");
    socket.close(4321, "enough");
    assert.deepEqual(await closed, [4321, Buffer.from("enough")]);
    const line = await plane.exchange();
    assert.equal(line["outcome"], "completed");
    assert.equal(line["status"], 101);
    assert.equal(line["websocket"], true);
    assert.ok(Number(line["requestBytes"]) > large.length);
    assert.ok(Number(line["responseBytes"]) > large.length);
  });

  test("compressed messages, as the two ends agree", async (t) => {
    const upstream = await createEcho({ perMessageDeflate: { threshold: 0 } });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const socket = await openWebSocket(`${plane.url}${PATH}`, bearer(plane.token));
    assert.match(socket.extensions, /permessage-deflate/);
    socket.send("again and again ".repeat(1000));
    assert.equal((await next(socket)).data.length, 16_000);
    socket.close();
  });

  test("the upstream's close code and reason", async (t) => {
    const upstream = await createWebSocketUpstream((socket) => {
      socket.on("message", () => socket.close(4008, "quota"));
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const socket = await openWebSocket(`${plane.url}${PATH}`, bearer(plane.token));
    socket.send("x");
    assert.deepEqual(await once(socket, "close"), [4008, Buffer.from("quota")]);
    assert.equal((await plane.exchange())["outcome"], "completed");
  });

  test("what the upstream says first, in one packet with its handshake", async (t) => {
    const upstream = await createWireUpstream(({ socket }) => {
      socket.once("data", () => socket.write(`${SWITCHING}\x81\x05hello`, "latin1"));
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(webSocketHead(plane.token, PATH));
    await client.until((bytes) => bytes.endsWith("\r\n\r\n\x81\x05hello"));
    client.socket.destroy();
  });

  test("what a hasty client sends behind its handshake", async (t) => {
    const upstream = await createWireUpstream((it) => {
      void it
        .head()
        .then(() => delay(50))
        .then(() => it.socket.write(SWITCHING));
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(`${webSocketHead(plane.token, PATH)}first`);
    const connection = await upstream.connection();
    await connection.head();
    client.send("second");
    const received = await connection.until((bytes) => bytes.endsWith("second"));
    assert.ok(received.endsWith("\r\n\r\nfirstsecond"));
    client.socket.destroy();
  });

  test("no faster than the receiver takes it", async (t) => {
    const upstream = await createEcho();
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const socket = await openWebSocket(`${plane.url}${PATH}`, bearer(plane.token));
    await eventually(() => upstream.sockets[0] !== undefined);
    upstream.sockets[0]?.pause();
    let sent = 0;
    const block = randomBytes(64 * 1024);
    const total = 1_000;
    const pump = setInterval(() => {
      while (sent < total && socket.bufferedAmount === 0) {
        sent++;
        socket.send(block);
      }
    }, 1);
    t.after(() => clearInterval(pump));
    const stopped = await atRest(() => sent);
    assert.ok(stopped * block.length < 32 * 1024 * 1024, `${stopped} blocks`);
    upstream.sockets[0]?.resume();
    for (let n = 0; n < total; n++) assert.ok((await next(socket)).data.equals(block));
    socket.close();
  });

  test("an idle one stays open", async (t) => {
    const upstream = await createEcho();
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin, {
      X3SPROXY_FIRST_BYTE_TIMEOUT: "300ms",
      X3SPROXY_UPSTREAM_IDLE_TIMEOUT: "300ms",
      X3SPROXY_CLIENT_STALL_TIMEOUT: "300ms",
      X3SPROXY_CLIENT_IDLE_TIMEOUT: "300ms",
    });
    const socket = await openWebSocket(`${plane.url}${PATH}`, bearer(plane.token));
    await delay(1_200);
    socket.send("still there?");
    assert.equal((await next(socket)).data.toString(), "still there?");
    socket.close();
  });

  test("one that is not taken does not stay open for ever", async (t) => {
    const upstream = await createWebSocketUpstream((socket) => {
      const block = randomBytes(256 * 1024);
      for (let n = 0; n < 200; n++) socket.send(block);
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin, {
      X3SPROXY_CLIENT_STALL_TIMEOUT: "500ms",
    });
    const socket = await openWebSocket(`${plane.url}${PATH}`, bearer(plane.token));
    socket.pause();
    assert.equal((await plane.exchange())["outcome"], "client_stalled");
    await eventually(() => upstream.sockets[0]?.readyState === upstream.sockets[0]?.CLOSED);
  });

  test("OpenAI's subprotocol form: the upstream sees realtime and the real key", async (t) => {
    const upstream = await createEcho();
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const protocols = [
      "realtime",
      `openai-insecure-api-key.${plane.token}`,
      "openai-beta.realtime-v1",
    ];
    const socket = await openWebSocket(`${plane.url}${PATH}`, { protocols });
    assert.equal(socket.protocol, "realtime");
    const [request] = upstream.requests;
    assert.equal(request?.headers["sec-websocket-protocol"], "realtime, openai-beta.realtime-v1");
    assert.equal(request.headers.authorization, `Bearer ${FAKE_KEY}`);
    assert.ok(!JSON.stringify(request.rawHeaders).includes("x3sproxy_"));
    socket.close();
  });

  test("Deepgram's form: the client gets the subprotocol that it asked for", async (t) => {
    const upstream = await createEcho();
    t.after(() => upstream.close());
    const plane = await openDataPlane(t, { env: { X3SPROXY_ORIGIN_DEEPGRAM: upstream.origin } });
    const key = "0123456789abcdef0123456789abcdef01234567";
    await plane.save("deepgram", key);
    const token = await plane.deploy();
    const socket = await openWebSocket(`${plane.url}/deepgram/v1/listen`, {
      protocols: ["token", token],
    });
    assert.equal(socket.protocol, "token");
    const [request] = upstream.requests;
    assert.equal(request?.headers["sec-websocket-protocol"], undefined);
    assert.equal(request?.headers.authorization, `Token ${key}`);
    socket.close();
  });

  test("Gemini Live's form: the key leaves the query", async (t) => {
    const upstream = await createEcho();
    t.after(() => upstream.close());
    const plane = await openDataPlane(t, { env: { X3SPROXY_ORIGIN_GEMINI: upstream.origin } });
    const key = "AIzaFAKE-gemini-key-for-tests-00000-3333";
    await plane.save("gemini", key);
    const token = await plane.deploy();
    const path = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";
    const socket = await openWebSocket(`${plane.url}/gemini${path}?key=${token}&alt=x`);
    const [request] = upstream.requests;
    assert.equal(request?.url, `${path}?alt=x`);
    assert.equal(request.headers["x-goog-api-key"], key);
    socket.close();
  });
});
