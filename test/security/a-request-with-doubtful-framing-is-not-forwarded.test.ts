// Where two servers disagree on where a request ends, the rest of it is a request that nobody has checked.
import assert from "node:assert/strict";
import { test } from "node:test";
import { askRaw, openTarget } from "../support/attack.ts";

test("doubtful lengths, codings, versions and hosts are refused before anything goes up", async (t) => {
  const { plane, token, upstream } = await openTarget(t);
  const smuggled = `GET /openai/v1/smuggled HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`;
  const request = (fields: string[], version = "1.1"): string =>
    [
      `POST /openai/v1/responses HTTP/${version}`,
      `Authorization: Bearer ${token}`,
      "Connection: close",
      ...fields,
      "",
      "",
    ].join("\r\n");
  const host = "Host: x";
  for (const [what, bytes] of [
    [
      "length and chunked",
      request([host, "Content-Length: 4", "Transfer-Encoding: chunked"]) + `0\r\n\r\n${smuggled}`,
    ],
    [
      "chunked and length",
      request([host, "Transfer-Encoding: chunked", "Content-Length: 4"]) + `0\r\n\r\n${smuggled}`,
    ],
    ["two lengths", request([host, "Content-Length: 0", "Content-Length: 40"]) + smuggled],
    ["the same length twice", request([host, "Content-Length: 2", "content-length: 2"]) + "{}"],
    ["a list of lengths", request([host, "Content-Length: 2, 2"]) + "{}"],
    ["a signed length", request([host, "Content-Length: +2"]) + "{}"],
    ["a negative length", request([host, "Content-Length: -1"])],
    ["a hexadecimal length", request([host, "Content-Length: 0x2"]) + "{}"],
    ["an endless length", request([host, `Content-Length: ${"9".repeat(30)}`]) + "{}"],
    ["an empty length", request([host, "Content-Length:"])],
    ["gzip, chunked", request([host, "Transfer-Encoding: gzip, chunked"]) + "2\r\n{}\r\n0\r\n\r\n"],
    [
      "gzip and chunked",
      request([host, "Transfer-Encoding: gzip", "Transfer-Encoding: chunked"]) + "0\r\n\r\n",
    ],
    ["chunked, gzip", request([host, "Transfer-Encoding: chunked, gzip"]) + "0\r\n\r\n"],
    ["chunked twice", request([host, "Transfer-Encoding: chunked, chunked"]) + "0\r\n\r\n"],
    ["identity", request([host, "Transfer-Encoding: identity"])],
    ["an empty coding", request([host, "Transfer-Encoding:"])],
    ["xchunked", request([host, "Transfer-Encoding: xchunked"]) + "0\r\n\r\n"],
    [
      "a tab in front of chunked, with a comma",
      request([host, "Transfer-Encoding:\t,chunked"]) + "0\r\n\r\n",
    ],
    ["a folded coding", request([host, "Transfer-Encoding:\r\n chunked"]) + "0\r\n\r\n"],
    ["chunked in HTTP/1.0", request([host, "Transfer-Encoding: chunked"], "1.0") + "0\r\n\r\n"],
    ["no host", request([])],
    ["two hosts", request([host, host])],
    ["two hosts in HTTP/1.0", request([host, "host: y"], "1.0")],
    ["HTTP/2.0", request([host], "2.0")],
    ["HTTP/0.9", request([host], "0.9")],
    ["HTTP/0.9, simple", `GET /openai/v1/models?key=${token}\r\n\r\n`],
    ["HTTP/1.9", request([host], "1.9")],
    ["a space in the target", `GET /openai/v1/a b HTTP/1.1\r\n${host}\r\n\r\n`],
    ["bare line feeds", request([host, "Content-Length: 0"]).replaceAll("\r\n", "\n")],
  ] as const) {
    const answer = await askRaw(plane.port, bytes);
    assert.equal(answer.status, 400, `${what}: ${answer.text}`);
    assert.equal(answer.header("x3sproxy-refusal"), "bad_request", what);
    assert.equal(answer.text.match(/^HTTP\/1\.1 /gm)?.length, 1, what);
  }
  assert.equal(upstream.connections.length, 0);
});

test("a body whose chunks turn out bad never looks whole, and what follows is not read as a request", async (t) => {
  const { plane, token, sent } = await openTarget(t);
  for (const chunks of [
    "zz\r\n",
    "2\r\n{}zz\r\n0\r\n\r\n",
    "2\n{}\n0\n\n",
    "-1\r\n\r\n",
    "fffffffffffffffff\r\n{}",
    "2 2\r\n{}\r\n0\r\n\r\n",
  ]) {
    const { text } = await askRaw(
      plane.port,
      `POST /openai/v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nTransfer-Encoding: chunked\r\n\r\n` +
        `${chunks}GET /openai/v1/smuggled?key=${token} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    );
    assert.ok((text.match(/^HTTP\/1\.1 /gm)?.length ?? 0) <= 1, text);
    const up = sent();
    assert.equal(/smuggled|\r\n0\r\n\r\n/.test(up), false, up);
  }
});

test("an odd but sound framing passes, in its plain form", async (t) => {
  const { plane, sent, token } = await openTarget(t);
  for (const [fields, body, up] of [
    ["Content-Length: 002", "{}", "content-length: 2"],
    ["Transfer-Encoding: ChUnKeD", "2;ext=1\r\n{}\r\n0\r\n\r\n", "transfer-encoding: chunked"],
    ["Transfer-Encoding: chunked", "00002\r\n{}\r\n000\r\n\r\n", "transfer-encoding: chunked"],
  ] as const) {
    const { status } = await askRaw(
      plane.port,
      `POST /openai/v1/responses HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\n${fields}\r\n\r\n${body}`,
    );
    assert.equal(status, 200, fields);
    const bytes = sent();
    assert.deepEqual(bytes.match(/^(?:content-length|transfer-encoding):.*$/gim), [up]);
    assert.equal(bytes.match(/HTTP\/1\.1\r\n/g)?.length, 1);
    assert.equal(bytes.includes("ext"), false);
  }
});

test("a WebSocket upgrade with a body goes up without it, and what follows is not read as a request", async (t) => {
  const { plane, sent, token } = await openTarget(t);
  for (const [field, body] of [
    ["Content-Length: 5", "GET /"],
    ["Transfer-Encoding: chunked", "5\r\nGET /\r\n0\r\n\r\n"],
  ] as const) {
    const head = [
      "GET /openai/v1/realtime HTTP/1.1",
      "Host: x",
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      `Authorization: Bearer ${token}`,
      field,
      "",
      "",
    ].join("\r\n");
    const { text } = await askRaw(
      plane.port,
      `${head}${body}GET /openai/v1/smuggled?key=${token} HTTP/1.1\r\nHost: x\r\n\r\n`,
    );
    assert.equal(text.match(/^HTTP\/1\.1 /gm)?.length, 1, text);
    const up = sent();
    assert.ok((up.match(/HTTP\/1\.1\r\n/g)?.length ?? 0) <= 1, up);
    assert.equal(/smuggled|content-length: 5|transfer-encoding/i.test(up), false, up);
  }
});
