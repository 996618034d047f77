import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { openWithUpstream } from "../support/data-plane.ts";
import { asChunk, flood } from "../support/flood.ts";
import {
  createWireUpstream,
  head,
  openWireClient,
  type UpstreamConnection,
} from "../support/wire.ts";

const TARGET = "/openai/v1/responses";
const SOON_MS = 500;
// The deadline, and the ticks of the clock that looks after it; the rest is for a busy machine.
const AT_MOST_MS = 2_500;

async function open(
  t: TestContext,
  env: Record<string, string>,
  script?: (connection: UpstreamConnection) => void,
) {
  const upstream = await createWireUpstream(script);
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin, env);
  const client = await openWireClient(plane.port);
  return { upstream, plane, client };
}

function assertOnTime(startMs: number, deadlineMs: number): void {
  const tookMs = performance.now() - startMs;
  assert.ok(tookMs > deadlineMs * 0.5, `too early: ${tookMs} ms`);
  assert.ok(tookMs < deadlineMs + AT_MOST_MS, `too late: ${tookMs} ms`);
}

/** Sends in many small packets, so that what waits at the proxy grows in small steps. */
function trickle(socket: Socket, bytes: number): void {
  if (bytes <= 0 || socket.destroyed) return;
  const block = Buffer.alloc(Math.min(4096, bytes), "x");
  if (socket.write(block)) setImmediate(trickle, socket, bytes - block.length);
  else socket.once("drain", () => trickle(socket, bytes - block.length));
}

describe("each wait has a deadline", { concurrency: 4 }, () => {
  test("connecting: a server that takes the connection and never speaks TLS", async (t) => {
    const upstream = await createWireUpstream();
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin.replace("http:", "https:"), {
      X3SPROXY_CONNECT_TIMEOUT: "500ms",
    });
    const client = await openWireClient(plane.port);
    const startMs = performance.now();
    client.send(head(plane.token, TARGET));
    const answer = await client.answer();
    assertOnTime(startMs, SOON_MS);
    assert.equal(answer.status, 504);
    assert.equal(answer.header("x3sproxy-refusal"), "upstream_connect_timeout");
  });

  const bodies = {
    "without a body": { headers: [], body: "" },
    "with a small body": { headers: ["content-length: 5"], body: "hello" },
    "with a chunked body": {
      headers: ["transfer-encoding: chunked"],
      body: "5\r\nhello\r\n0\r\n\r\n",
    },
    "with a large body": { headers: ["content-length: 500000"], body: "x".repeat(500_000) },
  };
  for (const [what, { headers, body }] of Object.entries(bodies)) {
    test(`the first byte, of a request ${what}`, async (t) => {
      const { upstream, plane, client } = await open(t, { X3SPROXY_FIRST_BYTE_TIMEOUT: "500ms" });
      const startMs = performance.now();
      client.send(head(plane.token, TARGET, { method: "POST", headers }) + body);
      const { socket } = await upstream.connection();
      const closed = once(socket, "close");
      const answer = await client.answer();
      assertOnTime(startMs, SOON_MS);
      assert.equal(answer.status, 504);
      assert.equal(answer.header("x3sproxy-refusal"), "upstream_first_byte_timeout");
      await closed;
    });
  }

  test("the first byte, counted from the end of a slow upload", async (t) => {
    const { plane, client } = await open(t, { X3SPROXY_FIRST_BYTE_TIMEOUT: "500ms" });
    client.send(
      head(plane.token, TARGET, { method: "POST", headers: ["transfer-encoding: chunked"] }),
    );
    for (let n = 0; n < 5; n++) {
      client.send("5\r\nhello\r\n");
      await delay(250);
    }
    assert.equal(
      client.received(),
      "",
      "it may take longer than the deadline as long as it goes on",
    );
    const startMs = performance.now();
    client.send("0\r\n\r\n");
    const answer = await client.answer();
    assertOnTime(startMs, SOON_MS);
    assert.equal(answer.header("x3sproxy-refusal"), "upstream_first_byte_timeout");
  });

  test("the upstream's silence within its answer", async (t) => {
    const { plane, client } = await open(t, { X3SPROXY_UPSTREAM_IDLE_TIMEOUT: "500ms" }, (it) => {
      it.socket.on("data", () => {
        it.socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n");
      });
    });
    client.send(head(plane.token, TARGET));
    await client.until((bytes) => bytes.includes("hello"));
    const startMs = performance.now();
    await client.ended();
    assertOnTime(startMs, SOON_MS);
    await assert.rejects(client.answer());
    assert.equal((await plane.exchange())["outcome"], "upstream_silent");
  });

  test("a client that stops reading", async (t) => {
    const { upstream, plane, client } = await open(
      t,
      { X3SPROXY_CLIENT_STALL_TIMEOUT: "500ms" },
      (it) => {
        it.socket.once("data", () => {
          it.socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
          flood(it.socket, 100_000_000, () => undefined, asChunk);
        });
      },
    );
    client.socket.pause();
    const startMs = performance.now();
    client.send(head(plane.token, TARGET));
    const { socket } = await upstream.connection();
    await once(socket, "close").catch(() => undefined);
    assertOnTime(startMs, SOON_MS);
    assert.equal((await plane.exchange())["outcome"], "client_stalled");
  });

  test("a client that does not take the last of an answer", async (t) => {
    const { plane } = await open(t, { X3SPROXY_CLIENT_STALL_TIMEOUT: "500ms" }, ({ socket }) => {
      socket.on("data", (request: Buffer) => {
        const size = Number(/\/v1\/(\d+) /.exec(request.toString("latin1"))?.[1]);
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`);
        trickle(socket, size);
      });
    });
    const stall = async (size: number): Promise<Record<string, unknown>> => {
      const client = await openWireClient(plane.port);
      client.socket.pause();
      client.send(head(plane.token, `/openai/v1/${size}`));
      return plane.exchange((line) => line["path"] === `/v1/${size}`);
    };
    // How much fits in between, the system's socket buffers decide, a little differently for each connection. So look for a
    // size that has all come, and waits only for the client to take its end.
    const { responseBytes } = await stall(100_000_000);
    let size = Number(responseBytes) - 30_000;
    for (let tries = 0; ; tries++) {
      assert.ok(tries < 12, "no size was found");
      const line = await stall(size);
      if (line["outcome"] === "completed") size += 20_000;
      else if (line["responseBytes"] !== size) size -= 27_000;
      else {
        assert.equal(line["outcome"], "client_stalled");
        return;
      }
    }
  });

  for (const length of [10, 1_000_000]) {
    test(`a client that stops sending its body of ${length} bytes`, async (t) => {
      const { upstream, plane, client } = await open(t, { X3SPROXY_CLIENT_IDLE_TIMEOUT: "500ms" });
      const startMs = performance.now();
      const headers = [`content-length: ${length}`];
      client.send(head(plane.token, TARGET, { method: "POST", headers }) + "hello");
      const answer = await client.answer();
      assertOnTime(startMs, SOON_MS);
      assert.equal(answer.status, 408);
      assert.equal(answer.header("x3sproxy-refusal"), "request_timeout");
      assert.equal(answer.header("connection"), "close");
      assert.equal(await client.ended(), "fin");
      for (const { socket } of upstream.connections) assert.ok(socket.destroyed || socket.closed);
    });
  }

  test("a client that stops sending its header section", async (t) => {
    const { plane, client } = await open(t, { X3SPROXY_CLIENT_IDLE_TIMEOUT: "500ms" });
    const startMs = performance.now();
    client.send("GET /openai/v1/models HTTP/1.1\r\nhost: x\r\n");
    const answer = await client.answer();
    assertOnTime(startMs, SOON_MS);
    assert.equal(answer.status, 408);
    assert.equal(answer.header("x3sproxy-refusal"), "request_timeout");
    assert.equal(await client.ended(), "fin");
    assert.equal((await plane.exchange())["reason"], "request_timeout");
  });
});

const ALL_SHORT = {
  X3SPROXY_CONNECT_TIMEOUT: "600ms",
  X3SPROXY_FIRST_BYTE_TIMEOUT: "600ms",
  X3SPROXY_UPSTREAM_IDLE_TIMEOUT: "600ms",
  X3SPROXY_CLIENT_STALL_TIMEOUT: "5s",
  X3SPROXY_CLIENT_IDLE_TIMEOUT: "600ms",
};

describe("no deadline ends what goes on", { concurrency: 4 }, () => {
  for (const length of [9, 1_000_000]) {
    test(`a slow but steady upload of ${length} bytes`, async (t) => {
      const { plane, client } = await open(t, ALL_SHORT, (it) => {
        it.socket.on("data", () => {
          const body = it.received().split("\r\n\r\n")[1];
          if (body?.length === length) it.socket.write("HTTP/1.1 204 No Content\r\n\r\n");
        });
      });
      const headers = [`content-length: ${length}`];
      client.send(head(plane.token, TARGET, { method: "POST", headers }));
      for (let n = 0; n < 9; n++) {
        client.send("x".repeat(Math.floor(length / 9)));
        await delay(200);
      }
      client.send("x".repeat(length % 9));
      assert.equal((await client.answer()).status, 204);
    });
  }

  test("a stream of pings", async (t) => {
    const { plane, client } = await open(t, ALL_SHORT, (it) => {
      it.socket.on("data", () => {
        it.socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        let left = 9;
        const timer = setInterval(() => {
          it.socket.write(--left > 0 ? "7\r\n: ping\n\r\n" : "0\r\n\r\n");
          if (left === 0) clearInterval(timer);
        }, 200);
      });
    });
    client.send(head(plane.token, TARGET));
    assert.equal((await client.answer()).chunks.length, 8);
  });

  test("a client that pauses: that is not the upstream's silence", async (t) => {
    const size = 50_000_000;
    const { plane, client } = await open(t, ALL_SHORT, (it) => {
      it.socket.once("data", () => {
        it.socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`);
        flood(it.socket, size, () => undefined);
      });
    });
    client.socket.pause();
    client.send(head(plane.token, TARGET));
    await delay(2_000);
    let bytes = 0;
    client.socket.removeAllListeners("data");
    client.socket.on("data", (chunk) => (bytes += chunk.length));
    client.socket.resume();
    const line = await plane.exchange();
    assert.equal(line["outcome"], "completed");
    assert.equal(line["responseBytes"], size);
    assert.ok(bytes > 0);
  });

  test("an idle connection between two requests", async (t) => {
    const { plane, client } = await open(t, ALL_SHORT, (it) => {
      it.socket.on("data", () => it.socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    });
    client.send(head(plane.token, TARGET));
    assert.equal((await client.answer()).body, "ok");
    await delay(1_500);
    client.send(head(plane.token, TARGET));
    assert.equal((await client.answer()).body, "ok");
  });
});
