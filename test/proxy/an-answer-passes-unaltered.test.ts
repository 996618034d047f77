import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { openWithUpstream } from "../support/data-plane.ts";
import type { Answer } from "../support/answers.ts";
import { createCannedUpstream, createWireUpstream, head, openWireClient } from "../support/wire.ts";

async function pass(t: TestContext, answer: string | Buffer): Promise<Answer> {
  const upstream = await createCannedUpstream(
    typeof answer === "string" ? Buffer.from(answer, "latin1") : answer,
  );
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const client = await openWireClient(plane.port);
  client.send(head(plane.token, "/openai/v1/responses"));
  return client.answer();
}

describe("an answer passes unaltered", () => {
  test("header order, case, repeated fields, odd values and the reason phrase", async (t) => {
    const fields = [
      ["Date", "Thu, 05 Nov 2026 10:00:00 GMT"],
      ["X-Request-ID", "Abc"],
      ["x-repeated", "one"],
      ["X-REPEATED", "two, three"],
      ["x-empty", ""],
      ["x-latin", "caf\xe9 \x80\xff"],
      ["x-tab", "a\tb"],
      ["openai-processing-ms", "12"],
      ["WWW-Authenticate", 'Bearer realm="x"'],
      ["Location", "https://elsewhere.example/"],
      ["Content-Length", "2"],
    ];
    const text = fields.map(([name, value]) => `${name ?? ""}: ${value ?? ""}\r\n`).join("");
    const answer = await pass(t, `HTTP/1.1 418 I'm  a (tea) pot\r\n${text}\r\nok`);
    assert.equal(answer.line, "HTTP/1.1 418 I'm  a (tea) pot");
    const ours = ["connection", "keep-alive"];
    const passed = answer.headers.filter(([name]) => !ours.includes(name.toLowerCase()));
    assert.deepEqual(passed, fields);
    assert.equal(answer.body, "ok");
  });

  test("a field folded over lines is refused or comes as one line, never as two fields", async (t) => {
    const answer = await pass(
      t,
      "HTTP/1.1 200 OK\r\nx-folded: one\r\n  Set-Cookie: two\r\ncontent-length: 0\r\n\r\n",
    );
    if (answer.status === 502) return;
    assert.equal(answer.header("set-cookie"), undefined);
    assert.match(answer.header("x-folded") ?? "", /^one +Set-Cookie: two$/);
  });

  test("trailers", async (t) => {
    const answer = await pass(
      t,
      "HTTP/1.1 200 OK\r\nTrailer: X-Checksum\r\nTransfer-Encoding: chunked\r\n\r\n" +
        "5\r\nhello\r\n0\r\nX-Checksum: 5d41\r\nSet-Cookie: a=b\r\n\r\n",
    );
    assert.equal(answer.header("trailer"), "X-Checksum");
    assert.equal(answer.body, "hello");
    assert.deepEqual(answer.trailers, [["X-Checksum", "5d41"]]);
  });

  test("a compressed body", async (t) => {
    const zipped = gzipSync("a compressed answer ".repeat(1000));
    const answer = await pass(
      t,
      Buffer.concat([
        Buffer.from(
          `HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${zipped.length}\r\n\r\n`,
        ),
        zipped,
      ]),
    );
    assert.equal(answer.header("content-encoding"), "gzip");
    const body = Buffer.from(answer.body, "latin1");
    assert.deepEqual(body, zipped);
    assert.equal(gunzipSync(body).length, 20_000);
  });

  test("any status", async (t) => {
    let status = 0;
    const upstream = await createWireUpstream(({ socket }) => {
      socket.on("data", () => {
        socket.write(`HTTP/1.1 ${status} As It Is\r\nlocation: /x\r\ncontent-length: 2\r\n\r\nok`);
      });
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    for (status of [201, 301, 302, 307, 400, 401, 403, 404, 408, 413, 429, 500, 503, 529, 999]) {
      client.send(head(plane.token, "/openai/v1/responses"));
      const answer = await client.answer();
      assert.equal(answer.line, `HTTP/1.1 ${status} As It Is`);
      assert.equal(answer.header("location"), "/openai/x");
      assert.equal(answer.body, "ok");
      assert.equal(answer.header("x3sproxy-refusal"), undefined);
    }
  });
});
