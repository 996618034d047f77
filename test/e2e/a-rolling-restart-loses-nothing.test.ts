// Two services on one database, each restarted in turn under load: no call fails, no stream breaks, every byte arrives, and every
// call is in the log and in the activity, although nobody tries anything again.
import assert from "node:assert/strict";
import { Agent, createServer, request, type IncomingMessage } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { withOwner } from "../../src/db/connection.ts";
import { createBalancer } from "../support/balancer.ts";
import { createTestDatabase } from "../support/database.ts";
import { runService, type RunningService } from "../support/service.ts";

const FAKE_KEY = "sk-proj-FAKE-openai-key-of-a-rolling-restart-9090";
const CALLERS = 4;
const EVENTS = 18;
const EVENT_EVERY_MS = 100;
const STREAM_EVERY_MS = 250;
// Longer than the balancer takes to notice, and much longer than a stream.
const SETTINGS = { X3SPROXY_DRAIN_DELAY: "500ms", X3SPROXY_DRAIN_TIMEOUT: "15s" };
const CHECK_EVERY_MS = 100;

const eventOf = (name: string, i: number): string => `data: {"name":"${name}","i":${i}}\n\n`;
const streamOf = (name: string): string =>
  Array.from({ length: EVENTS }, (_, i) => eventOf(name, i)).join("") + "data: [DONE]\n\n";

/** Answers a call with its own body, and one to /v1/stream with events for two seconds. */
async function openUpstream() {
  const server = createServer((incoming, response) => {
    void textOf(incoming).then((body) => {
      if (incoming.url !== "/v1/stream") {
        response.end(body);
        return;
      }
      response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
      let i = 0;
      const timer = setInterval(() => {
        if (i < EVENTS) response.write(eventOf(body, i++));
        else {
          clearInterval(timer);
          response.end("data: [DONE]\n\n");
        }
      }, EVENT_EVERY_MS);
      response.on("close", () => clearInterval(timer));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

async function textOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  assert.ok(message.complete, "it ended before its end");
  return Buffer.concat(chunks).toString();
}

test("each of two services is restarted under load", async (t) => {
  const database = await createTestDatabase();
  t.after(() => database.drop());
  const upstream = await openUpstream();
  t.after(() => upstream.server.close());
  const env = {
    ...SETTINGS,
    X3SPROXY_ORIGIN_OPENAI: upstream.origin,
    X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
  };
  const first = await runService({ database, env });
  const started: RunningService[] = [first];
  const start = async (): Promise<RunningService> => {
    const service = await runService({ database, env, apiKey: first.apiKey });
    started.push(service);
    return service;
  };
  t.after(() => Promise.all(started.map((service) => service.remove())));
  const second = await start();
  await first.setSecret("openai", FAKE_KEY);
  const token = await first.deploy("rolling");
  const balancer = await createBalancer(CHECK_EVERY_MS);
  t.after(() => balancer.close());
  await Promise.all([balancer.add(first), balancer.add(second)]);

  const agent = new Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const problems: string[] = [];
  const call = async (path: string, body: string, expected: string): Promise<void> => {
    try {
      const sent = request(`${balancer.url}/openai${path}`, {
        method: "POST",
        agent,
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      });
      sent.end(body);
      const [answer] = (await once(sent, "response")) as [IncomingMessage];
      const text = await textOf(answer);
      if (answer.statusCode !== 200 || text !== expected) {
        problems.push(
          `${path} ${body.slice(0, 30)}: ${String(answer.statusCode)} ${text.slice(0, 300)}`,
        );
      }
    } catch (error) {
      problems.push(`${path} ${body.slice(0, 30)}: ${String(error)}`);
    }
  };
  const load = { goesOn: true };
  let calls = 0;
  const streams: Promise<void>[] = [];
  const callers = [
    ...Array.from({ length: CALLERS }, async (_, caller) => {
      while (load.goesOn) {
        const body = JSON.stringify({ caller, n: ++calls, filler: "x".repeat(calls % 3000) });
        await call("/v1/responses", body, body);
      }
    }),
    (async () => {
      while (load.goesOn) {
        const name = `s${++calls}`;
        streams.push(call("/v1/stream", name, streamOf(name)));
        await delay(STREAM_EVERY_MS);
      }
    })(),
  ];

  await delay(1000); // so that streams of all ages are open
  for (const service of [first, second]) {
    const stopped = await service.stop();
    assert.equal(stopped, 0);
    balancer.remove(service);
    await balancer.add(await start());
  }
  load.goesOn = false;
  await Promise.all(callers);
  await Promise.all(streams);
  assert.deepEqual(problems, []);
  assert.equal(balancer.refused(), 0);
  assert.ok(streams.length > 10 && calls > 200, `${streams.length} streams of ${calls} calls`);

  await Promise.all(started.map((service) => service.stop()));
  const outcomes = started.flatMap(({ output }) =>
    output.stdout
      .split("\n")
      .filter((line) => line.includes('"msg":"exchange"'))
      .map((line) => (JSON.parse(line) as { outcome: string }).outcome),
  );
  assert.deepEqual(new Set(outcomes), new Set(["completed"]));
  assert.equal(outcomes.length, calls, "each call is in the log");
  const [row] = await withOwner(
    database.ownerUrl,
    (sql) => sql<{ requests: number }[]>`
      select sum(requests)::int as requests from x3sproxy.activity_minutes`,
  );
  assert.equal(row?.requests, calls, "and in the activity");
  t.diagnostic(`${calls} calls, ${streams.length} of them streams`);
});
