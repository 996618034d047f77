import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { test } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { createBodyHash, createHeldMeter, flood, heldMb } from "../support/flood.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { atRest } from "../support/steady.ts";

const BYTES = 200 * 1024 * 1024;
const ON_THE_WAY = 32 * 1024 * 1024;

for (const framing of ["content-length", "chunked"] as const) {
  test(`an upstream that does not read stops the upload, then gets all of it (${framing})`, async (t) => {
    let readOn = (): void => assert.fail("the upstream saw no request");
    const hash = createBodyHash();
    hash.add(Buffer.from("\r\n\r\n"));
    const held = createHeldMeter();
    const upstream = await createHttpUpstream((request, response) => {
      assert.equal(
        request.headers["content-length"],
        framing === "chunked" ? undefined : `${BYTES}`,
      );
      assert.equal(
        request.headers["transfer-encoding"],
        framing === "chunked" ? "chunked" : undefined,
      );
      readOn = () => {
        request.on("data", (chunk: Buffer) => {
          hash.add(chunk);
          held.add(chunk.length);
        });
        request.on("end", () => response.end(hash.digest()));
      };
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const beforeMb = heldMb();

    const request = httpRequest(`${plane.url}/openai/v1/files`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${plane.token}`,
        ...(framing === "chunked" ? {} : { "content-length": BYTES }),
      },
    });
    const flooding = flood(request, BYTES, () => request.end());
    const stopped = await atRest(() => flooding.sent);
    assert.ok(stopped < ON_THE_WAY, `${stopped} bytes were taken from the client`);

    const answered = once(request, "response");
    readOn();
    const [response] = (await answered) as [import("node:http").IncomingMessage];
    assert.equal((await response.toArray()).join(""), flooding.digest);
    const grownMb = held.highestMb() - beforeMb;
    assert.ok(grownMb < 64, `${grownMb} MB of buffers were held`);
    assert.equal((await plane.exchange())["requestBytes"], BYTES);
  });
}
