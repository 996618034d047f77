// The switch, as it is thrown in an emergency: two services on one database, hundreds of open streams, steady requests of other
// agents, which must not notice.
import assert from "node:assert/strict";
import { Agent, createServer, request, type IncomingMessage } from "node:http";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { runService, type RunningService } from "../support/service.ts";
import { openWebSocket } from "../support/websocket-upstream.ts";
import { administer } from "./calls.ts";

const WITHIN_MS = 1_000;
const STREAMS_EACH = 100;
const WEBSOCKETS_EACH = 10;
const REQUESTS_A_SECOND_EACH = 40;
const CHUNK_EVERY_MS = 100;
const KEY = "sk-proj-FAKE-ended-under-load-0000-8888";

let database: TestDatabase;
let services: RunningService[];
let closeUpstream: () => void;
const agent = new Agent({ keepAlive: true });

before(async () => {
  database = await createTestDatabase();
  const upstream = createServer((incoming, outgoing) => {
    incoming.resume();
    if (!incoming.url?.endsWith("/stream")) {
      outgoing.end("{}");
      return;
    }
    outgoing.writeHead(200, { "content-type": "text/event-stream" });
    outgoing.write("data: begin\n\n");
    const timer = setInterval(() => outgoing.write("data: more\n\n"), CHUNK_EVERY_MS);
    outgoing.on("close", () => clearInterval(timer));
  });
  const webSockets = new WebSocketServer({ server: upstream });
  webSockets.on("connection", (socket: WebSocket) => socket.on("error", () => undefined));
  upstream.listen(0, "127.0.0.1");
  await once(upstream, "listening");
  closeUpstream = () => {
    upstream.closeAllConnections();
    upstream.close();
  };
  const env = {
    X3SPROXY_ORIGIN_OPENAI: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
    X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
    X3SPROXY_DRAIN_TIMEOUT: "1s",
  };
  const one = await runService({ database, env });
  services = [one, await runService({ database, env, apiKey: one.apiKey })];
  await one.setSecret("openai", KEY);
});
after(async () => {
  agent.destroy();
  for (const service of services) await service.remove();
  closeUpstream();
  await database.drop();
});

const first = (): RunningService => services[0] as RunningService;

/** A stream that has begun; resolves to when it ended, by performance.now(), and whether as a whole one. */
async function openStream(
  { proxyUrl }: RunningService,
  token: string,
): Promise<Promise<{ atMs: number; whole: boolean }>[]> {
  const outgoing = request(`${proxyUrl}/openai/v1/stream`, {
    headers: { authorization: `Bearer ${token}` },
    agent: false,
  });
  outgoing.on("error", () => undefined);
  outgoing.end();
  const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
  assert.equal(incoming.statusCode, 200);
  const ended = new Promise<{ atMs: number; whole: boolean }>((resolve) => {
    incoming.on("error", () => undefined);
    incoming.on("close", () => resolve({ atMs: performance.now(), whole: incoming.complete }));
  });
  await once(incoming, "data");
  incoming.resume();
  return [ended];
}

async function openTunnel({ proxyUrl }: RunningService, token: string): Promise<Promise<number>[]> {
  const socket = await openWebSocket(`${proxyUrl}/openai/v1/realtime`, {
    headers: { authorization: `Bearer ${token}` },
  });
  return [new Promise((resolve) => socket.once("close", () => resolve(performance.now())))];
}

/** Everything that an agent has open, on both services. */
async function openAll(token: string) {
  const streams: Promise<{ atMs: number; whole: boolean }>[] = [];
  const tunnels: Promise<number>[] = [];
  for (const service of services) {
    const some = await Promise.all(
      Array.from({ length: STREAMS_EACH }, () => openStream(service, token)),
    );
    streams.push(...some.flat());
    const others = await Promise.all(
      Array.from({ length: WEBSOCKETS_EACH }, () => openTunnel(service, token)),
    );
    tunnels.push(...others.flat());
  }
  return { streams, tunnels };
}

interface Seen {
  readonly startMs: number;
  readonly status: number | undefined;
  readonly refusal: string | undefined;
}

function ask({ proxyUrl }: RunningService, token: string): Promise<Seen> {
  const startMs = performance.now();
  return new Promise((resolve) => {
    const outgoing = request(`${proxyUrl}/openai/v1/models`, {
      agent,
      headers: { authorization: `Bearer ${token}` },
    });
    outgoing.once("error", () => resolve({ startMs, status: undefined, refusal: undefined }));
    outgoing.once("response", (incoming) => {
      const refusal = incoming.headers["x3sproxy-refusal"] as string | undefined;
      incoming
        .resume()
        .once("end", () => resolve({ startMs, status: incoming.statusCode, refusal }));
    });
    outgoing.end();
  });
}

/** Asks both services at a steady rate until it is stopped. */
function keepAsking(token: string) {
  const seen: Seen[] = [];
  const open = new Set<Promise<void>>();
  const timer = setInterval(() => {
    for (const service of services) {
      const call = ask(service, token).then((it) => {
        seen.push(it);
        open.delete(call);
      });
      open.add(call);
    }
  }, 1000 / REQUESTS_A_SECOND_EACH);
  return {
    async stop(): Promise<readonly Seen[]> {
      clearInterval(timer);
      await Promise.all(open);
      return seen;
    },
  };
}

function figures(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b).map(Math.round);
  return `median ${sorted[Math.floor(sorted.length / 2)]} ms, max ${sorted.at(-1)} ms`;
}

describe("within a second on both services, under load", () => {
  for (const end of ["destroy", "suspend", "suspend the workspace"] as const) {
    test(`${end}: calls are refused, streams and WebSockets cut; other agents notice nothing`, async (t) => {
      const name = end.replaceAll(" ", "-");
      const all = end === "suspend the workspace";
      const token = await first().deploy(name);
      const otherToken = await first().deploy(`other-of-${name}`);
      const own = await openAll(token);
      const others = await openAll(otherToken);
      let othersEnded = 0;
      for (const each of [...others.streams, ...others.tunnels])
        void each.then(() => othersEnded++);
      const asking = keepAsking(token);
      const othersAsking = keepAsking(otherToken);
      await sleep(500);

      const startMs = performance.now();
      if (end === "destroy") await administer(first(), "DELETE", `/agents/${name}`);
      else if (all) await administer(first(), "POST", "/workspace/suspend");
      else await administer(first(), "POST", `/agents/${name}/suspend`);
      const streams = await Promise.all(own.streams);
      const tunnels = await Promise.all(own.tunnels);
      await sleep(500);
      const seen = await asking.stop();

      const took = (atMs: number): number => atMs - startMs;
      const streamTimes = streams.map(({ atMs }) => took(atMs));
      const tunnelTimes = tunnels.map(took);
      const served = seen.filter(({ status }) => status === 200);
      const lastServedMs = Math.max(...served.map((it) => took(it.startMs)));
      t.diagnostic(`${streams.length} streams: ${figures(streamTimes)}`);
      t.diagnostic(`${tunnels.length} WebSockets: ${figures(tunnelTimes)}`);
      t.diagnostic(`the last call that was served began after ${Math.round(lastServedMs)} ms`);
      assert.ok(Math.max(...streamTimes, ...tunnelTimes, lastServedMs) < WITHIN_MS);
      assert.ok(streams.every(({ whole }) => !whole));
      const refused = seen.filter(({ status }) => status !== 200);
      assert.ok(refused.length > 0);
      const reason = end === "destroy" ? "unknown_token" : "agent_suspended";
      assert.deepEqual(new Set(refused.map((it) => it.refusal)), new Set([reason]));

      if (all) {
        await Promise.all([...others.streams, ...others.tunnels]);
        await othersAsking.stop();
        const resumedMs = await administer(first(), "POST", "/workspace/resume");
        for (const service of services) {
          await eventually(async () => (await ask(service, token)).status === 200, WITHIN_MS);
        }
        t.diagnostic(`resumed at both after ${Math.round(performance.now() - resumedMs)} ms`);
        return;
      }
      const othersSeen = await othersAsking.stop();
      assert.equal(othersEnded, 0, "streams and WebSockets of another agent were cut");
      assert.deepEqual(new Set(othersSeen.map(({ status }) => status)), new Set([200]));
      if (end === "suspend") {
        const resumedMs = await administer(first(), "POST", `/agents/${name}/resume`);
        for (const service of services) {
          await eventually(async () => (await ask(service, token)).status === 200, WITHIN_MS);
        }
        t.diagnostic(`resumed at both after ${Math.round(performance.now() - resumedMs)} ms`);
      }
      await administer(first(), "DELETE", `/agents/other-of-${name}`);
      await Promise.all([...others.streams, ...others.tunnels]);
    });
  }
});
