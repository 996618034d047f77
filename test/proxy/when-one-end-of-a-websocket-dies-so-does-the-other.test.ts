import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { openWithUpstream } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createEcho, openWebSocket } from "../support/websocket-upstream.ts";
import { createWireUpstream, openWireClient, SWITCHING, webSocketHead } from "../support/wire.ts";
import { actorIn } from "../support/actor.ts";

const PATH = "/openai/v1/realtime";
const AT_ONCE_MS = 50;
const GRACE_MS = 1500;
const DEATHS: Record<string, (socket: Socket) => void> = {
  "ends its side": (socket) => void socket.end(),
  "is gone": (socket) => void socket.destroy(),
  "resets the connection": (socket) => void socket.resetAndDestroy(),
};

async function openTunnel(t: TestContext) {
  const upstream = await createWireUpstream(({ socket }) => {
    socket.once("data", () => socket.write(SWITCHING));
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const client = await openWireClient(plane.port, true);
  client.send(webSocketHead(plane.token, PATH));
  await client.until((bytes) => bytes.endsWith("\r\n\r\n"));
  return { plane, client: client.socket, upstream: (await upstream.connection()).socket };
}

/** Resolves to the milliseconds from `act` until `socket` has seen the end. */
async function ends(socket: Socket, act: () => void): Promise<number> {
  const ended = new Promise((resolve) => {
    socket.once("end", resolve).once("close", resolve);
  });
  const startMs = performance.now();
  act();
  await ended;
  return performance.now() - startMs;
}

describe("when one end of a WebSocket dies, so does the other", () => {
  for (const [what, die] of Object.entries(DEATHS)) {
    test(`the client ${what}`, async (t) => {
      const { plane, client, upstream } = await openTunnel(t);
      const tookMs = await ends(upstream, () => die(client));
      assert.ok(tookMs < AT_ONCE_MS, `${tookMs} ms`);
      await plane.exchange();
      assert.equal((await plane.metrics.openExchanges.get()).values[0]?.value, 0);
    });

    test(`the upstream ${what}`, async (t) => {
      const { plane, client, upstream } = await openTunnel(t);
      const tookMs = await ends(client, () => die(upstream));
      assert.ok(tookMs < AT_ONCE_MS, `${tookMs} ms`);
      await plane.exchange();
      assert.equal((await plane.metrics.openExchanges.get()).values[0]?.value, 0);
    });
  }

  test("what was said before the end still arrives", async (t) => {
    const { client, upstream } = await openTunnel(t);
    const last = Buffer.alloc(3_000_000, "z");
    let received = 0;
    client.pause();
    upstream.end(last);
    await once(upstream, "finish");
    client.removeAllListeners("data");
    client.on("data", (chunk) => (received += chunk.length));
    client.resume();
    await once(client, "end");
    assert.equal(received, last.length);
    client.destroy();
  });

  for (const [what, die] of Object.entries(DEATHS)) {
    test(`the client ${what} during the handshake`, async (t) => {
      const upstream = await createWireUpstream();
      t.after(() => upstream.close());
      const plane = await openWithUpstream(t, upstream.origin);
      const client = await openWireClient(plane.port, true);
      client.send(webSocketHead(plane.token, PATH));
      const connection = await upstream.connection();
      await connection.head();
      const tookMs = await ends(connection.socket, () => die(client.socket));
      assert.ok(tookMs < AT_ONCE_MS, `${tookMs} ms`);
      assert.equal((await plane.exchange())["outcome"], "client_left");
    });

    test(`the client ${what} while its token is being looked up: nothing goes up`, async (t) => {
      const upstream = await createWireUpstream();
      t.after(() => upstream.close());
      const plane = await openWithUpstream(t, upstream.origin);
      const client = await openWireClient(plane.port, true);
      await withOwner(plane.ownerUrl, (sql) =>
        sql.begin(async (transaction) => {
          await transaction`lock table x3sproxy.agents in access exclusive mode`;
          client.send(webSocketHead(plane.token, PATH));
          await eventually(
            async () => (await plane.metrics.openExchanges.get()).values[0]?.value === 1,
          );
          await ends(client.socket, () => {
            die(client.socket);
            if (what !== "ends its side") client.socket.destroy();
          });
        }),
      );
      assert.equal((await plane.exchange())["outcome"], "client_left");
      assert.equal(upstream.connections.length, 0);
    });
  }

  test("the token is revoked: both ends are closed within a second", async (t) => {
    const upstream = await createEcho();
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const other = await plane.deploy("other");
    const open = (token: string) =>
      openWebSocket(`${plane.url}${PATH}`, { headers: { authorization: `Bearer ${token}` } });
    const sockets = [await open(plane.token), await open(plane.token), await open(other)];
    const closed = Promise.all([
      ...sockets.slice(0, 2).map((socket) => once(socket, "close")),
      ...upstream.sockets.slice(0, 2).map((socket) => once(socket, "close")),
    ]);
    const startMs = performance.now();
    await plane.agents.destroy(actorIn(plane.workspaceId), "agent");
    await closed;
    const tookMs = performance.now() - startMs;
    assert.ok(tookMs < 1_000, `${tookMs} ms`);
    assert.equal((await plane.exchange())["outcome"], "cut");

    // Another agent's is untouched.
    sockets[2]?.send("still there?");
    const [answer] = (await once(sockets[2] ?? assert.fail(), "message")) as [Buffer];
    assert.equal(answer.toString(), "still there?");
  });

  test("the agent is deployed again: the old token's WebSocket is closed after the grace time", async (t) => {
    const upstream = await createEcho();
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin, {
      X3SPROXY_REDEPLOY_GRACE: `${GRACE_MS}ms`,
    });
    const socket = await openWebSocket(`${plane.url}${PATH}`, {
      headers: { authorization: `Bearer ${plane.token}` },
    });
    const closed = once(socket, "close");
    const startMs = performance.now();
    await plane.deploy();
    await closed;
    assert.ok(performance.now() - startMs >= GRACE_MS);
    assert.equal((await plane.exchange())["outcome"], "cut");
  });
});
