import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { head, openWireClient } from "../support/wire.ts";

const CHUNKED = ["transfer-encoding: chunked"];
const SMUGGLED = "GET /v1/smuggled HTTP/1.1\r\nhost: x\r\n\r\n";

interface Case {
  method: string;
  headers?: string[];
  sent?: string;
  body?: string;
}

const CASES: Case[] = [
  { method: "GET" },
  { method: "POST" },
  { method: "DELETE" },
  { method: "OPTIONS" },
  { method: "PATCH", headers: ["content-length: 0"] },
  { method: "DELETE", headers: ["content-length: 0"] },
  { method: "GET", headers: ["content-length: 0"] },
  ...["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"].flatMap((method): Case[] => [
    { method, headers: ["content-length: 5"], sent: "hello", body: "hello" },
    {
      method,
      headers: CHUNKED,
      sent: "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
      body: "hello world",
    },
    {
      method,
      headers: CHUNKED,
      sent: `${SMUGGLED.length.toString(16)};ext=1\r\n${SMUGGLED}\r\n0\r\nx-trailer: 1\r\n\r\n`,
      body: SMUGGLED,
    },
    { method, headers: CHUNKED, sent: "0\r\n\r\n", body: "" },
  ]),
];

describe("a request goes up as exactly one request, its body intact", () => {
  test("by every method, with every framing", async (t) => {
    const seen: { method: string | undefined; url: string | undefined; body: string }[] = [];
    const upstream = await createHttpUpstream((request, response) => {
      void request.toArray().then((parts) => {
        const body = Buffer.concat(parts as Buffer[]).toString("latin1");
        seen.push({ method: request.method, url: request.url, body });
        response.end("done");
      });
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    for (const [n, { method, headers = [], sent = "", body = "" }] of CASES.entries()) {
      client.send(head(plane.token, `/openai/v1/case/${n}`, { method, headers }) + sent);
      const answer = await client.answer(method);
      assert.equal(answer.status, 200, `${method} ${headers.join()} ${sent}`);
      assert.equal(answer.body, "done");
      assert.deepEqual(seen.splice(0), [{ method, url: `/v1/case/${n}`, body }]);
    }
    assert.equal(upstream.requests, CASES.length);
  });
});
