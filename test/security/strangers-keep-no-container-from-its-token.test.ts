// Whoever sends made-up registration tokens, as many as fit, fills no more than their network's share of the room before the database:
// a container elsewhere trades its own all the same.
import assert from "node:assert/strict";
import { test } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { newBearer, REGISTRATION_PREFIX } from "../../src/platform/ids.ts";
import { actorIn } from "../support/actor.ts";
import { openDataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { openWireClient, type WireClient } from "../support/wire.ts";

const STRANGERS = 700;
// Two have a place, and a network half of the room.
const MAY_WAIT = 2 + 500;
const HOUR_MS = 3_600_000;

const register = (token: string, address: string): string =>
  [
    "POST /_x3sproxy/register HTTP/1.1",
    "Host: proxy.test",
    `Authorization: Bearer ${token}`,
    `X-Forwarded-For: ${address}`,
    "Content-Length: 0",
    "\r\n",
  ].join("\r\n");

test("a container's registration is traded while strangers fill what they may", async (t) => {
  const plane = await openDataPlane(t, { env: { X3SPROXY_TRUSTED_PROXIES: "127.0.0.0/8" } });
  await plane.deploy("worker");
  const { token } = await plane.registrations.create(actorIn(plane.workspaceId), "worker", HOUR_MS);
  const clients: WireClient[] = [];
  t.after(() => clients.forEach(({ socket }) => socket.destroy()));
  const open = async (): Promise<WireClient> => {
    const client = await openWireClient(plane.port);
    clients.push(client);
    return client;
  };
  for (let i = 0; i < STRANGERS; i++) await open();
  const container = await open();
  const refused = (): number =>
    plane.logged().filter((line) => line["msg"] === "exchange" && line["reason"] === "overloaded")
      .length;
  await withOwner(plane.ownerUrl, (sql) =>
    sql.begin(async (tx) => {
      await tx`lock table x3sproxy.registrations in access exclusive mode`;
      for (const client of clients.slice(0, STRANGERS)) {
        client.send(register(newBearer(REGISTRATION_PREFIX), "198.51.100.1"));
      }
      await eventually(() => refused() === STRANGERS - MAY_WAIT);
      container.send(register(token, "203.0.113.7"));
      // Whoever is answered now came after it.
      for (let more = 1; more <= 3; more++) {
        const client = await open();
        client.send(register(newBearer(REGISTRATION_PREFIX), "198.51.100.1"));
        assert.equal((await client.answer("POST")).status, 503);
      }
    }),
  );
  assert.equal((await container.answer("POST")).status, 201);
});
