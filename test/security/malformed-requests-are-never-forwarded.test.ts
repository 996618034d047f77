import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readAnswer } from "../support/answers.ts";
import { openWithUpstream } from "../support/data-plane.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { createCannedUpstream, head, openWireClient } from "../support/wire.ts";

const TARGET = "/openai/v1/responses";
const POST = { method: "POST" };

/** Bytes that no careful server takes for a request, by what is wrong with them. */
const MALFORMED: Record<string, (token: string) => string | Buffer> = {
  garbage: () => "\x00\x01\x02\x03 nothing of this is HTTP\r\n\r\n",
  "a TLS client hello": () => Buffer.from("16030100f8010000f40303", "hex"),
  "an HTTP/2 preface": () => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "HTTP/0.9": () => `GET ${TARGET}\r\n`,
  "HTTP/2.0 in a request line": (token) => head(token, TARGET, { version: "2.0" }),
  "HTTP/3.7": (token) => head(token, TARGET, { version: "3.7" }),
  "no method": (token) => head(token, TARGET, { method: "" }),
  "an unknown method": (token) => head(token, TARGET, { method: "GRAB" }),
  "a space in the target": (token) => head(token, "/openai/v1/a b"),
  "line feeds without carriage returns": (token) => head(token, TARGET).replaceAll("\r\n", "\n"),
  "a bare line feed within a field": (token) =>
    head(token, TARGET, { headers: ["x-a: b\nx-api-key: c"] }),
  "a bare carriage return within a field": (token) =>
    head(token, TARGET, { headers: ["x-a: b\rx-api-key: c"] }),
  "a NUL within a field": (token) => head(token, TARGET, { headers: ["x-a: b\x00c"] }),
  "a space before a field's colon": (token) =>
    head(token, TARGET, { headers: ["content-length : 5"] }) + "hello",
  "a folded field": (token) => head(token, TARGET, { headers: ["x-a: b", "  c: d"] }),
  "a field without a colon": (token) => head(token, TARGET, { headers: ["nonsense"] }),
  "a length and chunks": (token) =>
    head(token, TARGET, { ...POST, headers: ["content-length: 5", "transfer-encoding: chunked"] }) +
    "0\r\n\r\n",
  "chunks and a length": (token) =>
    head(token, TARGET, { ...POST, headers: ["transfer-encoding: chunked", "content-length: 5"] }) +
    "0\r\n\r\n",
  "two lengths": (token) =>
    head(token, TARGET, { ...POST, headers: ["content-length: 5", "content-length: 6"] }) + "hello",
  "a list of lengths": (token) =>
    head(token, TARGET, { ...POST, headers: ["content-length: 5, 5"] }) + "hello",
  "a negative length": (token) => head(token, TARGET, { ...POST, headers: ["content-length: -1"] }),
  "a length with a plus sign": (token) =>
    head(token, TARGET, { ...POST, headers: ["content-length: +5"] }) + "hello",
  "a length in hex": (token) =>
    head(token, TARGET, { ...POST, headers: ["content-length: 0x5"] }) + "hello",
  "a length beyond all numbers": (token) =>
    head(token, TARGET, { ...POST, headers: [`content-length: ${"9".repeat(30)}`] }) + "hello",
  "transfer-encoding: gzip": (token) =>
    head(token, TARGET, { ...POST, headers: ["transfer-encoding: gzip"] }) + "hello",
  "transfer-encoding: gzip, chunked": (token) =>
    head(token, TARGET, { ...POST, headers: ["transfer-encoding: gzip, chunked"] }) + "0\r\n\r\n",
  "transfer-encoding: chunked, identity": (token) =>
    head(token, TARGET, { ...POST, headers: ["transfer-encoding: chunked, identity"] }) +
    "0\r\n\r\n",
  "transfer-encoding: xchunked": (token) =>
    head(token, TARGET, { ...POST, headers: ["transfer-encoding: xchunked"] }) + "0\r\n\r\n",
  "chunked twice": (token) =>
    head(token, TARGET, {
      ...POST,
      headers: ["transfer-encoding: chunked", "transfer-encoding: chunked"],
    }) + "0\r\n\r\n",
  "no Host": (token) => head(token, TARGET).replace(/Host: .*\r\n/, ""),
  "two Hosts": (token) => head(token, TARGET, { headers: ["Host: other.test"] }),
  "a header section of 70 kB": (token) =>
    head(token, TARGET, { headers: [`x-long: ${"x".repeat(70_000)}`] }),
  "a target of 70 kB": (token) => head(token, `${TARGET}?${"x".repeat(70_000)}`),
  CONNECT: (token) => head(token, "api.openai.com:443", { method: "CONNECT" }),
  TRACE: (token) => head(token, TARGET, { method: "TRACE" }),
  "OPTIONS *": (token) => head(token, "*", { method: "OPTIONS" }),
  "a target without a slash": (token) => head(token, "openai/v1/responses"),
  "a target in another scheme": (token) => head(token, `ftp://proxy.test${TARGET}`),
};

/** Bodies that go wrong after a good header section: what came before may go up, but never as a whole request. */
const BROKEN_BODIES: Record<string, string> = {
  "a chunk size that is no number": "zz\r\nhello\r\n0\r\n\r\n",
  "a negative chunk size": "-5\r\nhello\r\n0\r\n\r\n",
  "a chunk size beyond all numbers": "fffffffffffffffff\r\nhello\r\n",
  "a chunk longer than it says": "3\r\nhello\r\n0\r\n\r\n",
  "a chunk that ends in a bare line feed": "5\r\nhello\n0\r\n\r\n",
  "a chunk extension of 20 kB": `5;${"x".repeat(20_000)}\r\nhello\r\n0\r\n\r\n`,
  "a chunk extension with a bare line feed": "5;a\nhello\r\n0\r\n\r\n",
  "a trailer without a colon": "5\r\nhello\r\n0\r\nnonsense\r\n\r\n",
};

describe("malformed requests are never forwarded, and do the service no harm", () => {
  test("each is refused with a reason, or its connection is closed", async (t) => {
    const upstream = await createHttpUpstream((_, response) => response.end("ok"));
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin, {
      X3SPROXY_CLIENT_IDLE_TIMEOUT: "400ms",
    });
    await Promise.all(
      Object.entries(MALFORMED).map(async ([what, bytes]) => {
        const client = await openWireClient(plane.port);
        client.socket.on("error", () => undefined);
        client.send(bytes(plane.token));
        // Well-formed ones end nothing. Behind the others, a good request must not slip through, either.
        if (/TRACE|OPTIONS/.test(what)) client.socket.end();
        else client.send(head(plane.token, "/openai/v1/after"));
        await client.ended();
        const answer = readAnswer(client.received(), { method: "GET", ended: true })?.answer;
        if (client.received() === "") return;
        assert.ok(answer !== undefined && answer.status >= 400, `${what}: ${client.received()}`);
        assert.notEqual(answer.header("x3sproxy-refusal"), undefined, what);
      }),
    );
    assert.equal(upstream.requests, 0);
    const { status } = await fetch(`${plane.url}${TARGET}`, {
      headers: { authorization: `Bearer ${plane.token}` },
    });
    assert.equal(status, 200);
  });

  for (const [what, body] of Object.entries(BROKEN_BODIES)) {
    test(`${what} in a body: the upstream sees no whole request`, async (t) => {
      let whole = 0;
      const upstream = await createHttpUpstream((request, response) => {
        request.on("end", () => {
          whole++;
          response.end("ok");
        });
        request.on("error", () => undefined).resume();
      });
      t.after(() => upstream.close());
      const plane = await openWithUpstream(t, upstream.origin);
      const client = await openWireClient(plane.port);
      client.socket.on("error", () => undefined);
      client.send(head(plane.token, TARGET, { ...POST, headers: ["transfer-encoding: chunked"] }));
      client.send(body + head(plane.token, "/openai/v1/after"));
      await client.ended();
      assert.equal(whole, 0);
      assert.doesNotMatch(client.received(), /^HTTP\/1\.1 2/);
      await plane.exchange((line) => line["path"] === "/v1/responses");
      assert.equal((await plane.metrics.openExchanges.get()).values[0]?.value, 0);
    });
  }

  test("a client that dribbles its header section is shown the door", async (t) => {
    const upstream = await createHttpUpstream((_, response) => response.end("ok"));
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin, {
      X3SPROXY_CLIENT_IDLE_TIMEOUT: "600ms",
    });
    const client = await openWireClient(plane.port);
    client.send(`GET ${TARGET} HTTP/1.1\r\n`);
    const timer = setInterval(() => client.send("x-a: b\r\n"), 100);
    t.after(() => clearInterval(timer));
    await client.until((bytes) => bytes.startsWith("HTTP/1.1 408 "));
    clearInterval(timer);
    await client.ended();
    assert.equal(upstream.requests, 0);
  });

  test("of more header fields than Node counts by itself none is dropped: the request is refused", async (t) => {
    const upstream = await createCannedUpstream("HTTP/1.1 204 No Content\r\n\r\n");
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    const headers = Array.from({ length: 2_500 }, (_, n) => `x-field-${n}: x`);
    client.send(head(plane.token, TARGET, { headers }));
    const answer = await client.answer();
    assert.equal(answer.status, 431);
    assert.equal(answer.header("x3sproxy-refusal"), "headers_too_large");
    assert.equal(upstream.connections.length, 0);
  });
});
