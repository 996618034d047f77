import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { WebSocketServer } from "ws";
import { createForwardProxy } from "../../src/proxy/forward-proxy.ts";
import { createAuthority, type Authority } from "../support/authority.ts";
import { createConnectProxy } from "../support/connect-proxy.ts";
import { FAKE_KEY, openWithUpstream } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { openWebSocket } from "../support/websocket-upstream.ts";
import { head, openWireClient } from "../support/wire.ts";

const TARGET = "/openai/v1/responses";

describe("upstream calls go through the forward proxy", () => {
  let authority: Authority;
  let port = 0;
  let seen: { headers: string[]; body: string }[] = [];
  let server: ReturnType<typeof createServer>;

  before(async () => {
    authority = await createAuthority();
    // What NODE_EXTRA_CA_CERTS does at a process's start.
    setDefaultCACertificates([...getCACertificates("default"), authority.certificate]);
    server = createServer(await authority.issue("provider.test"), (request, response) => {
      void request.toArray().then((parts) => {
        seen.push({ headers: request.rawHeaders, body: parts.join("") });
        response.end("through");
      });
    });
    const webSockets = new WebSocketServer({ server });
    webSockets.on("connection", (socket) => socket.on("message", (data) => socket.send(data)));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    port = (server.address() as AddressInfo).port;
  });
  after(async () => {
    server.close();
    server.closeAllConnections();
    await authority.remove();
  });

  test("by one tunnel for many requests, which it sees nothing of; repeated fields stay", async (t) => {
    const proxy = await createConnectProxy({ port });
    t.after(() => proxy.close());
    const plane = await openWithUpstream(t, `https://127.0.0.1:${port}`, {
      HTTPS_PROXY: proxy.url.replace("://", "://user:p%40ss@"),
    });
    const client = await openWireClient(plane.port);
    seen = [];
    for (let n = 0; n < 3; n++) {
      const headers = ["X-Repeated: 1", "X-Repeated: 2", "content-length: 5"];
      client.send(head(plane.token, TARGET, { method: "POST", headers }) + "hello");
      assert.equal((await client.answer()).body, "through");
    }
    assert.equal(proxy.requests.length, 1);
    const [tunnel] = proxy.requests;
    assert.equal(tunnel?.url, `127.0.0.1:${port}`);
    assert.equal(tunnel.headers.host, `127.0.0.1:${port}`);
    const credentials = Buffer.from("user:p@ss").toString("base64");
    assert.equal(tunnel.headers["proxy-authorization"], `Basic ${credentials}`);
    assert.ok(!JSON.stringify(tunnel.rawHeaders).includes(FAKE_KEY));

    assert.equal(seen.length, 3);
    const [request] = seen;
    assert.equal(request?.body, "hello");
    assert.ok(request.headers.includes(`Bearer ${FAKE_KEY}`));
    assert.equal(request.headers.filter((text) => text === "X-Repeated").length, 2);
    assert.ok(!request.headers.some((text) => text.toLowerCase().startsWith("proxy-")));
  });

  test("a name is resolved there", async (t) => {
    const proxy = await createConnectProxy({ port });
    t.after(() => proxy.close());
    const plane = await openWithUpstream(t, "https://provider.test", { HTTPS_PROXY: proxy.url });
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, TARGET));
    assert.equal((await client.answer()).body, "through");
    assert.equal(proxy.requests[0]?.url, "provider.test:443");
  });

  test("a forward proxy that is spoken to over TLS, and a WebSocket", async (t) => {
    const proxy = await createConnectProxy({ port, tls: await authority.issue() });
    t.after(() => proxy.close());
    const plane = await openWithUpstream(t, `https://127.0.0.1:${port}`, {
      HTTPS_PROXY: proxy.url,
    });
    const socket = await openWebSocket(`${plane.url}/openai/v1/realtime`, {
      headers: { authorization: `Bearer ${plane.token}` },
    });
    socket.send("echo");
    const [data] = (await once(socket, "message")) as [Buffer];
    assert.equal(data.toString(), "echo");
    assert.equal(proxy.requests.length, 1);
    socket.terminate();
  });

  test("but for the hosts of NO_PROXY", async (t) => {
    const proxy = await createConnectProxy({ port });
    t.after(() => proxy.close());
    for (const [origin, noProxy, tunnels] of [
      ["localhost", "localhost", 0],
      ["localhost", "other.test, LOCALHOST", 0],
      ["localhost", `localhost:${port}`, 0],
      ["localhost", "localhost:1", 1],
      ["localhost", "*", 0],
      ["localhost", "host", 1],
      ["localhost", "127.0.0.1", 1],
      ["127.0.0.1", "127.0.0.1", 0],
      ["127.0.0.1", "10.0.0.1,[::1]:443,::1", 1],
      ["127.0.0.1", "10.0.0.0/8, 127.0.0.0/8", 0],
      ["127.0.0.1", "10.0.0.0/8", 1],
      ["localhost", "127.0.0.0/8", 1],
    ] as const) {
      proxy.requests.length = 0;
      const plane = await openWithUpstream(t, `https://${origin}:${port}`, {
        HTTPS_PROXY: proxy.url,
        NO_PROXY: noProxy,
      });
      const client = await openWireClient(plane.port);
      client.send(head(plane.token, TARGET));
      assert.equal((await client.answer()).body, "through");
      assert.equal(proxy.requests.length, tunnels, `${origin}, NO_PROXY=${noProxy}`);
      await plane.drain();
    }
  });

  for (const [what, answer, reason] of [
    ["refuses", () => 407, "upstream_unreachable"],
    ["says nothing", () => undefined, "upstream_connect_timeout"],
    ["is not there", undefined, "upstream_unreachable"],
  ] as const) {
    test(`one that ${what}: a refusal, and nothing goes past it`, async (t) => {
      const proxy = await createConnectProxy({ port, ...(answer === undefined ? {} : { answer }) });
      if (answer === undefined) await proxy.close();
      else t.after(() => proxy.close());
      const plane = await openWithUpstream(t, `https://127.0.0.1:${port}`, {
        HTTPS_PROXY: proxy.url,
        X3SPROXY_CONNECT_TIMEOUT: "400ms",
      });
      seen = [];
      const client = await openWireClient(plane.port);
      for (let n = 0; n < 2; n++) {
        client.send(head(plane.token, TARGET));
        assert.equal((await client.answer()).header("x3sproxy-refusal"), reason);
      }
      assert.deepEqual(seen, []);
    });
  }

  test("a client that leaves while the tunnel is being made: nothing is sent", async (t) => {
    const { promise: held, resolve: open } = Promise.withResolvers<number>();
    const proxy = await createConnectProxy({ port, answer: () => held });
    t.after(() => proxy.close());
    const plane = await openWithUpstream(t, `https://127.0.0.1:${port}`, {
      HTTPS_PROXY: proxy.url,
    });
    seen = [];
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, TARGET, { method: "POST", headers: ["content-length: 300000"] }));
    await eventually(() => proxy.requests.length === 1);
    client.socket.destroy();
    assert.equal((await plane.exchange())["outcome"], "client_left");
    const connected = once(server, "connection");
    open(200);
    const [socket] = (await connected) as [Socket];
    if (!socket.closed) await once(socket, "close");
    assert.deepEqual(seen, []);

    const next = await openWireClient(plane.port);
    next.send(head(plane.token, TARGET));
    assert.equal((await next.answer()).body, "through");
  });

  test("a setting that is no proxy's URL stops the service from starting", () => {
    for (const httpsProxy of [
      "socks5://127.0.0.1:1080",
      "http://",
      "ftp://x",
      "http://user:%zz@x",
    ]) {
      assert.throws(
        () => createForwardProxy({ httpsProxy, noProxy: undefined }, 1_000),
        /^ConfigError: HTTPS_PROXY/,
      );
    }
    assert.equal(createForwardProxy({ httpsProxy: undefined, noProxy: "*" }, 1_000), undefined);
    assert.ok(createForwardProxy({ httpsProxy: "proxy.test:3128", noProxy: undefined }, 1_000));
  });
});
