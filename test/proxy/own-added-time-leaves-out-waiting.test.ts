// The one figure by which the proxy is judged: it must hold what is ours, and nothing that somebody else takes.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { withOwner } from "../../src/db/connection.ts";
import { valueOf } from "../metrics/exposition.ts";
import { openWithUpstream, type DataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createEcho, openWebSocket } from "../support/websocket-upstream.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { head, openWireClient } from "../support/wire.ts";

const SLOW_MS = 400;
const TARGET = "/openai/v1/responses";

interface Times {
  readonly addedS: number;
  readonly addedCount: number;
  readonly firstByteS: number;
  readonly totalS: number;
}

/** The sums so far, once `count` exchanges have been measured. */
async function timesAfter(plane: DataPlane, count: number): Promise<Times> {
  return eventually(async () => {
    const text = await plane.metrics.text();
    if (valueOf(text, "x3sproxy_exchange_duration_seconds_count") < count) return undefined;
    return {
      addedS: valueOf(text, "x3sproxy_added_seconds_sum"),
      addedCount: valueOf(text, "x3sproxy_added_seconds_count"),
      firstByteS: valueOf(text, "x3sproxy_first_byte_seconds_sum"),
      totalS: valueOf(text, "x3sproxy_exchange_duration_seconds_sum"),
    };
  });
}

/** A plane whose upstream waits before it answers, and before it ends its answer; its grant is in the cache. */
async function openSlow(t: TestContext) {
  const upstream = await createHttpUpstream((request, response) => {
    request.resume().on("end", () => {
      const waitMs = request.headers["x-slow"] === undefined ? 0 : SLOW_MS;
      setTimeout(() => {
        response.write("a");
        setTimeout(() => response.end("b"), waitMs);
      }, waitMs);
    });
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const warm = await fetch(`${plane.url}${TARGET}`, {
    headers: { authorization: `Bearer ${plane.token}` },
  });
  assert.equal(await warm.text(), "ab");
  return { plane, before: await timesAfter(plane, 1) };
}

test("an upstream that takes its time, before and within its answer", async (t) => {
  const { plane, before } = await openSlow(t);
  const answer = await fetch(`${plane.url}${TARGET}`, {
    headers: { authorization: `Bearer ${plane.token}`, "x-slow": "1" },
  });
  assert.equal(await answer.text(), "ab");
  const after = await timesAfter(plane, 2);
  assert.equal(after.addedCount, before.addedCount + 1);
  assert.ok(after.firstByteS - before.firstByteS >= (SLOW_MS - 1) / 1000);
  assert.ok(after.totalS - before.totalS >= (2 * SLOW_MS - 2) / 1000);
  const addedMs = (after.addedS - before.addedS) * 1000;
  assert.ok(addedMs > 0 && addedMs < SLOW_MS / 2, `${addedMs} ms`);
});

for (const framing of ["content-length: 4", "transfer-encoding: chunked"]) {
  test(`a client that takes its time with its body (${framing})`, async (t) => {
    const { plane, before } = await openSlow(t);
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, TARGET, { method: "POST", headers: [framing] }));
    await delay(SLOW_MS);
    client.send(framing.startsWith("content") ? "body" : "4\r\nbody\r\n0\r\n\r\n");
    assert.equal((await client.answer()).line, "HTTP/1.1 200 OK");
    client.socket.destroy();
    const after = await timesAfter(plane, 2);
    assert.equal(after.addedCount, before.addedCount + 1);
    assert.ok(after.firstByteS - before.firstByteS >= (SLOW_MS - 1) / 1000);
    const addedMs = (after.addedS - before.addedS) * 1000;
    assert.ok(addedMs > 0 && addedMs < SLOW_MS / 2, `${addedMs} ms`);
  });
}

test("what the proxy's own database takes is in it", async (t) => {
  const { plane, before } = await openSlow(t);
  const token = await plane.deploy("other");
  const answered = await withOwner(plane.ownerUrl, (sql) =>
    sql.begin(async (transaction) => {
      await transaction`lock table x3sproxy.agents in access exclusive mode`;
      const answer = fetch(`${plane.url}${TARGET}`, {
        headers: { authorization: `Bearer ${token}` },
      });
      await eventually(
        async () => valueOf(await plane.metrics.text(), "x3sproxy_open_exchanges") === 1,
      );
      await delay(SLOW_MS);
      return { answer };
    }),
  );
  assert.equal(await (await answered.answer).text(), "ab");
  const after = await timesAfter(plane, 2);
  assert.ok(after.addedS - before.addedS >= (SLOW_MS - 1) / 1000);
});

test("a refusal, and an upstream that is not there, are not in it", async (t) => {
  const { plane, before } = await openSlow(t);
  for (const authorization of ["Bearer nonsense", `Bearer ${plane.token}`]) {
    const target = authorization === "Bearer nonsense" ? TARGET : "/anthropic/v1/messages";
    const answer = await fetch(`${plane.url}${target}`, { headers: { authorization } });
    assert.notEqual(answer.headers.get("x3sproxy-refusal"), null);
  }
  await eventually(
    async () => valueOf(await plane.metrics.text(), "x3sproxy_exchanges_total") === 3,
  );
  assert.deepEqual(await timesAfter(plane, 1), before);
});

test("a WebSocket has one, too, and is open until it ends", async (t) => {
  const upstream = await createEcho();
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const socket = await openWebSocket(`${plane.url}/openai/v1/realtime`, {
    headers: { authorization: `Bearer ${plane.token}` },
  });
  const open = async (): Promise<number> =>
    valueOf(await plane.metrics.text(), "x3sproxy_open_websockets");
  assert.equal(await open(), 1);
  await delay(SLOW_MS);
  socket.close();
  await eventually(async () => (await open()) === 0);
  const { addedCount, addedS, totalS } = await timesAfter(plane, 1);
  assert.equal(addedCount, 1);
  assert.ok(totalS >= (SLOW_MS - 1) / 1000, "it was open for so long");
  assert.ok(addedS > 0 && addedS < SLOW_MS / 2 / 1000, `${addedS} s`);
});
