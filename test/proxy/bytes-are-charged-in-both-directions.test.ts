import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { openWithUpstream, type DataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { get, limitWorkspace, refusalOf } from "../support/limits.ts";
import { createEcho, openWebSocket } from "../support/websocket-upstream.ts";

// A hundred kilobytes at once; each ten more take a second.
const LIMIT = { bytesPerMinute: 600_000 };
const OVER = 250_000;

async function open(t: TestContext): Promise<DataPlane> {
  const upstream = await createHttpUpstream((request, response) => {
    request.resume();
    request.on("end", () => {
      if (request.url === "/v1/large") response.end(Buffer.alloc(OVER));
      else response.end("ok");
    });
  });
  t.after(() => upstream.close());
  return openWithUpstream(t, upstream.origin);
}

for (const [direction, path, bytes] of [
  ["a request's", "/openai/v1/small", OVER],
  ["an answer's", "/openai/v1/large", 0],
] as const) {
  test(`${direction} bytes are a debt of its agent's alone`, async (t) => {
    const plane = await open(t);
    const token = await plane.deploy("limited", { limits: LIMIT });
    const call = async (size: number): Promise<number> => {
      const headers = { authorization: `Bearer ${token}` };
      const method = "POST";
      const response = await fetch(`${plane.url}${path}`, {
        ...{ method, headers, body: Buffer.alloc(size) },
      });
      await response.arrayBuffer();
      return response.status;
    };
    assert.equal(await call(bytes), 200);
    const refused = await get(plane, token);
    assert.equal(refused.status, 429);
    assert.equal(refused.header("x3sproxy-refusal"), "too_many_bytes");
    const waitS = Number(refused.header("retry-after"));
    assert.ok(waitS > 10 && waitS <= 15, String(waitS));
    assert.equal(await refusalOf(plane, await plane.deploy("other")), undefined);
  });
}

test("the workspace's are those of all its agents", async (t) => {
  const plane = await open(t);
  const [one, other] = [await plane.deploy("one"), await plane.deploy("other")];
  await limitWorkspace(plane, LIMIT);
  const headers = { authorization: `Bearer ${one}` };
  assert.equal(await refusalOf(plane, other), undefined);
  await (await fetch(`${plane.url}/openai/v1/large`, { headers })).arrayBuffer();
  assert.equal(await refusalOf(plane, other), "too_many_bytes");
});

test("a stream is charged as it flows, and goes on", async (t) => {
  let more: () => void = () => undefined;
  const upstream = await createHttpUpstream(({ url }, response) => {
    if (url !== "/v1/stream") {
      response.end("ok");
      return;
    }
    response.write(Buffer.alloc(OVER));
    more = () => void response.end(Buffer.alloc(OVER));
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const token = await plane.deploy("limited", { limits: LIMIT });
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`${plane.url}/openai/v1/stream`, { headers });
  const whole = response.arrayBuffer();
  await eventually(async () => (await refusalOf(plane, token)) === "too_many_bytes", 5000);
  more();
  assert.equal((await whole).byteLength, 2 * OVER);
});

test("a WebSocket, too, in both directions", async (t) => {
  const upstream = await createEcho();
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const token = await plane.deploy("limited", { limits: LIMIT });
  const headers = { authorization: `Bearer ${token}` };
  const socket = await openWebSocket(`${plane.url}/openai/v1/realtime`, { headers });
  socket.send(Buffer.alloc(OVER));
  const waitS = await eventually(async () => {
    const answer = await get(plane, token);
    return answer.status === 429 && Number(answer.header("retry-after"));
  }, 5000);
  // 500 kB and their frames, less the burst: of one direction alone it would be 16 s.
  assert.ok(waitS > 30 && waitS <= 41, String(waitS));
  socket.send("it goes on");
  await new Promise((resolve) => socket.once("message", resolve));
  socket.close();
});
