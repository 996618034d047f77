// An upstream that sends interim answers without end fills the memory, or keeps a call open for nothing.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { test } from "node:test";
import { UpstreamSocket } from "../../src/proxy/upstream-socket.ts";
import { openWithUpstream } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createWireUpstream, head, openWireClient, webSocketHead } from "../support/wire.ts";

const TARGET = "/openai/v1/chat/completions";
/** More than what the system keeps between two sockets, and far less than what a second of it would be. */
const MAX_TAKEN = 32 * 1024 * 1024;

const FLOODS: Record<string, string> = {
  "early hints": "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n",
  "large ones": `HTTP/1.1 103 Early Hints\r\nx-large: ${"x".repeat(30_000)}\r\n\r\n`,
  "100 Continue": "HTTP/1.1 100 Continue\r\n\r\n",
  "an unknown status": "HTTP/1.1 199 Odd\r\n\r\n",
  "line ends before each": "\r\nHTTP/1.1 103 Early Hints\r\n\r\n",
  "another version": "HTTP/1.0 103 Early Hints\r\n\r\n",
};

const CLIENTS: Record<
  string,
  { bytes: (token: string, listed: string) => string; reads: boolean }
> = {
  "a client that reads": { bytes: (token) => head(token, TARGET), reads: true },
  "a client that does not read": { bytes: (token) => head(token, TARGET), reads: false },
  "an HTTP/1.0 client": {
    bytes: (token) => head(token, TARGET, { version: "1.0" }),
    reads: true,
  },
  "a WebSocket's handshake": {
    bytes: (token) => webSocketHead(token, "/openai/v1/realtime"),
    reads: true,
  },
  "a client whose body has yet to pass its check": {
    bytes: (_, listed) =>
      head(listed, TARGET, {
        method: "POST",
        headers: ["content-type: application/json", "content-length: 400000"],
      }) + '{"input":"',
    reads: true,
  },
};

/** Writes `bytes` again and again, as fast as they are taken. */
function flood(socket: Socket, bytes: string): void {
  const block = Buffer.from(bytes.repeat(Math.ceil(65_536 / bytes.length)));
  const more = (): void => {
    while (!socket.destroyed && socket.write(block));
  };
  socket.on("drain", more);
  more();
}

test("a flood of interim answers ends its call soon, whoever waits for the answer", async (t) => {
  let bytes = "";
  const upstream = await createWireUpstream(({ socket }) => {
    socket.once("data", () => flood(socket, bytes));
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const listed = await plane.deploy("listed", { models: ["gpt-5"] });
  for (const [what, answer] of Object.entries(FLOODS)) {
    for (const [who, kind] of Object.entries(CLIENTS)) {
      await t.test(`${what}, ${who}`, async () => {
        bytes = answer;
        upstream.connections.length = 0;
        const before = plane.logged().length;
        const client = await openWireClient(plane.port);
        if (!kind.reads) client.socket.pause();
        client.send(kind.bytes(plane.token, listed));
        const { socket } = await upstream.connection();
        const taken = (): number => socket.bytesWritten - socket.writableLength;
        await eventually(() => socket.destroyed || taken() > MAX_TAKEN);
        assert.ok(taken() <= MAX_TAKEN, `${taken()} bytes were taken`);
        const line = await eventually(() =>
          plane.logged().find((one, at) => at >= before && one["path"] !== undefined),
        );
        assert.equal(line["reason"], "upstream_protocol_error");
        if (kind.reads) {
          await client.until((text) => text.includes("x3sproxy-refusal"));
          const text = client.received();
          assert.match(text, /HTTP\/1\.1 502 Bad Gateway\r\n/);
          assert.ok(text.length < 300_000);
          assert.ok(text.split("HTTP/1.1 1").length <= 257, "at most 256 of them");
        }
        client.socket.destroy();
      });
    }
  }
});

test("while the client is slow, the upstream's interim answers stay in the network", async (t) => {
  const server = createServer();
  t.after(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [peer] = (await once(server, "connection")) as [Socket];
  await once(socket, "connect");
  t.after(() => {
    socket.destroy();
    peer.destroy();
  });
  const upstream = new UpstreamSocket(socket);
  const heads: string[] = [];
  socket.on("readable", () => {
    for (let chunk; (chunk = socket.read() as Buffer | null) !== null;) {
      heads.push(chunk.toString("latin1"));
      upstream.hold();
    }
  });
  const hint = (n: number): string => `HTTP/1.1 103 Early Hints\r\nx-number: ${n}\r\n\r\n`;
  peer.write(Array.from({ length: 20 }, (_, n) => hint(n)).join(""));
  for (let n = 0; n < 20; n++) {
    await eventually(() => heads.length > n);
    assert.deepEqual(
      heads,
      Array.from({ length: n + 1 }, (_, at) => hint(at)),
    );
    upstream.release();
  }
  peer.end("HTTP/1.1 200 OK\r\n\r\n");
  await eventually(() => heads.length === 21);
  assert.equal(heads[20], "HTTP/1.1 200 OK\r\n\r\n");
});
