import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { after, before, describe, test, type TestContext } from "node:test";
import { connect as connectTls, TLSSocket, type ConnectionOptions } from "node:tls";
import { WebSocket } from "ws";
import { actorIn } from "../support/actor.ts";
import { createAuthority, type Authority } from "../support/authority.ts";
import { FAKE_KEY, openWithUpstream } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createEcho } from "../support/websocket-upstream.ts";
import {
  createCannedUpstream,
  createWireUpstream,
  head,
  openTlsClient,
  openWireClient,
  type WireUpstream,
} from "../support/wire.ts";

const TARGET = "/openai/v1/responses";
const BEGINNING =
  "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";

let authority: Authority;
before(async () => (authority = await createAuthority()));
after(() => authority.remove());

/** A data plane that speaks TLS, before `upstream`. */
async function open(
  t: TestContext,
  upstream: { origin: string; close(): Promise<void> },
  env: Record<string, string> = {},
) {
  t.after(() => upstream.close());
  const { certFile, keyFile } = await authority.issueFiles();
  const plane = await openWithUpstream(t, upstream.origin, {
    X3SPROXY_TLS_CERT_FILE: certFile,
    X3SPROXY_TLS_KEY_FILE: keyFile,
    ...env,
  });
  const dial = (options: ConnectionOptions = {}) =>
    openTlsClient(plane.port, { ca: authority.certificate, ...options });
  return {
    ...plane,
    dial,
    exchange: () => plane.exchange(),
    logged: () => plane.logged(),
    drain: () => plane.drain(),
  };
}

/** An upstream that begins a streamed answer and leaves it to the test to go on. */
function createStream(): Promise<WireUpstream> {
  return createWireUpstream(({ socket }) => {
    socket.on("data", () => socket.write(BEGINNING));
  });
}

describe("the data plane speaks TLS when it has a certificate", () => {
  test("a call goes up with the real key; each streamed chunk comes when it is sent", async (t) => {
    const upstream = await createStream();
    const { dial, token, exchange } = await open(t, upstream);
    const client = await dial();
    client.send(head(token, TARGET));
    await client.until((bytes) => bytes.includes("hello"));
    const { head: arrived, socket } = await upstream.connection();
    assert.ok((await arrived()).text.includes(`Bearer ${FAKE_KEY}`));
    socket.write("5\r\nagain\r\n");
    await client.until((bytes) => bytes.includes("again"));
    socket.write("0\r\n\r\n");
    assert.equal((await client.answer()).body, "helloagain");
    assert.equal((await exchange())["outcome"], "completed");
  });

  test("one connection serves one request after the other, large bodies both ways", async (t) => {
    const body = "y".repeat(1_000_000);
    const upstream = await createWireUpstream((it) => {
      it.socket.on("data", () => {
        if (!it.received().endsWith("END")) return;
        it.socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
      });
    });
    const { dial, token } = await open(t, upstream);
    const client = await dial();
    for (let i = 0; i < 3; i++) {
      client.send(head(token, TARGET, { method: "POST", headers: ["content-length: 1000003"] }));
      client.send(`${"x".repeat(1_000_000)}END`);
      const answer = await client.answer();
      assert.equal(answer.status, 200);
      assert.equal(answer.body, body);
    }
  });

  test("a WebSocket passes both ways, and ends with the agent", async (t) => {
    const upstream = await createEcho();
    const { port, token, agents, workspaceId, exchange } = await open(t, upstream);
    const socket = new WebSocket(`wss://127.0.0.1:${port}/openai/v1/realtime`, {
      headers: { authorization: `Bearer ${token}` },
      ca: authority.certificate,
    });
    await once(socket, "open");
    socket.send("hello");
    assert.equal(String((await once(socket, "message"))[0]), "hello");
    assert.equal(upstream.requests[0]?.headers.authorization, `Bearer ${FAKE_KEY}`);
    const closed = once(socket, "close");
    socket.on("error", () => undefined);
    await agents.destroy(actorIn(workspaceId), "agent");
    await closed;
    assert.equal((await exchange())["outcome"], "cut");
  });

  test("TLS 1.2, plain HTTP and what is no TLS are turned away, and the service goes on", async (t) => {
    const { port, dial, token, logged } = await open(
      t,
      await createCannedUpstream("HTTP/1.1 204 No Content\r\n\r\n"),
    );
    const old = connectTls({
      ...{ port, host: "127.0.0.1", ca: authority.certificate },
      maxVersion: "TLSv1.2",
    });
    await assert.rejects(once(old, "secureConnect"), /alert|protocol version|ECONNRESET/);
    for (const bytes of [head(token, TARGET), "\0".repeat(100)]) {
      const plain = await openWireClient(port);
      plain.send(bytes);
      await plain.ended();
      assert.ok(!plain.received().startsWith("HTTP/"), "nothing is said in plain");
      assert.ok(!plain.received().includes("x3sproxy"));
    }
    const client = await dial();
    client.send(head(token, TARGET));
    assert.equal((await client.answer()).status, 204);
    assert.ok(client.socket instanceof TLSSocket);
    assert.equal(client.socket.getProtocol(), "TLSv1.3");
    const exchanges = logged().filter((line) => line["msg"] === "exchange");
    assert.ok(exchanges.length <= 1, "only the call that was one");
  });

  test("HTTP/1.1 is what is agreed on, also with a client that would rather speak HTTP/2", async (t) => {
    const { port } = await open(t, await createStream());
    const socket = connectTls({
      ...{ port, host: "127.0.0.1", ca: authority.certificate },
      ALPNProtocols: ["h2", "http/1.1"],
    });
    await once(socket, "secureConnect");
    assert.equal(socket.alpnProtocol, "http/1.1");
    socket.destroy();
  });

  for (const [how, leave] of [
    ["by a reset", (socket) => socket.destroy()],
    ["by ending its side", (socket) => socket.end()],
  ] as const satisfies [string, (socket: Socket) => unknown][]) {
    test(`a client that leaves in the middle of a stream, ${how}, ends the upstream call`, async (t) => {
      const upstream = await createStream();
      const { dial, token, exchange, metrics } = await open(t, upstream);
      const client = await dial();
      client.send(head(token, TARGET));
      await client.until((bytes) => bytes.includes("hello"));
      const closed = once((await upstream.connection()).socket, "close");
      leave(client.socket);
      await closed.catch(() => undefined);
      assert.equal((await exchange())["outcome"], "client_left");
      assert.equal((await metrics.openExchanges.get()).values[0]?.value, 0);
    });
  }

  test("a client whose network is cut off without a word is noticed, too", async (t) => {
    const upstream = await createStream();
    const { port, token, exchange } = await open(t, upstream);
    const carrier = connect(port, "127.0.0.1");
    const socket = connectTls({ socket: carrier, ca: authority.certificate, host: "127.0.0.1" });
    socket.on("error", () => undefined);
    await once(socket, "secureConnect");
    socket.write(head(token, TARGET));
    await once(socket, "data");
    carrier.resetAndDestroy(); // no close_notify
    await once((await upstream.connection()).socket, "close").catch(() => undefined);
    assert.equal((await exchange())["outcome"], "client_left");
  });

  test("an answer that breaks off never looks whole: without a length it is reset", async (t) => {
    const upstream = await createWireUpstream(({ socket }) => {
      socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\n\r\nhello"));
    });
    const { dial, token, exchange } = await open(t, upstream);
    const client = await dial();
    client.send(head(token, TARGET));
    await client.until((bytes) => bytes.includes("hello"));
    (await upstream.connection()).socket.resetAndDestroy();
    assert.equal(await client.ended(), "reset");
    assert.equal((await exchange())["outcome"], "upstream_broke");
  });

  test("an answer that breaks off never looks whole: in chunks its last one never comes", async (t) => {
    const upstream = await createStream();
    const { dial, token, exchange } = await open(t, upstream);
    const client = await dial();
    client.send(head(token, TARGET));
    await client.until((bytes) => bytes.includes("hello"));
    (await upstream.connection()).socket.destroy();
    await client.ended();
    assert.ok(client.received().endsWith("hello\r\n"));
    assert.equal((await exchange())["outcome"], "upstream_broke");
  });

  test("an answer that ends with its connection, in good order, is whole", async (t) => {
    const upstream = await createWireUpstream(({ socket }) => {
      socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\n\r\nhello"));
    });
    const { dial, token } = await open(t, upstream);
    const client = await dial();
    client.send(head(token, TARGET));
    assert.equal((await client.answer()).body, "hello");
    assert.equal(await client.ended(), "fin");
  });

  test("CONNECT and what is no HTTP are refused within TLS, also behind an answer under way", async (t) => {
    const upstream = await createWireUpstream(({ socket }) => {
      socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\n\r\nhello"));
    });
    const { dial, token } = await open(t, upstream);
    const connecting = await dial();
    connecting.send("CONNECT example.com:443 HTTP/1.1\r\nhost: example.com\r\n\r\n");
    assert.equal((await connecting.answer()).status, 405);
    await connecting.ended();
    const nonsense = await dial();
    nonsense.send("\0\0\0\0\r\n\r\n");
    assert.equal((await nonsense.answer()).status, 400);
    await nonsense.ended();
    const streaming = await dial();
    streaming.send(head(token, TARGET));
    await streaming.until((bytes) => bytes.includes("hello"));
    streaming.send("\0\0\0\0\r\n\r\n");
    assert.equal(await streaming.ended(), "reset");
    assert.ok(streaming.received().endsWith("hello"));
  });

  test("draining lets an open stream end, closes idle connections and handshakes that go nowhere", async (t) => {
    const upstream = await createStream();
    const { port, dial, token, drain, exchange } = await open(t, upstream, {
      X3SPROXY_DRAIN_TIMEOUT: "20s",
    });
    const silent = await openWireClient(port);
    const idle = await dial();
    const client = await dial();
    client.send(head(token, TARGET));
    await client.until((bytes) => bytes.includes("hello"));
    const startMs = performance.now();
    const drained = drain();
    await idle.ended();
    const late = connect(port, "127.0.0.1");
    await assert.rejects(once(late, "connect"));
    (await upstream.connection()).socket.write("5\r\nagain\r\n0\r\n\r\n");
    assert.equal((await client.answer()).body, "helloagain");
    assert.equal(await client.ended(), "fin");
    await drained;
    await silent.ended();
    assert.ok(performance.now() - startMs < 5_000);
    assert.equal((await exchange())["outcome"], "completed");
  });

  test("what is still open at the deadline is cut", async (t) => {
    const upstream = await createStream();
    const { dial, token, drain, logged } = await open(t, upstream, {
      X3SPROXY_DRAIN_TIMEOUT: "300ms",
    });
    const client = await dial();
    client.send(head(token, TARGET));
    await client.until((bytes) => bytes.includes("hello"));
    await drain();
    await assert.rejects(client.answer());
    await eventually(() => upstream.connections.every(({ socket }) => socket.destroyed));
    assert.partialDeepStrictEqual(
      logged().filter((line) => line["msg"] === "exchange"),
      [{ outcome: "cut" }],
    );
  });
});
