import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { describe, test } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { createWireUpstream, head, openWireClient } from "../support/wire.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const TARGET = "/openai/v1/responses";

interface Kind {
  headers: string[];
  body: string;
}
const BUFFERED: Record<string, Kind> = {
  "without a body": { headers: [], body: "" },
  "with a small body": { headers: ["content-length: 5"], body: "hello" },
};
const STREAMED: Record<string, Kind> = {
  "with a chunked body": {
    headers: ["transfer-encoding: chunked"],
    body: "5\r\nhello\r\n0\r\n\r\n",
  },
  "with a large body": { headers: ["content-length: 400000"], body: "x".repeat(400_000) },
};
const ENDS: Record<string, (socket: Socket) => void> = {
  FIN: (socket) => void socket.end(),
  RST: (socket) => void socket.resetAndDestroy(),
};

/** An upstream that answers the first request, and does `act` to the next ones, up to `times`. It counts header sections. */
async function createStale(act: (socket: Socket) => void, times: number) {
  let requests = 0;
  let left = times;
  const upstream = await createWireUpstream((connection) => {
    const { socket } = connection;
    let whole = "";
    socket.on("data", (chunk) => {
      whole += chunk.toString("latin1");
      const isHead = /^[A-Z]+ \/v1/.test(chunk.toString("latin1"));
      if (isHead) requests++;
      if (requests > 1 && left > 0) {
        if (isHead) left--;
        act(socket);
      } else if (/\r\n\r\n$|hello$|x{1000}$|0\r\n\r\n$/.test(whole)) {
        if (whole.includes("400000") && whole.length < 400_000) return;
        whole = "";
        socket.write(OK);
      }
    });
  });
  return {
    upstream,
    requests: () => requests,
  };
}

describe("a stale connection costs at most one retry", () => {
  for (const [end, act] of Object.entries(ENDS)) {
    for (const [what, { headers, body }] of Object.entries(BUFFERED)) {
      test(`a request ${what}, ${end}: sent again once, and answered`, async (t) => {
        const { upstream, requests } = await createStale(act, 1);
        t.after(() => upstream.close());
        const plane = await openWithUpstream(t, upstream.origin);
        const client = await openWireClient(plane.port);
        for (let n = 0; n < 2; n++) {
          client.send(head(plane.token, TARGET, { method: "POST", headers }) + body);
          assert.equal((await client.answer()).body, "ok");
        }
        assert.equal(requests(), 3);
        assert.equal(plane.logged().filter((line) => line["msg"] === "exchange").length, 2);
      });

      test(`a request ${what}, ${end} each time: not sent a third time`, async (t) => {
        const { upstream, requests } = await createStale(act, Infinity);
        t.after(() => upstream.close());
        const plane = await openWithUpstream(t, upstream.origin);
        const client = await openWireClient(plane.port);
        client.send(head(plane.token, TARGET, { method: "POST", headers }) + body);
        assert.equal((await client.answer()).body, "ok");
        client.send(head(plane.token, TARGET, { method: "POST", headers }) + body);
        const answer = await client.answer();
        assert.equal(answer.header("x3sproxy-refusal"), "upstream_unreachable");
        assert.equal(requests(), 3);
      });
    }

    for (const [what, { headers, body }] of Object.entries(STREAMED)) {
      test(`a request ${what}, ${end}: never sent again`, async (t) => {
        const { upstream, requests } = await createStale(act, 1);
        t.after(() => upstream.close());
        const plane = await openWithUpstream(t, upstream.origin);
        const client = await openWireClient(plane.port);
        client.send(head(plane.token, TARGET));
        assert.equal((await client.answer()).body, "ok");
        client.send(head(plane.token, TARGET, { method: "POST", headers }) + body);
        const answer = await client.answer();
        assert.equal(answer.header("x3sproxy-refusal"), "upstream_unreachable");
        assert.equal(requests(), 2);
      });
    }
  }

  test("a fresh connection is not tried again", async (t) => {
    let requests = 0;
    const upstream = await createWireUpstream(({ socket }) => {
      socket.on("data", () => {
        requests++;
        socket.end();
      });
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    for (let n = 1; n <= 3; n++) {
      client.send(head(plane.token, TARGET));
      assert.equal((await client.answer()).status, 502);
      assert.equal(requests, n);
    }
  });

  for (const [what, bytes] of Object.entries({
    "part of a status line": "HTTP/1.",
    "part of a header section": "HTTP/1.1 200 OK\r\ncont",
    "an interim answer": "HTTP/1.1 103 Early Hints\r\n\r\n",
  })) {
    test(`nothing is sent again after ${what}`, async (t) => {
      const { upstream, requests } = await createStale((socket) => void socket.end(bytes), 1);
      t.after(() => upstream.close());
      const plane = await openWithUpstream(t, upstream.origin);
      const client = await openWireClient(plane.port);
      client.send(head(plane.token, TARGET));
      assert.equal((await client.answer()).body, "ok");
      client.send(head(plane.token, TARGET));
      let answer = await client.answer();
      if (answer.status < 200) answer = await client.answer();
      assert.equal(answer.header("x3sproxy-refusal"), "upstream_protocol_error");
      assert.equal(requests(), 2);
    });
  }

  test("nor when the upstream has had the time to work on it", async (t) => {
    const { upstream, requests } = await createStale(
      (socket) => void setTimeout(() => socket.destroy(), 1_600),
      1,
    );
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, TARGET));
    assert.equal((await client.answer()).body, "ok");
    client.send(head(plane.token, TARGET));
    assert.equal((await client.answer()).header("x3sproxy-refusal"), "upstream_unreachable");
    assert.equal(requests(), 2);
  });
});
