import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { createWireUpstream, head, openWireClient } from "../support/wire.ts";

function ok(body: string): string {
  return `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

describe("one connection serves one request after the other", () => {
  test("and so does the one to the upstream", async (t) => {
    const upstream = await createHttpUpstream((request, response) => {
      request.resume().on("end", () => response.end(request.url));
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    for (let n = 0; n < 20; n++) {
      const headers = n % 2 === 0 ? [] : ["content-length: 5"];
      client.send(head(plane.token, `/openai/v1/${n}`, { method: "POST", headers }));
      if (n % 2 === 1) client.send("hello");
      assert.equal((await client.answer()).body, `/v1/${n}`);
    }
    assert.equal(upstream.connections, 1);
    assert.equal(upstream.requests, 20);
  });

  test("pipelined requests are answered in their order, each with its own answer", async (t) => {
    const upstream = await createHttpUpstream((request, response) => {
      // The earlier, the slower.
      const n = Number(request.url?.split("/")[2]);
      request.resume().on("end", () => {
        setTimeout(() => response.end(request.url), 100 - n * 10);
      });
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    let requests = "";
    for (let n = 0; n < 10; n++) {
      requests +=
        n % 3 === 0
          ? head(plane.token, `/openai/v1/${n}`)
          : head(plane.token, `/openai/v1/${n}`, {
              method: "POST",
              headers: ["transfer-encoding: chunked"],
            }) + "5\r\nhello\r\n0\r\n\r\n";
    }
    client.send(requests);
    for (let n = 0; n < 10; n++) assert.equal((await client.answer()).body, `/v1/${n}`);
    assert.equal(upstream.requests, 10);
  });

  test("a refusal between pipelined requests stands in its place", async (t) => {
    const upstream = await createHttpUpstream((request, response) => response.end(request.url));
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(
      head(plane.token, "/openai/v1/0") +
        head(`x3sproxy_${"a".repeat(32)}`, "/openai/v1/1") +
        head(plane.token, "/nobody/v1/2") +
        head(plane.token, "/openai/v1/3"),
    );
    assert.equal((await client.answer()).body, "/v1/0");
    assert.equal((await client.answer()).header("x3sproxy-refusal"), "unknown_token");
    assert.equal((await client.answer()).header("x3sproxy-refusal"), "unknown_provider");
    assert.equal((await client.answer()).body, "/v1/3");
  });

  test("when the first of two pipelined answers breaks, the second is never sent", async (t) => {
    const upstream = await createWireUpstream(({ socket }) => {
      socket.on("data", () => {
        socket.end("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello");
      });
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, "/openai/v1/0") + head(plane.token, "/openai/v1/1"));
    await client.ended();
    assert.ok(client.received().endsWith("\r\n\r\nhello"));
    assert.equal(upstream.connections.length, 1);
  });

  test("a client that leaves takes its pipelined requests with it", async (t) => {
    const upstream = await createWireUpstream();
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, "/openai/v1/0") + head(plane.token, "/openai/v1/1"));
    const { socket, head: arrived } = await upstream.connection();
    await arrived();
    client.socket.destroy();
    await once(socket, "close");
    assert.equal((await plane.exchange())["outcome"], "client_left");
    assert.equal(upstream.connections.length, 1);
    assert.equal((await plane.metrics.openExchanges.get()).values[0]?.value, 0);
  });

  test("Connection: close of the client ends its connection, not the upstream's", async (t) => {
    const upstream = await createHttpUpstream((_, response) => response.end("ok"));
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    for (let n = 0; n < 3; n++) {
      const client = await openWireClient(plane.port);
      client.send(head(plane.token, "/openai/v1/models", { headers: ["Connection: close"] }));
      const answer = await client.answer();
      assert.equal(answer.header("connection"), "close");
      assert.equal(await client.ended(), "fin");
    }
    assert.equal(upstream.connections, 1);
  });

  test("Connection: close of the upstream ends its connection, not the client's", async (t) => {
    const upstream = await createWireUpstream(({ socket }) => {
      socket.on("data", () => {
        socket.end("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
      });
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    for (let n = 0; n < 3; n++) {
      client.send(head(plane.token, "/openai/v1/models"));
      const answer = await client.answer();
      assert.equal(answer.header("connection"), "keep-alive");
      assert.equal(answer.body, "ok");
    }
    assert.equal(upstream.connections.length, 3);
  });

  test("what an upstream sends behind its answer is not taken for the next one's", async (t) => {
    const upstream = await createWireUpstream(({ socket }) => {
      socket.on("data", () => socket.write(ok("right") + ok("wrong")));
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    for (let n = 0; n < 5; n++) {
      client.send(head(plane.token, "/openai/v1/models"));
      assert.equal((await client.answer()).body, "right");
    }
  });
});
