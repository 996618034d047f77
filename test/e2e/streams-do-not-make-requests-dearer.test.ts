// V8 learns where long-lived objects are made. What it learns from streams must not make it keep the garbage of short requests
// among the old objects, where it is dear: that doubled a request's CPU, for as long as the service ran.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { createTestDatabase } from "../support/database.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { runService, type RunningService } from "../support/service.ts";
import { administer } from "./calls.ts";

const REAL_KEY = "sk-proj-FAKE-openai-key-of-young-garbage-0000-9999";
const STREAMS = 500;
const CONNECTIONS = 32;
const REQUESTS = 30_000;
const TURN = 1_000;
// 23 MB without the setting that this is about, 3 to 5 with it.
const MOST_BYTES = 12e6;

test("streams do not make the requests after them dearer", { timeout: 120_000 }, async (t) => {
  const { service, token } = await start(t);
  const port = Number(new URL(service.proxyUrl).port);
  for (let i = 0; i < STREAMS; i++) await openStreamAndLeave(port, token);

  const sockets = Array.from({ length: CONNECTIONS }, () => connect(port, "127.0.0.1"));
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  let left = 0;
  const ask = async (socket: Socket): Promise<void> => {
    while (left-- > 0) {
      socket.write(request("/v1/models", token));
      const [answer] = (await once(socket, "data")) as [Buffer];
      assert.match(answer.toString("latin1"), /^HTTP\/1\.1 200 [^]*\r\n\r\nok$/);
    }
  };
  let grownBytes = 0;
  let before = await oldBytes(service);
  for (let sent = 0; sent < REQUESTS; sent += TURN) {
    left = TURN;
    await Promise.all(sockets.map(ask));
    const now = await oldBytes(service);
    grownBytes += Math.max(0, now - before); // a full collection makes it fall
    before = now;
  }
  t.diagnostic(`${(grownBytes / 1e6).toFixed(1)} MB became old in ${REQUESTS} requests`);
  assert.ok(grownBytes < MOST_BYTES, `${grownBytes} bytes became old`);
});

async function start(t: TestContext): Promise<{ service: RunningService; token: string }> {
  const upstream = await createHttpUpstream((asked, response) => {
    asked.resume();
    if (asked.url === "/v1/models") {
      response.writeHead(200, { "content-length": 2 }).end("ok");
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    const timer = setInterval(() => response.write("data: {}\n\n"), 5);
    response.on("close", () => clearInterval(timer));
  });
  t.after(() => upstream.close());
  const database = await createTestDatabase();
  const service = await runService({
    database,
    env: {
      X3SPROXY_ORIGIN_OPENAI: upstream.origin,
      X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
    },
  });
  t.after(async () => {
    await service.remove();
    await database.drop();
  });
  const secret = { provider: "openai", environment: "production", value: REAL_KEY };
  await administer(service, "PUT", "/secrets", { ...secret, skipTest: true });
  return { service, token: await service.deploy("busy") };
}

async function openStreamAndLeave(port: number, token: string): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  socket.write(request("/v1/stream", token));
  let came = "";
  while (!came.includes("data: {}")) {
    const [data] = (await once(socket, "data")) as [Buffer];
    came += data.toString("latin1");
  }
  socket.destroy();
  await once(socket, "close");
}

function request(path: string, token: string): string {
  return `GET /openai${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`;
}

/** What stands among the old objects, as the service's own metrics say. */
async function oldBytes(service: RunningService): Promise<number> {
  const text = await (await fetch(`${service.metricsUrl}/metrics`)).text();
  const found = /^nodejs_heap_space_size_used_bytes\{space="old"\} (\d+)/m.exec(text)?.[1];
  assert.ok(found !== undefined, "the metric is there");
  return Number(found);
}
