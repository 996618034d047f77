// A request that goes up on a connection which the upstream is just closing is lost, and may not be sent again if it is a POST.
import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { describe, test } from "node:test";
import { IdleConnections, type Idle } from "../../src/proxy/idle-connections.ts";
import { openDataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createWireUpstream, head, openWireClient } from "../support/wire.ts";

const PROVIDERS = ["openai", "anthropic", "gemini", "mistral", "groq", "together", "cohere", "xai"];
const IDLE_MS = 1200;

describe("how long a connection may be idle is learnt", () => {
  test("from when the upstream closed others: afterwards no POST is lost to one that is just closing", async (t) => {
    const servers = await Promise.all(
      PROVIDERS.map(async () => {
        const sockets: Socket[] = [];
        const server: Server = createServer((_, response) => response.end("ok"));
        server.on("connection", (socket) => {
          sockets.push(socket);
          // Node's own limit adds a second, and says in Keep-Alive what it is.
          socket.on("data", () => socket.setTimeout(IDLE_MS, () => socket.destroy()));
        });
        server.keepAliveTimeout = 0;
        server.listen(0, "127.0.0.1");
        await once(server, "listening");
        t.after(() => server.closeAllConnections());
        t.after(() => server.close());
        return { sockets, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
      }),
    );
    const env = Object.fromEntries(
      PROVIDERS.map((name, at) => [`X3SPROXY_ORIGIN_${name.toUpperCase()}`, servers[at]?.origin]),
    ) as Record<string, string>;
    const plane = await openDataPlane(t, { env });
    for (const name of PROVIDERS) await plane.save(name);
    const token = await plane.deploy();
    let lost = 0;
    const post = async (name: string): Promise<void> => {
      const client = await openWireClient(plane.port);
      client.send(head(token, `/${name}/v1/x`, { method: "POST", headers: ["content-length: 0"] }));
      if ((await client.answer()).status !== 200) lost++;
      client.socket.destroy();
    };
    await Promise.all(
      PROVIDERS.map(async (name, at) => {
        const { sockets = [] } = servers[at] ?? {};
        await post(name);
        await eventually(() => sockets.every((socket) => socket.destroyed));
        // From now on as close to the limit as a test can get, on both sides of it.
        for (let n = 0; n < 10; n++) {
          await post(name);
          await delay(IDLE_MS - 5 + n);
        }
      }),
    );
    assert.equal(lost, 0, `${lost} of ${PROVIDERS.length * 10} were lost`);
  });

  test("from its Keep-Alive: the proxy is the first to close", async (t) => {
    const upstream = await createWireUpstream(({ socket }) => {
      socket.on("data", () =>
        socket.write("HTTP/1.1 200 OK\r\nkeep-alive: timeout=3\r\ncontent-length: 2\r\n\r\nok"),
      );
    });
    t.after(() => upstream.close());
    const plane = await openDataPlane(t, { env: { X3SPROXY_ORIGIN_OPENAI: upstream.origin } });
    await plane.save("openai");
    const client = await openWireClient(plane.port);
    client.send(head(await plane.deploy(), "/openai/v1/x"));
    assert.equal((await client.answer()).body, "ok");
    const answeredMs = performance.now();
    const { socket } = await upstream.connection();
    await once(socket, "end");
    assert.ok(performance.now() - answeredMs < 2500, "with time to spare");
  });
});

describe("what is learnt", () => {
  const clock = { time: 1_000_000, nowMs: () => clock.time, monotonicMs: () => clock.time };
  const open = () => {
    const ended: number[] = [];
    const idle = new IdleConnections<Idle & { id: number }>(clock);
    const make = (id: number) => ({
      id,
      idleSinceMs: 0,
      idleMs: 0,
      end: () => void ended.push(id),
    });
    return { idle, make, ended };
  };
  /** Whether one is still used that has been idle for so long. */
  const isUsedAfter = ({ idle, make }: ReturnType<typeof open>, ms: number): boolean => {
    idle.push(make(1));
    clock.time += ms;
    return idle.pop() !== undefined;
  };

  test("is three quarters of the shortest idle time that the upstream allowed", () => {
    const world = open();
    assert.ok(isUsedAfter(world, 49_000));
    assert.ok(!isUsedAfter(world, 51_000), "never for longer than 50 s");
    world.idle.closedAfter(20_000);
    world.idle.closedAfter(30_000);
    assert.ok(isUsedAfter(world, 14_900));
    assert.ok(!isUsedAfter(world, 15_100));
  });

  test("is forgotten after ten minutes", () => {
    const world = open();
    world.idle.closedAfter(4000);
    clock.time += 9 * 60_000;
    assert.ok(!isUsedAfter(world, 3100));
    clock.time += 60_000;
    assert.ok(isUsedAfter(world, 3100));
  });

  test("is nothing from a restart, which closes what was just in use", () => {
    const world = open();
    world.idle.closedAfter(900);
    assert.ok(isUsedAfter(world, 40_000));
  });

  test("is nothing from what we closed; the upstream's close counts from when it became idle", () => {
    const world = open();
    const [first, second] = [world.make(1), world.make(2)];
    world.idle.push(first);
    world.idle.push(second);
    clock.time += 8000;
    world.idle.remove(first, true);
    assert.equal(world.idle.pop(), second);
    world.idle.push(second);
    clock.time += 8000;
    world.idle.remove(second, false);
    assert.ok(!isUsedAfter(world, 6100));
  });

  test("ends all that have been idle for too long with the first of them", () => {
    const world = open();
    for (const id of [1, 2, 3]) world.idle.push(world.make(id));
    clock.time += 51_000;
    assert.equal(world.idle.pop(), undefined);
    assert.deepEqual(world.ended.toSorted(), [1, 2, 3]);
    assert.equal(world.idle.pop(), undefined);
    assert.equal(world.ended.length, 3);
  });
});
