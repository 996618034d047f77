import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { describe, test } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { createWireUpstream, head, openWireClient } from "../support/wire.ts";

const BROKEN: Record<string, { act: (socket: Socket) => void; reason: string }> = {
  "ends the connection": { act: (socket) => void socket.end(), reason: "upstream_unreachable" },
  "resets the connection": {
    act: (socket) => void socket.resetAndDestroy(),
    reason: "upstream_unreachable",
  },
  "answers with garbage": {
    act: (socket) => void socket.write("garbage\r\n\r\n"),
    reason: "upstream_protocol_error",
  },
  "answers in another protocol": {
    act: (socket) => void socket.write("SSH-2.0-OpenSSH_9.9\r\n"),
    reason: "upstream_protocol_error",
  },
  "answers with status 099": {
    act: (socket) => void socket.write("HTTP/1.1 099 Odd\r\ncontent-length: 0\r\n\r\n"),
    reason: "upstream_protocol_error",
  },
  "switches protocols unasked": {
    act: (socket) =>
      void socket.write("HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
    reason: "upstream_protocol_error",
  },
  "sends a header section without end": {
    act: (socket) => void socket.write(`HTTP/1.1 200 OK\r\nx-long: ${"x".repeat(70_000)}`),
    reason: "upstream_protocol_error",
  },
  "ends within its header section": {
    act: (socket) => void socket.end("HTTP/1.1 200 OK\r\ncontent-le"),
    reason: "upstream_protocol_error",
  },
  "ends within its status line": {
    act: (socket) => void socket.end("HTTP/1."),
    reason: "upstream_protocol_error",
  },
  "sends a header field without a name": {
    act: (socket) => void socket.write("HTTP/1.1 200 OK\r\n: x\r\n\r\n"),
    reason: "upstream_protocol_error",
  },
  "declares two lengths": {
    act: (socket) =>
      void socket.write("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
    reason: "upstream_protocol_error",
  },
  "declares a length and chunks": {
    act: (socket) =>
      void socket.write(
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
      ),
    reason: "upstream_protocol_error",
  },
  "uses an unknown transfer coding": {
    act: (socket) => void socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nabc"),
    reason: "upstream_protocol_error",
  },
};

describe("an upstream that gives no answer is refused in the provider's shape", () => {
  test("whatever is wrong with it, and the client's connection goes on", async (t) => {
    let act: ((socket: Socket) => void) | undefined;
    const upstream = await createWireUpstream(({ socket }) => {
      socket.on("data", () => {
        if (act !== undefined) act(socket);
        else socket.end("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
      });
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    for (const [n, [what, broken]] of Object.entries(BROKEN).entries()) {
      await t.test(`it ${what}`, async () => {
        upstream.connections.length = 0;
        const { reason } = broken;
        act = broken.act;
        client.send(head(plane.token, `/openai/v1/${n}`));
        const answer = await client.answer();
        assert.equal(answer.status, 502);
        assert.equal(answer.header("x3sproxy-refusal"), reason);
        const body = JSON.parse(answer.body) as { error: { code: string; message: string } };
        assert.equal(body.error.code, reason);
        assert.match(body.error.message, /OpenAI/);
        const line = await plane.exchange((one) => one["path"] === `/v1/${n}`);
        assert.equal(line["outcome"], "refused");
        assert.equal(line["reason"], reason);
        assert.equal(upstream.connections.length, 1, "a fresh connection is not tried again");

        act = undefined;
        client.send(head(plane.token, "/openai/v1/responses"));
        assert.equal((await client.answer()).body, "ok");
      });
    }
  });

  test("nobody listens there", async (t) => {
    const gone = await createWireUpstream();
    await gone.close();
    const plane = await openWithUpstream(t, gone.origin);
    const response = await fetch(`${plane.url}/openai/v1/responses`, {
      headers: { authorization: `Bearer ${plane.token}` },
    });
    assert.equal(response.status, 502);
    assert.equal(response.headers.get("x3sproxy-refusal"), "upstream_unreachable");
    const line = await plane.exchange();
    assert.equal(line["errorCode"], "ECONNREFUSED");
  });
});
