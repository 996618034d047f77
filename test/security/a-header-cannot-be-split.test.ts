// Line breaks and controls in header fields, in either direction, end the connection instead of making new fields.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, askRaw, openTarget } from "../support/attack.ts";
import { openWithUpstream } from "../support/data-plane.ts";
import { createWireUpstream } from "../support/wire.ts";

test("a request with a split, folded or malformed field is not forwarded", async (t) => {
  const { plane, token, upstream } = await openTarget(t);
  for (const field of [
    "X-A: b\nX-Api-Key: c",
    "X-A: b\rX-Api-Key: c",
    "X-A: b\u0000c",
    "X-A: b\u0001c",
    "X-A: b\u007fc",
    "X-A: b\r\n folded",
    "X-A: b\r\n\tfolded",
    "X-A : b",
    "X A: b",
    ": b",
    "X(A): b",
    "X-A\u0000: b",
    "no colon",
    " X-A: b",
  ]) {
    const { status, header } = await askRaw(
      plane.port,
      `GET /openai/v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n${field}\r\nConnection: close\r\n\r\n`,
    );
    assert.equal(status, 400, JSON.stringify(field));
    assert.equal(header("x3sproxy-refusal"), "bad_request", JSON.stringify(field));
  }
  assert.equal(upstream.connections.length, 0);
});

test("an answer with a split, folded or malformed field does not get through", async (t) => {
  let field = "";
  const upstream = await createWireUpstream(({ socket }) => {
    socket.on("data", () =>
      socket.write(
        Buffer.from(`HTTP/1.1 200 OK\r\n${field}\r\nContent-Length: 2\r\n\r\nok`, "latin1"),
      ),
    );
  });
  t.after(() => upstream.close());
  const { port, token } = await openWithUpstream(t, upstream.origin);
  const get = ["GET /openai/v1/models HTTP/1.1", `Authorization: Bearer ${token}`];
  for (field of [
    "X-A: b\u0000c",
    "X-A: b\u0001c",
    "X-A: b\u007fc",
    "X-A: b\r\n X3sproxy-Refusal: folded",
    "X-A : b",
    "X A: b",
    "X-A: b\rX3sproxy-Refusal: c",
    ": b",
  ]) {
    const { status, header, text } = await ask(port, get);
    assert.ok(status === 502 || text === "", `${JSON.stringify(field)}: ${text}`);
    if (text !== "") assert.equal(header("x3sproxy-refusal"), "upstream_protocol_error");
  }
  field = "X-A: fine";
  assert.equal((await ask(port, get)).status, 200, "still serving");
});
