import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { createWebSocketUpstream } from "../support/websocket-upstream.ts";
import {
  createWireUpstream,
  head,
  openWireClient,
  SWITCHING,
  webSocketHead,
} from "../support/wire.ts";

const PATH = "/openai/v1/realtime";

describe("a WebSocket that is not granted gets an HTTP answer", () => {
  test("the upstream's own, as it comes", async (t) => {
    const body = '{"error":{"message":"bad key"}}';
    const upstream = await createWebSocketUpstream(() => undefined, {
      refuse: `HTTP/1.1 401 Unauthorized\r\nX-Request-Id: r1\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(webSocketHead(plane.token, PATH));
    const answer = await client.answer();
    assert.equal(answer.line, "HTTP/1.1 401 Unauthorized");
    assert.equal(answer.header("x-request-id"), "r1");
    assert.equal(answer.header("connection"), "close");
    assert.equal(answer.header("x3sproxy-refusal"), undefined);
    assert.equal(answer.body, body);
    assert.equal(await client.ended(), "fin");
    assert.equal((await plane.exchange())["outcome"], "completed");
  });

  test("our refusal, in the provider's shape, and nothing goes up", async (t) => {
    const upstream = await createWireUpstream();
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    for (const [token, path, reason] of [
      [`x3sproxy_${"a".repeat(32)}`, PATH, "unknown_token"],
      [plane.token, "/anthropic/v1/live", "no_secret"],
      [plane.token, "/nobody/v1/live", "unknown_provider"],
      [plane.token, "/openai/v1/organization/admin_api_keys", "sensitive_endpoint"],
    ] as const) {
      const client = await openWireClient(plane.port);
      client.send(webSocketHead(token, path));
      const answer = await client.answer();
      assert.equal(answer.header("x3sproxy-refusal"), reason);
      assert.ok("error" in (JSON.parse(answer.body) as object));
      assert.equal(await client.ended(), "fin");
    }
    assert.equal(upstream.connections.length, 0);
  });

  for (const [what, status, reason] of [
    ["does not listen", 502, "upstream_unreachable"],
    ["breaks off", 502, "upstream_unreachable"],
    ["answers 101 without an upgrade", 502, "upstream_protocol_error"],
  ] as const) {
    test(`a refusal when the upstream ${what}`, async (t) => {
      const upstream = await createWireUpstream(({ socket }) => {
        socket.once("data", () => {
          if (what === "breaks off") socket.resetAndDestroy();
          else socket.write("HTTP/1.1 101 Switching Protocols\r\n\r\n");
        });
      });
      if (what === "does not listen") await upstream.close();
      else t.after(() => upstream.close());
      const plane = await openWithUpstream(t, upstream.origin);
      const client = await openWireClient(plane.port);
      client.send(webSocketHead(plane.token, PATH));
      const answer = await client.answer();
      assert.equal(answer.status, status);
      assert.equal(answer.header("x3sproxy-refusal"), reason);
      assert.equal(await client.ended(), "fin");
    });
  }

  test("a refusal when the upstream does not answer in time", async (t) => {
    const upstream = await createWireUpstream();
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin, {
      X3SPROXY_FIRST_BYTE_TIMEOUT: "300ms",
    });
    const client = await openWireClient(plane.port);
    client.send(webSocketHead(plane.token, PATH));
    const answer = await client.answer();
    assert.equal(answer.header("x3sproxy-refusal"), "upstream_first_byte_timeout");
  });

  test("a stale connection costs one retry, which is a WebSocket's again", async (t) => {
    let requests = 0;
    const upstream = await createWireUpstream(({ socket }) => {
      socket.on("data", (chunk: Buffer) => {
        requests++;
        if (requests === 1) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        else if (requests === 2) socket.end();
        else if (/\r\nupgrade: websocket\r\n/i.test(chunk.toString())) socket.write(SWITCHING);
        else socket.write("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
      });
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, "/openai/v1/models"));
    assert.equal((await client.answer()).body, "ok");
    client.send(webSocketHead(plane.token, PATH));
    assert.equal((await client.answer()).status, 101);
    assert.equal(requests, 3);
    client.socket.destroy();
  });

  for (const headers of [
    [
      "Connection: Upgrade, HTTP2-Settings",
      "Upgrade: h2c",
      "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    ],
    ["Connection: Upgrade", "Upgrade: TLS/1.0"],
    ["Connection: Upgrade", "Upgrade: websocket, h2c"],
  ]) {
    test(`${headers[1] ?? ""} is ignored: a plain answer`, async (t) => {
      let seen: string[] = [];
      const upstream = await createHttpUpstream((request, response) => {
        seen = request.rawHeaders.map((text) => text.toLowerCase());
        response.end("plain");
      });
      t.after(() => upstream.close());
      const plane = await openWithUpstream(t, upstream.origin);
      const client = await openWireClient(plane.port);
      for (let round = 0; round < 2; round++) {
        client.send(head(plane.token, "/openai/v1/models", { headers }));
        const answer = await client.answer();
        assert.equal(answer.status, 200);
        assert.equal(answer.body, "plain");
        assert.ok(!seen.includes("upgrade"));
        assert.ok(!seen.includes("http2-settings"));
      }
    });
  }

  test("another method than GET is a plain request", async (t) => {
    const upstream = await createHttpUpstream((request, response) => response.end(request.method));
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(webSocketHead(plane.token, PATH).replace("GET", "POST"));
    assert.equal((await client.answer()).body, "POST");
  });
});
