import assert from "node:assert/strict";
import { once } from "node:events";
import { test, type TestContext } from "node:test";
import { actorIn } from "../support/actor.ts";
import { openDataPlane, type DataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { get, limitWorkspace, refusalOf } from "../support/limits.ts";
import { createWebSocketUpstream, openWebSocket } from "../support/websocket-upstream.ts";
import {
  createWireUpstream,
  head,
  openWireClient,
  type UpstreamConnection,
} from "../support/wire.ts";

const BEGUN = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

interface Ground {
  readonly plane: DataPlane;
  readonly token: string;
  /** The connection on which the upstream has a call to /v1/held. */
  readonly held: () => Promise<UpstreamConnection>;
  /** Begins a call to it. */
  readonly begin: () => ReturnType<typeof openWireClient>;
  /** Fails unless the one stream that there may be is taken, then free. */
  readonly assertTaken: () => Promise<void>;
  readonly assertFree: () => Promise<void>;
}

async function open(t: TestContext, env: Record<string, string> = {}): Promise<Ground> {
  const held: UpstreamConnection[] = [];
  const upstream = await createWireUpstream((connection) => {
    connection.socket.on("data", (chunk) => {
      const text = chunk.toString("latin1");
      if (text.includes(" /v1/models ")) connection.socket.write(OK);
      else if (text.includes(" /v1/held ")) held.push(connection);
    });
  });
  t.after(() => upstream.close());
  const plane = await openDataPlane(t, {
    env: { X3SPROXY_ORIGIN_OPENAI: upstream.origin, ...env },
  });
  await plane.save("openai");
  const token = await plane.deploy("one", { limits: { openStreams: 1 } });
  return {
    plane,
    token,
    held: () => eventually(() => held.at(-1)),
    async begin() {
      const client = await openWireClient(plane.port);
      const headers = ["Content-Length: 0"];
      client.send(head(token, "/openai/v1/held", { method: "POST", headers }));
      return client;
    },
    async assertTaken() {
      const refused = await get(plane, token);
      assert.equal(refused.status, 429);
      assert.equal(refused.header("x3sproxy-refusal"), "too_many_streams");
      assert.equal(refused.header("retry-after"), "1");
    },
    async assertFree() {
      await eventually(async () => (await refusalOf(plane, token)) === undefined, 2000);
    },
  };
}

test("its answer is complete", async (t) => {
  const { begin, held, assertTaken, assertFree } = await open(t);
  const client = await begin();
  const { socket } = await held();
  await assertTaken();
  socket.write(BEGUN);
  await client.until((bytes) => bytes.includes("hello"));
  await assertTaken();
  socket.write("0\r\n\r\n");
  await client.answer();
  await assertFree();
  client.socket.destroy();
});

test("one call after the other is never refused", async (t) => {
  const { plane, token } = await open(t);
  for (let i = 0; i < 200; i++) assert.equal(await refusalOf(plane, token), undefined, `call ${i}`);
});

test("its client leaves before the answer, and within it", async (t) => {
  for (const begun of [false, true]) {
    const { begin, held, assertTaken, assertFree } = await open(t);
    const client = await begin();
    const { socket } = await held();
    if (begun) {
      socket.write(BEGUN);
      await client.until((bytes) => bytes.includes("hello"));
    }
    await assertTaken();
    client.socket.destroy();
    await assertFree();
  }
});

test("its client leaves within its body", async (t) => {
  const { plane, token, assertTaken, assertFree } = await open(t);
  const client = await openWireClient(plane.port);
  const headers = ["Content-Length: 10", "Expect: 100-continue"];
  client.send(head(token, "/openai/v1/held", { method: "POST", headers }));
  assert.equal((await client.answer()).status, 100);
  client.send("half");
  await assertTaken();
  client.socket.destroy();
  await assertFree();
});

test("the upstream breaks off before the answer, and within it", async (t) => {
  for (const begun of [false, true]) {
    const { begin, held, assertTaken, assertFree } = await open(t);
    const client = await begin();
    const { socket } = await held();
    if (begun) {
      socket.write(BEGUN);
      await client.until((bytes) => bytes.includes("hello"));
    }
    await assertTaken();
    socket.destroy();
    await assertFree();
    client.socket.destroy();
  }
});

test("a deadline ends it", async (t) => {
  const { begin, held, assertTaken, assertFree } = await open(t, {
    X3SPROXY_FIRST_BYTE_TIMEOUT: "800ms",
  });
  const client = await begin();
  await held();
  await assertTaken();
  assert.equal((await client.answer()).status, 504);
  await assertFree();
});

test("it can't be sent at all", async (t) => {
  const { plane } = await open(t, { X3SPROXY_ORIGIN_GROQ: "http://127.0.0.1:1" });
  await plane.save("groq", "gsk_FAKE-groq-key-0123456789abcdef");
  const token = await plane.deploy("none", { limits: { openStreams: 1 } });
  for (let i = 0; i < 3; i++) {
    const client = await openWireClient(plane.port);
    client.send(head(token, "/groq/openai/v1/models"));
    assert.equal((await client.answer()).status, 502);
    client.socket.destroy();
  }
});

test("WebSockets: either side closes it, its token ends, or it is not granted", async (t) => {
  const upstream = await createWebSocketUpstream((socket) =>
    socket.on("message", () => socket.terminate()),
  );
  const refusing = await createWebSocketUpstream(() => undefined, {
    refuse: "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
  });
  t.after(() => Promise.all([upstream.close(), refusing.close()]));
  const plane = await openDataPlane(t, {
    env: { X3SPROXY_ORIGIN_OPENAI: upstream.origin, X3SPROXY_ORIGIN_GROQ: refusing.origin },
  });
  await plane.save("openai");
  await plane.save("groq", "gsk_FAKE-groq-key-0123456789abcdef");
  await limitWorkspace(plane, { openWebsockets: 1 });
  const ended = await plane.deploy("ended");
  const token = await plane.deploy("stays");
  const connect = (path: string, bearer: string) =>
    openWebSocket(plane.url + path, { headers: { authorization: `Bearer ${bearer}` } });
  /** When the place is free: opens one, which takes it. */
  const next = (bearer: string) =>
    eventually(() => connect("/openai/v1/realtime", bearer).catch(() => undefined), 3000);

  const first = await next(token);
  await assert.rejects(connect("/openai/v1/realtime", token), "the place is taken");
  first.close();
  const second = await next(token);
  const closed = once(second, "close");
  second.send("end it");
  await closed;
  const third = await next(ended);
  await plane.agents.destroy(actorIn(plane.workspaceId), "ended");
  await once(third, "close");
  (await next(token)).close();
  await eventually(() => plane.logged().filter((line) => line["websocket"] === true).length >= 4);
  const ungranted = (): Promise<void> => assert.rejects(connect("/groq/v1/realtime", token));
  await eventually(async () => {
    await ungranted();
    return refusing.requests.length === 1;
  });
  await ungranted();
  await ungranted();
  assert.equal(refusing.requests.length, 3, "none of them kept the place");
  (await next(token)).close();
});
