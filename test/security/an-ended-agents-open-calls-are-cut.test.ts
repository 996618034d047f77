// A stolen token's call that is under way must not outlive the agent: streams could go on for hours.
import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { actorIn } from "../support/actor.ts";
import { openDataPlane, type DataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createTcpGate } from "../support/tcp-gate.ts";
import {
  createWireUpstream,
  head,
  openWireClient,
  SWITCHING,
  webSocketHead,
  type WireUpstream,
} from "../support/wire.ts";

const WITHIN_MS = 1_000;
const TARGET = "/openai/v1/responses";
const ENDS = ["destroy", "suspend"] as const;
const REFUSAL = { destroy: "unknown_token", suspend: "agent_suspended" };
/** Upstream answers that have begun, by the framing of their body. */
const BEGINNINGS = {
  chunked: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
  "with a length": "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello",
  "without a length": "HTTP/1.1 200 OK\r\n\r\nhello",
  "a WebSocket": `${SWITCHING}hello`,
};

/** A clock that can be set forward. */
function createTestClock() {
  let aheadMs = 0;
  return {
    nowMs: () => Date.now() + aheadMs,
    monotonicMs: () => performance.now() + aheadMs,
    advance: (ms: number) => void (aheadMs += ms),
  };
}

async function open(
  t: TestContext,
  o: { answer?: string; env?: Record<string, string> } & Omit<
    Parameters<typeof openDataPlane>[1] & object,
    "env"
  > = {},
): Promise<{ plane: DataPlane; upstream: WireUpstream }> {
  const { answer, env, ...rest } = o;
  const upstream = await createWireUpstream(({ socket }) => {
    if (answer !== undefined) socket.once("data", () => socket.write(answer));
  });
  t.after(() => upstream.close());
  const plane = await openDataPlane(t, {
    env: { X3SPROXY_ORIGIN_OPENAI: upstream.origin, ...env },
    ...rest,
  });
  await plane.save("openai");
  return { plane, upstream };
}

/** The refusal of a new call, or undefined. */
async function refusalAt(port: number, token: string): Promise<string | undefined> {
  const client = await openWireClient(port);
  client.send(head(token, "/_x3sproxy/token"));
  const { headers } = await client.answer();
  client.socket.destroy();
  return headers.find(([name]) => name.toLowerCase() === "x3sproxy-refusal")?.[1];
}

describe("an answer that has begun is cut within a second, and does not look whole", () => {
  for (const [framing, answer] of Object.entries(BEGINNINGS)) {
    test(framing, async (t) => {
      const { plane, upstream } = await open(t, { answer });
      const other = await openDataPlane(t, {
        env: { X3SPROXY_ORIGIN_OPENAI: upstream.origin },
        database: plane.database,
      });
      const isWebSocket = framing === "a WebSocket";
      let connections = 0;
      for (const end of ENDS) {
        for (const version of isWebSocket ? ["1.1"] : ["1.1", "1.0"]) {
          const name = `${end}-${version}`;
          const token = await plane.deploy(name);
          const clients = await Promise.all(
            [plane, other].map(async ({ port }) => {
              const client = await openWireClient(port);
              client.send(
                isWebSocket ? webSocketHead(token, TARGET) : head(token, TARGET, { version }),
              );
              await client.until((received) => received.includes("hello"));
              return client;
            }),
          );
          const startMs = performance.now();
          await plane.agents[end](actorIn(plane.workspaceId), name);
          const ended = await Promise.all(clients.map((client) => client.ended()));
          assert.ok(performance.now() - startMs < WITHIN_MS, `${performance.now() - startMs} ms`);
          const tellsItsEnd = isWebSocket || (version === "1.1" && framing !== "without a length");
          if (!tellsItsEnd) assert.deepEqual(ended, ["reset", "reset"]);
          if (!isWebSocket) for (const client of clients) await assert.rejects(client.answer());
          for (let i = 0; i < 2; i++) {
            const { socket } = await upstream.connection(connections++);
            await eventually(() => socket.closed, WITHIN_MS);
          }
          for (const each of [plane, other]) {
            const line = await each.exchange((one) => one["agent"] === name);
            assert.equal(line["outcome"], "cut");
            assert.equal(await refusalAt(each.port, token), REFUSAL[end]);
          }
        }
      }
    });
  }
});

test("a call that has nothing of an answer yet is refused", async (t) => {
  const { plane, upstream } = await open(t);
  for (const [i, end] of ENDS.entries()) {
    const token = await plane.deploy(end);
    const client = await openWireClient(plane.port);
    client.send(head(token, TARGET));
    const { socket } = await upstream.connection(i);
    await plane.agents[end](actorIn(plane.workspaceId), end);
    const { status, headers } = await client.answer();
    assert.equal(status, end === "destroy" ? 401 : 403);
    assert.deepEqual(
      headers.filter(([name]) => name.toLowerCase() === "x3sproxy-refusal").map(([, it]) => it),
      [REFUSAL[end]],
    );
    await eventually(() => socket.closed, WITHIN_MS);
    const line = await plane.exchange((one) => one["agent"] === end);
    assert.equal(line["reason"], REFUSAL[end]);
  }
});

describe("a body on its way up goes no further", () => {
  const uploads = {
    chunked: {
      fields: ["Transfer-Encoding: chunked"],
      first: "5\r\nfirst\r\n",
      more: "4\r\nmore\r\n",
    },
    "of a large length": { fields: ["Content-Length: 5000000"], first: "first", more: "more" },
    "of a small length": { fields: ["Content-Length: 9"], first: "first", more: "more" },
  };
  for (const [framing, { fields, first, more }] of Object.entries(uploads)) {
    test(framing, async (t) => {
      const { plane, upstream } = await open(t);
      const token = await plane.deploy();
      const client = await openWireClient(plane.port);
      client.send(head(token, TARGET, { method: "POST", headers: fields }) + first);
      const goesUpAtOnce = framing !== "of a small length";
      if (goesUpAtOnce) {
        await (await upstream.connection()).until((bytes) => bytes.includes("first"));
      } else {
        await eventually(
          async () => (await plane.metrics.openExchanges.get()).values[0]?.value === 1,
        );
      }
      await plane.agents.suspend(actorIn(plane.workspaceId), "agent");
      const { status } = await client.answer();
      assert.equal(status, 403);
      client.send(more);
      if (goesUpAtOnce) {
        const connection = await upstream.connection();
        await eventually(() => connection.socket.closed, WITHIN_MS);
        assert.ok(!connection.received().includes("more"));
      }
      await plane.exchange((one) => one["reason"] === "agent_suspended");
      assert.equal(upstream.connections.length, goesUpAtOnce ? 1 : 0);
    });
  }
});

test("a redeployment refuses new calls at once, and lets running ones end within the grace time", async (t) => {
  const clock = createTestClock();
  const { plane, upstream } = await open(t, { answer: BEGINNINGS.chunked, clock });
  const token = await plane.deploy();
  const [ends, stays] = [await openWireClient(plane.port), await openWireClient(plane.port)];
  for (const client of [ends, stays]) {
    client.send(head(token, TARGET));
    await client.until((received) => received.includes("hello"));
  }
  const next = await plane.deploy();
  await eventually(async () => (await refusalAt(plane.port, token)) === "unknown_token", WITHIN_MS);
  assert.equal(await refusalAt(plane.port, next), undefined);
  (await upstream.connection(0)).socket.write("5\r\nworld\r\n0\r\n\r\n");
  const { status, body } = await ends.answer();
  assert.equal(status, 200);
  assert.equal(body, "helloworld");

  // The grace is counted from when it was noticed; a second later it has been.
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  clock.advance(57_000);
  (await upstream.connection(1)).socket.write("5\r\nstill\r\n");
  await stays.until((received) => received.includes("still"));
  clock.advance(3_000);
  await stays.ended();
  await assert.rejects(stays.answer());
  const line = await plane.exchange((one) => one["outcome"] === "cut");
  assert.equal(line["deployment"], 1);
});

test("with a grace time of 0 a redeployment cuts within a second", async (t) => {
  const { plane } = await open(t, {
    answer: BEGINNINGS.chunked,
    env: { X3SPROXY_REDEPLOY_GRACE: "0s" },
  });
  const token = await plane.deploy();
  const client = await openWireClient(plane.port);
  client.send(head(token, TARGET));
  await client.until((received) => received.includes("hello"));
  const startMs = performance.now();
  await plane.deploy();
  await client.ended();
  assert.ok(performance.now() - startMs < WITHIN_MS);
  await assert.rejects(client.answer());
});

test("with the notifications cut off in silence it takes the heartbeat's time", async (t) => {
  const database = { gate: undefined as Awaited<ReturnType<typeof createTcpGate>> | undefined };
  const { plane } = await open(t, {
    answer: BEGINNINGS.chunked,
    through: async (proxyUrl) => {
      database.gate = await createTcpGate(proxyUrl);
      return database.gate.url;
    },
  });
  t.after(() => database.gate?.close());
  const token = await plane.deploy();
  const client = await openWireClient(plane.port);
  client.send(head(token, TARGET));
  await client.until((received) => received.includes("hello"));
  // The first connection is the listener's.
  database.gate?.silence(0);
  const startMs = performance.now();
  await plane.agents.suspend(actorIn(plane.workspaceId), "agent");
  await client.ended();
  const tookMs = performance.now() - startMs;
  t.diagnostic(`cut after ${Math.round(tookMs)} ms`);
  assert.ok(tookMs > WITHIN_MS, "the notification came all the same");
  assert.ok(tookMs < 10_000, `${tookMs} ms`);
});

test("with the database away altogether, what can't be confirmed is cut after 60 s", async (t) => {
  const clock = createTestClock();
  const database = { gate: undefined as Awaited<ReturnType<typeof createTcpGate>> | undefined };
  const { plane, upstream } = await open(t, {
    answer: BEGINNINGS.chunked,
    clock,
    through: async (proxyUrl) => {
      database.gate = await createTcpGate(proxyUrl);
      return database.gate.url;
    },
  });
  t.after(() => database.gate?.close());
  const token = await plane.deploy();
  const client = await openWireClient(plane.port);
  client.send(head(token, TARGET));
  await client.until((received) => received.includes("hello"));
  await database.gate?.set("refuse");
  await plane.agents.destroy(actorIn(plane.workspaceId), "agent");
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  clock.advance(54_000);
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  (await upstream.connection()).socket.write("5\r\nstill\r\n");
  await client.until((received) => received.includes("still"));
  clock.advance(6_000);
  const startMs = performance.now();
  await client.ended();
  assert.ok(performance.now() - startMs < 2_000);
  await assert.rejects(client.answer());
  const line = await plane.exchange((one) => one["msg"] === "exchange");
  assert.equal(line["outcome"], "cut");
});
