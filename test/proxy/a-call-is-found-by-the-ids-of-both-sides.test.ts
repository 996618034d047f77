// Whoever looks for a call has its trace, the id that the client gave it, or the one that the upstream gave it. The log line has all
// of them, and what goes through is left as it came.
import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { openTarget, type Target } from "../support/attack.ts";
import { openWithUpstream } from "../support/data-plane.ts";
import { createWireUpstream, openWireClient, SWITCHING, webSocketHead } from "../support/wire.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";
const TRACEPARENT = `00-${TRACE}-${SPAN}-01`;
const TRACESTATE = "congo=t61rcWkgMzE, rojo=00f067aa0ba902b7";
const IDS = ["traceId", "spanId", "clientRequestId", "upstreamRequestId"] as const;

const answerWith = (...fields: string[]): string =>
  ["HTTP/1.1 200 OK", ...fields, "content-length: 2", "", "ok"].join("\r\n");

/** Sends one call with `fields` and gives what its line has of the ids, and what the upstream saw. */
async function call(target: Target, path: string, fields: readonly string[]) {
  const { ask, plane, token, sent } = target;
  const answer = await ask([`GET ${path} HTTP/1.1`, `Authorization: Bearer ${token}`, ...fields]);
  const loggedPath = path.replace("/openai", "").replace("/gone", "");
  const line = await plane.exchange((one) => one["path"] === loggedPath);
  return { answer, seen: sent(), ids: IDS.map((name) => line[name]) };
}

const open = (t: TestContext, ...fields: string[]): Promise<Target> =>
  openTarget(t, { answer: answerWith(...fields) });

describe("a call is found by the ids of both sides", () => {
  test("trace, client's id and upstream's id are in the line; both trace headers go up as they came", async (t) => {
    const target = await open(t, "CF-RAY: 8f3a1b2c3d4e5f60-FRA", "X-Request-Id: req_0123abc");
    const { answer, seen, ids } = await call(target, "/openai/v1/one", [
      `TraceParent: ${TRACEPARENT}`,
      `tracestate: ${TRACESTATE}`,
      "tracestate: second=1",
      "X-Client-Request-Id: mine-2",
      "X-Request-Id: mine-1",
    ]);
    assert.deepEqual(ids, [TRACE, SPAN, "mine-1", "req_0123abc"]);
    for (const field of [
      `TraceParent: ${TRACEPARENT}`,
      `tracestate: ${TRACESTATE}`,
      "tracestate: second=1",
      "X-Request-Id: mine-1",
      "X-Client-Request-Id: mine-2",
    ]) {
      assert.ok(seen.includes(`\r\n${field}\r\n`), field);
    }
    assert.equal(answer.header("x-request-id"), "req_0123abc");
    assert.equal(answer.header("cf-ray"), "8f3a1b2c3d4e5f60-FRA");
    // Of ours there is nothing in an upstream's answer.
    assert.ok(!answer.text.toLowerCase().includes("x3sproxy"));
  });

  test("a malformed trace goes up as it came, and is not in the line", async (t) => {
    const target = await open(t, "cf-ray: 8f3a1b2c3d4e5f60-FRA");
    for (const [i, value] of [
      `01-${TRACE}-${SPAN}-01`,
      `00-${TRACE.toUpperCase()}-${SPAN}-01`,
      `00-${"0".repeat(32)}-${SPAN}-01`,
      "nonsense",
    ].entries()) {
      const { seen, ids } = await call(target, `/openai/v1/bad${i}`, [`traceparent: ${value}`]);
      assert.ok(seen.includes(`\r\ntraceparent: ${value}\r\n`));
      assert.deepEqual(ids, [undefined, undefined, undefined, "8f3a1b2c3d4e5f60-FRA"]);
    }
    const { ids } = await call(target, "/openai/v1/two", [
      `traceparent: ${TRACEPARENT}`,
      `traceparent: ${TRACEPARENT}`,
    ]);
    assert.deepEqual(ids.slice(0, 2), [undefined, undefined]);
  });

  test("a refusal is found by them, too, whenever it is refused", async (t) => {
    const { ask, plane, token } = await open(t);
    const fields = [`traceparent: ${TRACEPARENT}`, "x-request-id: mine"];
    const bearer = `Authorization: Bearer ${token}`;
    for (const [path, ...more] of [
      ["/openai/v1/no-token"],
      ["/openai/v1/%2e%2e/bad", bearer],
      ["/anthropic/v1/no-secret", bearer],
    ] as const) {
      const answer = await ask([`GET ${path} HTTP/1.1`, ...fields, ...more]);
      const reason = answer.header("x3sproxy-refusal");
      assert.notEqual(reason, undefined);
      const line = await plane.exchange((one) => one["reason"] === reason);
      assert.deepEqual(
        IDS.map((name) => line[name]),
        [TRACE, SPAN, "mine", undefined],
        path,
      );
      // The id of the line is the request id of our own answers.
      assert.ok(answer.text.includes(String(line["exchangeId"])));
    }
  });

  test("a WebSocket is, too", async (t) => {
    const upstream = await createWireUpstream(({ socket }) => {
      const head = SWITCHING.replace("\r\n\r\n", "\r\nx-request-id: req_ws\r\n\r\n");
      socket.once("data", () => socket.end(head));
    });
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const client = await openWireClient(plane.port);
    const head = webSocketHead(plane.token, "/openai/v1/realtime");
    client.send(head.replace("\r\n", `\r\ntraceparent: ${TRACEPARENT}\r\n`));
    await client.ended();
    const line = await plane.exchange();
    assert.deepEqual(
      IDS.map((name) => line[name]),
      [TRACE, SPAN, undefined, "req_ws"],
    );
  });
});
