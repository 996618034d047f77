import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { IncomingMessage } from "node:http";
import { test } from "node:test";
import { openDataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { head, openWireClient } from "../support/wire.ts";

const STARTED = "http.server.request.start";

test("a request that waited ends with its answer, so that nobody waits for its body and closes the connection", async (t) => {
  const plane = await openDataPlane(t);
  const token = await plane.deploy();
  const requests: IncomingMessage[] = [];
  const see = (message: unknown): void => {
    requests.push((message as { request: IncomingMessage }).request);
  };
  subscribe(STARTED, see);
  t.after(() => unsubscribe(STARTED, see));

  const client = await openWireClient(plane.port);
  client.send(head(token, "/openai/v1/0") + head(token, "/openai/v1/1"));
  assert.equal((await client.answer()).status, 403);
  assert.equal((await client.answer()).status, 403);
  await eventually(() => requests.every((request) => request.complete));
  assert.equal(requests.length, 2);
});
