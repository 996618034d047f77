import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { head, openWireClient } from "../support/wire.ts";

// More than Node reads of a body ahead, so that it stops reading the connection.
const BODY = "b".repeat(70_000);
const REQUESTS = 4;

describe("a body goes on when a request waits behind it", () => {
  for (const [what, headers, body] of [
    ["in chunks", ["Transfer-Encoding: chunked"], `11170\r\n${BODY}\r\n0\r\n\r\n`],
    ["of a length", [`Content-Length: ${BODY.length}`], BODY],
  ] as const) {
    test(`pipelined bodies ${what} all arrive whole`, { timeout: 20_000 }, async (t) => {
      const upstream = await createHttpUpstream((request, response) => {
        let bytes = 0;
        request.on("data", (chunk: Buffer) => (bytes += chunk.length));
        request.on("end", () => response.end(`${request.url ?? ""} ${bytes}`));
      });
      t.after(() => upstream.close());
      const plane = await openWithUpstream(t, upstream.origin);
      const client = await openWireClient(plane.port);
      const requests = Array.from({ length: REQUESTS }, (_, n) => {
        return head(plane.token, `/openai/v1/${n}`, { method: "PUT", headers }) + body;
      });
      client.send(requests.join(""));
      for (let n = 0; n < REQUESTS; n++) {
        assert.equal((await client.answer("PUT")).body, `/v1/${n} ${BODY.length}`);
      }
    });
  }
});
