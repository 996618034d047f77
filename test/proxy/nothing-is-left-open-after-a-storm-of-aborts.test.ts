import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import type { Socket } from "node:net";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { openWithUpstream } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import {
  createWireUpstream,
  head,
  openWireClient,
  SWITCHING,
  webSocketHead,
  type UpstreamConnection,
} from "../support/wire.ts";

const REQUESTS = 2_000;
const AT_ONCE = 40;
const BLOCK = "x".repeat(20_000);

function chance(percent: number): boolean {
  return randomInt(100) < percent;
}

function pick<T>(...from: T[]): T {
  return from[randomInt(from.length)] as T;
}

/** Node can't reset a socket that is being ended, and then never closes it. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

/** Answers each request in one of many ways, some of them rude. */
function misbehave({ socket }: UpstreamConnection): void {
  socket.on("data", (chunk: Buffer) => {
    const text = chunk.toString("latin1");
    if (!/^[A-Z]+ \//.test(text)) return;
    if (/upgrade: websocket/i.test(text)) {
      socket.write(
        pick(SWITCHING, `${SWITCHING}hello`, "HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n"),
      );
      if (chance(50)) void delay(randomInt(10)).then(() => socket.destroy());
      return;
    }
    const answers = [
      () => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
      () =>
        socket.write(
          `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4e20\r\n${BLOCK}\r\n0\r\n\r\n`,
        ),
      () =>
        socket.write(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4e20\r\n${BLOCK}\r\n`),
      () => socket.end(`HTTP/1.1 200 OK\r\n\r\n${BLOCK}`),
      () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok"),
      () => socket.write("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"),
      () =>
        socket.write("HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"),
      () => socket.write("garbage\r\n\r\n"),
      () => reset(socket),
      () => socket.end(),
    ];
    void delay(randomInt(5)).then(() => {
      if (!socket.destroyed) pick(...answers)();
      if (chance(10)) void delay(randomInt(5)).then(() => reset(socket));
    });
  });
}

test("nothing is left open after a storm of requests with aborts on both sides", async (t) => {
  const warnings: string[] = [];
  const onWarning = (warning: Error): void => void warnings.push(String(warning));
  process.on("warning", onWarning);
  t.after(() => process.off("warning", onWarning));
  const upstream = await createWireUpstream(misbehave);
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);

  let sent = 0;
  const one = async (): Promise<void> => {
    const client = await openWireClient(plane.port);
    const target = `/openai/v1/${randomInt(1000)}`;
    const post = (headers: string[]): string =>
      head(pick(plane.token, plane.token, "x3sproxy_bad"), target, { method: "POST", headers });
    for (let n = randomInt(1, 4); n > 0 && !client.socket.destroyed; n--) {
      sent++;
      client.send(
        pick(
          () => head(plane.token, target),
          () => head(plane.token, target, { method: "HEAD" }),
          () => head(plane.token, target, { version: "1.0" }),
          () => post(["content-length: 5"]) + pick("hello", "hel"),
          () => post(["content-length: 300000"]) + BLOCK,
          () =>
            post(["transfer-encoding: chunked"]) + `4e20\r\n${BLOCK}\r\n` + pick("", "0\r\n\r\n"),
          () => post(["transfer-encoding: chunked"]) + "not a chunk\r\n",
          () => post(["expect: 100-continue", "content-length: 5"]) + "hello",
          () => webSocketHead(plane.token, target) + pick("", "hello"),
          () => "garbage\r\n\r\n",
        )(),
      );
      const seen = client.received().length;
      const answered = client.until((bytes) => bytes.length > seen).catch(() => undefined);
      await Promise.race([answered, delay(chance(70) ? 400 : randomInt(20))]);
    }
    await delay(randomInt(10));
    if (chance(30)) reset(client.socket);
    else if (chance(50)) client.socket.destroy();
    else client.socket.end();
    if (!client.socket.destroyed) {
      await Promise.race([once(client.socket, "close"), delay(50)]).catch(() => undefined);
      client.socket.destroy();
    }
  };
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (sent < REQUESTS) await one();
    }),
  );

  await eventually(async () => (await plane.metrics.openExchanges.get()).values[0]?.value === 0);
  await eventually(
    () => upstream.connections.filter(({ socket }) => !socket.destroyed).length < 50,
  );

  // And it still works.
  upstream.connections.length = 0;
  await eventually(async () => {
    const response = await fetch(`${plane.url}/openai/v1/models`, {
      headers: { authorization: `Bearer ${plane.token}` },
      signal: AbortSignal.timeout(1_000),
    }).catch(() => undefined);
    return response?.status === 204 || response?.status === 200;
  });
  await plane.drain();
  const ended = plane.logged().filter((line) => line["msg"] === "exchange");
  const ids = new Set(ended.map((line) => line["exchangeId"]));
  assert.equal(ids.size, ended.length, "each exchange is recorded once");
  assert.equal(plane.logged().filter((line) => line["msg"] === "request failed").length, 0);
  await eventually(() => upstream.connections.every(({ socket }) => socket.destroyed));
  assert.deepEqual(warnings, []);
});
