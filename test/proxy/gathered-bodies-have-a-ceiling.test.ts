// What a process keeps of bodies that have not fully come is bounded, for each agent and for all; past it, bodies stream.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openWithUpstream } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createWireUpstream, head, openWireClient, type WireClient } from "../support/wire.ts";

const TARGET = "/openai/v1/files";
const LENGTH = 256 * 1024;
const PART = "x".repeat(LENGTH - 1);
/** What an agent's share has room for. */
const SHARE = (16 * 1024 * 1024) / LENGTH;
const OVER = 6;

const POST = { method: "POST", headers: [`Content-Length: ${LENGTH}`] };

test("an agent's bodies past its share go up as they come, and another agent's are gathered", async (t) => {
  const upstream = await createWireUpstream(({ socket, received }) => {
    socket.on("data", () => {
      const start = received().indexOf("\r\n\r\n");
      if (start >= 0 && received().length - start - 4 === LENGTH) {
        socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
      }
    });
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const hold = async (token: string): Promise<WireClient> => {
    const client = await openWireClient(plane.port);
    client.send(head(token, TARGET, POST) + PART);
    return client;
  };
  const clients: WireClient[] = [];
  for (let n = 0; n < SHARE + OVER; n++) clients.push(await hold(plane.token));
  await eventually(() => upstream.connections.length === OVER);

  const other = await hold(await plane.deploy("other"));
  const open = async () => (await plane.metrics.openExchanges.get()).values[0]?.value;
  await eventually(async () => (await open()) === SHARE + OVER + 1);
  assert.equal(upstream.connections.length, OVER, "another agent's is gathered");

  // All of them come to their end, and the room is there again.
  for (const client of [...clients, other]) {
    client.send("x");
    assert.equal((await client.answer()).status, 200);
    client.socket.destroy();
  }
  await eventually(async () => (await open()) === 0);
  const before = upstream.connections.length;
  const again = await hold(plane.token);
  await eventually(async () => (await open()) === 1);
  assert.equal(upstream.connections.length, before, "gathered as at first");
  again.socket.destroy();
});

test("room is given back by clients that leave", async (t) => {
  const upstream = await createWireUpstream();
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const open = async () => (await plane.metrics.openExchanges.get()).values[0]?.value;
  for (let round = 0; round < 2; round++) {
    const clients: WireClient[] = [];
    for (let n = 0; n < SHARE; n++) {
      const client = await openWireClient(plane.port);
      client.send(head(plane.token, TARGET, POST) + "x");
      clients.push(client);
    }
    await eventually(async () => (await open()) === SHARE);
    assert.equal(upstream.connections.length, 0);
    for (const { socket } of clients) socket.destroy();
    await eventually(async () => (await open()) === 0);
  }
});
