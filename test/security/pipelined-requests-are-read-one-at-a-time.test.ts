import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { after, before, describe, test, type TestContext } from "node:test";
import { createAuthority, type Authority } from "../support/authority.ts";
import { openWithUpstream, type DataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { heldMb } from "../support/flood.ts";
import { atRest } from "../support/steady.ts";
import {
  createWireUpstream,
  head,
  openTlsClient,
  openWireClient,
  webSocketHead,
  type WireClient,
  type UpstreamConnection,
  type WireUpstream,
} from "../support/wire.ts";

const TARGET = "/openai/v1/responses";
const HANDED_OVER = "http.server.request.start";
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const FLOOD_BYTES = 16 * 1024 * 1024;
const PIECE_BYTES = 64 * 1024;
// What the systems on both ends of a loopback connection may have taken without anybody reading.
const IN_BUFFERS_BYTES = 12 * 1024 * 1024;

let authority: Authority;
before(async () => (authority = await createAuthority()));
after(() => authority.remove());

const WAYS = {
  plainly: async (plane: DataPlane) => openWireClient(plane.port),
  "over TLS": async (plane: DataPlane) => openTlsClient(plane.port, { ca: authority.certificate }),
};

async function open(t: TestContext, way: string) {
  let isSlow = true;
  const upstream = await createWireUpstream(({ socket }) => {
    socket.on("data", () => {
      if (!isSlow) socket.write(OK);
    });
  });
  t.after(() => upstream.close());
  const { certFile, keyFile } = await authority.issueFiles();
  const tls = { X3SPROXY_TLS_CERT_FILE: certFile, X3SPROXY_TLS_KEY_FILE: keyFile };
  const plane = await openWithUpstream(t, upstream.origin, way === "plainly" ? {} : tls);
  /** Answers what has come, and from now on all that comes. */
  const answer = ({ socket }: UpstreamConnection): void => {
    isSlow = false;
    socket.write(OK);
  };
  return { upstream, plane, answer };
}

/** Counts the requests that Node's parser hands over in this process. */
function countHandedOver(t: TestContext): () => number {
  let count = 0;
  const add = (): void => {
    count++;
  };
  subscribe(HANDED_OVER, add);
  t.after(() => unsubscribe(HANDED_OVER, add));
  return () => count;
}

/** Sends `request` again and again, as fast as it is taken. */
function floodWith(client: WireClient, request: string): { taken(): number } {
  const piece = Buffer.from(request.repeat(Math.ceil(PIECE_BYTES / request.length)), "latin1");
  let taken = 0;
  const write = (): void => {
    while (taken < FLOOD_BYTES && !client.socket.destroyed) {
      taken += piece.length;
      if (client.socket.write(piece)) continue;
      client.socket.once("drain", write);
      return;
    }
  };
  write();
  return { taken: () => taken };
}

async function beginSlowCall(upstream: WireUpstream, client: WireClient, bytes: string) {
  client.send(bytes);
  const slow = await upstream.connection();
  await slow.head();
  return slow;
}

describe("pipelined requests are read one at a time", () => {
  for (const [way, dial] of Object.entries(WAYS)) {
    for (const [what, request] of Object.entries({
      "of eighteen bytes": () => "GET / HTTP/1.1\r\n\r\n",
      "with a token": (token: string) => head(token, TARGET),
      "with an expectation": () =>
        head("x", TARGET, { headers: ["Expect: anything", "Content-Length: 0"] }),
      "with bodies": (token: string) =>
        `${head(token, TARGET, { method: "POST", headers: ["Content-Length: 5"] })}hello`,
    })) {
      test(`${way}, requests ${what}: one waits, and nothing is read behind it`, async (t) => {
        const { upstream, plane, answer } = await open(t, way);
        const client = await dial(plane);
        const handedOver = countHandedOver(t);
        const slow = await beginSlowCall(upstream, client, head(plane.token, TARGET));
        const flood = floodWith(client, request(plane.token));
        const taken = await atRest(() => flood.taken());
        assert.equal(handedOver(), 2);
        assert.ok(taken < IN_BUFFERS_BYTES, `${taken} bytes were read`);
        assert.ok(heldMb() < 32);

        client.socket.destroy();
        // That it is gone is noticed when an answer is written to it, the second at the latest.
        answer(slow);
        await eventually(async () => {
          return (await plane.metrics.openExchanges.get()).values[0]?.value === 0;
        });
        assert.ok(handedOver() <= 4, `${handedOver()} requests were handed over`);
      });
    }
  }

  test("that goes for the first read of a connection, too, when all of it is there", async (t) => {
    const { upstream, plane } = await open(t, "plainly");
    const client = await openWireClient(plane.port);
    const handedOver = countHandedOver(t);
    const slow = head(plane.token, TARGET);
    await beginSlowCall(upstream, client, slow + "GET / HTTP/1.1\r\n\r\n".repeat(3000));
    await atRest(handedOver);
    assert.equal(handedOver(), 2);
    client.socket.destroy();
    await plane.exchange();
  });

  for (const [what, request, status] of [
    ["a handshake", (token: string) => webSocketHead(token, "/nobody/v1/realtime"), 404],
    ["a CONNECT", (token: string) => head(token, "a.test:443", { method: "CONNECT" }), 405],
  ] as const) {
    test(`${what} behind answered requests has its answer, and what follows is bounded`, async (t) => {
      const { plane } = await open(t, "plainly");
      const client = await openWireClient(plane.port);
      client.send(head(plane.token, "/nobody/v1/0").repeat(3));
      for (let n = 0; n < 3; n++) assert.equal((await client.answer()).status, 404);
      const handedOver = countHandedOver(t);
      client.send(request(plane.token) + "GET / HTTP/1.1\r\n\r\n".repeat(3000));
      assert.equal((await client.answer()).status, status);
      await client.ended();
      assert.equal(handedOver(), 0);
    });
  }
});
