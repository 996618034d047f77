import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { test } from "node:test";
import type { Answer } from "../support/answers.ts";
import { openWithUpstream } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createWireUpstream, head, openWireClient } from "../support/wire.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const BODY_END = /\r\n\r\n$|hello$|\r\n0\r\n\r\n$/;
const TARGET = "/openai/v1/responses";

interface Kind {
  headers: string[];
  body: string;
}
const NO_BODY: Kind = { headers: [], body: "" };
const BUFFERED: Record<string, Kind> = {
  "without a body": NO_BODY,
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

/** An upstream that answers the first request after `arm`, and does `act` to the next ones, `times` times. */
async function createStale() {
  let requests = 0;
  let left = 0;
  let act: (socket: Socket) => void = () => undefined;
  const upstream = await createWireUpstream(({ socket }) => {
    let whole = "";
    socket.on("data", (chunk: Buffer) => {
      const text = chunk.toString("latin1");
      whole += text;
      const isHead = text.startsWith("POST /v1");
      if (isHead) requests++;
      if (requests > 1 && left > 0) {
        if (isHead) left--;
        act(socket);
      } else if (whole.includes("400000") ? whole.length > 400_000 : BODY_END.test(whole)) {
        whole = "";
        socket.write(OK);
      }
    });
  });
  return {
    ...upstream,
    requests: () => requests,
    /** Begins anew, on new connections. */
    arm(what: (socket: Socket) => void, times: number) {
      for (const { socket } of upstream.connections) socket.destroy();
      requests = 0;
      left = times;
      act = what;
    },
  };
}

test("a stale connection costs at most one retry", async (t) => {
  const upstream = await createStale();
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const client = await openWireClient(plane.port);
  const call = async ({ headers, body }: Kind, target = TARGET): Promise<Answer> => {
    client.send(head(plane.token, target, { method: "POST", headers }) + body);
    const answer = await client.answer();
    return answer.status < 200 ? client.answer() : answer;
  };

  for (const [end, act] of Object.entries(ENDS)) {
    for (const [what, kind] of Object.entries(BUFFERED)) {
      await t.test(`a request ${what}, ${end}: sent again once, and answered`, async () => {
        upstream.arm(act, 1);
        const path = `/v1/${end}-${kind.headers.length}`;
        assert.equal((await call(kind, `/openai${path}`)).body, "ok");
        assert.equal((await call(kind, `/openai${path}`)).body, "ok");
        assert.equal(upstream.requests(), 3);
        await eventually(() => plane.logged().filter((line) => line["path"] === path).length === 2);
      });

      await t.test(`a request ${what}, ${end} each time: not sent a third time`, async () => {
        upstream.arm(act, Infinity);
        assert.equal((await call(kind)).body, "ok");
        const answer = await call(kind);
        assert.equal(answer.header("x3sproxy-refusal"), "upstream_unreachable");
        assert.equal(upstream.requests(), 3);
      });
    }

    for (const [what, kind] of Object.entries(STREAMED)) {
      await t.test(`a request ${what}, ${end}: never sent again`, async () => {
        upstream.arm(act, 1);
        assert.equal((await call(NO_BODY)).body, "ok");
        const answer = await call(kind);
        assert.equal(answer.header("x3sproxy-refusal"), "upstream_unreachable");
        assert.equal(upstream.requests(), 2);
      });
    }
  }

  for (const [what, bytes] of Object.entries({
    "part of a status line": "HTTP/1.",
    "part of a header section": "HTTP/1.1 200 OK\r\ncont",
    "an interim answer": "HTTP/1.1 103 Early Hints\r\n\r\n",
  })) {
    await t.test(`nothing is sent again after ${what}`, async () => {
      upstream.arm((socket) => void socket.end(bytes), 1);
      assert.equal((await call(NO_BODY)).body, "ok");
      const answer = await call(NO_BODY);
      assert.equal(answer.header("x3sproxy-refusal"), "upstream_protocol_error");
      assert.equal(upstream.requests(), 2);
    });
  }

  await t.test("nor when the upstream has had the time to work on it", async () => {
    upstream.arm((socket) => void setTimeout(() => socket.destroy(), 1_600), 1);
    assert.equal((await call(NO_BODY)).body, "ok");
    assert.equal((await call(NO_BODY)).header("x3sproxy-refusal"), "upstream_unreachable");
    assert.equal(upstream.requests(), 2);
  });
});

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
