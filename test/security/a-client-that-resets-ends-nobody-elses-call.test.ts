import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { openWithUpstream } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createWireUpstream, head, openWireClient, webSocketHead } from "../support/wire.ts";

const STARTED = "http.server.request.start";
const TARGET = "/openai/v1/responses";
const CHUNK = `1f40\r\n${"a".repeat(8000)}\r\n`;

describe("a client that resets ends nobody else's call", () => {
  for (const [what, request] of Object.entries({
    "a WebSocket's handshake": (token: string) => webSocketHead(token, "/openai/v1/realtime"),
    "a CONNECT": (token: string) => head(token, "a.test:443", { method: "CONNECT" }),
  })) {
    test(`${what} behind a whole answer that is not read, and a reset`, async (t) => {
      const upstream = await createWireUpstream();
      t.after(() => upstream.close());
      const plane = await openWithUpstream(t, upstream.origin);
      let accepted: Socket | undefined;
      const see = (message: unknown): void => {
        accepted ??= (message as { socket: Socket }).socket;
      };
      subscribe(STARTED, see);
      t.after(() => unsubscribe(STARTED, see));

      const client = await openWireClient(plane.port);
      client.socket.pause();
      client.send(head(plane.token, TARGET));
      const { socket: up, head: arrived } = await upstream.connection();
      await arrived();
      assert.ok(accepted !== undefined);
      const own = accepted;
      up.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
      // Until the systems of both ends take no more, and the last of it waits here.
      while (own.writableLength === 0) {
        up.write(CHUNK);
        await turn();
      }
      up.write("0\r\n\r\n");
      client.send(request(plane.token));
      await eventually(() => own.writableEnded);
      client.socket.resetAndDestroy();
      await eventually(() => own.closed);

      const next = await openWireClient(plane.port);
      next.send(head("x", TARGET));
      assert.equal((await next.answer()).status, 401);
    });
  }
});
