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
  method?: string;
  headers: string[];
  body: string;
}
const NO_BODY: Kind = { headers: [], body: "" };
const SMALL = { headers: ["content-length: 5"], body: "hello" };
const KEY = "Idempotency-Key: 3f0c";
/** What may be done twice (RFC 9110, 9.2.2). */
const SENT_AGAIN: Record<string, Kind> = {
  GET: { ...NO_BODY, method: "GET" },
  OPTIONS: { ...NO_BODY, method: "OPTIONS" },
  "PUT with a body": { ...SMALL, method: "PUT" },
  DELETE: { ...NO_BODY, method: "DELETE" },
  "POST with an idempotency key": { ...NO_BODY, headers: [KEY] },
  "POST with an idempotency key and a body": { ...SMALL, headers: [...SMALL.headers, KEY] },
};
const NEVER_SENT_AGAIN: Record<string, Kind> = {
  POST: NO_BODY,
  "POST with a small body": SMALL,
  "POST with an empty idempotency key": { ...NO_BODY, headers: ["Idempotency-Key:"] },
  "POST with an idempotency key that does not go up": {
    ...NO_BODY,
    headers: [KEY, "Connection: idempotency-key"],
  },
  "PATCH with a small body": { ...SMALL, method: "PATCH" },
  "PUT with a chunked body": {
    method: "PUT",
    headers: ["transfer-encoding: chunked"],
    body: "5\r\nhello\r\n0\r\n\r\n",
  },
  "PUT with a large body": {
    method: "PUT",
    headers: ["content-length: 400000"],
    body: "x".repeat(400_000),
  },
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
      const isHead = /^[A-Z]+ \/v1/.test(text);
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
  const call = async (
    { method = "POST", headers, body }: Kind,
    target = TARGET,
  ): Promise<Answer> => {
    client.send(head(plane.token, target, { method, headers }) + body);
    const answer = await client.answer();
    return answer.status < 200 ? client.answer() : answer;
  };

  for (const [end, act] of Object.entries(ENDS)) {
    for (const [what, kind] of Object.entries(SENT_AGAIN)) {
      await t.test(`${what}, ${end}: sent again once, and answered`, async () => {
        upstream.arm(act, 1);
        const path = `/v1/${end}-${what.replaceAll(" ", "-")}`;
        assert.equal((await call(kind, `/openai${path}`)).body, "ok");
        assert.equal((await call(kind, `/openai${path}`)).body, "ok");
        assert.equal(upstream.requests(), 3);
        await eventually(() => plane.logged().filter((line) => line["path"] === path).length === 2);
      });

      await t.test(`${what}, ${end} each time: not sent a third time`, async () => {
        upstream.arm(act, Infinity);
        assert.equal((await call(kind)).body, "ok");
        const answer = await call(kind);
        assert.equal(answer.header("x3sproxy-refusal"), "upstream_unreachable");
        assert.equal(upstream.requests(), 3);
      });
    }

    for (const [what, kind] of Object.entries(NEVER_SENT_AGAIN)) {
      await t.test(`${what}, ${end}: never sent again`, async () => {
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
      const answer = await call({ ...NO_BODY, method: "GET" });
      assert.equal(answer.header("x3sproxy-refusal"), "upstream_protocol_error");
      assert.equal(upstream.requests(), 2);
    });
  }

  await t.test("nor when the upstream has had the time to work on it", async () => {
    upstream.arm((socket) => void setTimeout(() => socket.destroy(), 1_600), 1);
    assert.equal((await call(NO_BODY)).body, "ok");
    const answer = await call({ ...NO_BODY, method: "GET" });
    assert.equal(answer.header("x3sproxy-refusal"), "upstream_unreachable");
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
