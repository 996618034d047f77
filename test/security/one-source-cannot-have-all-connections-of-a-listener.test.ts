import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { describe, test, type TestContext } from "node:test";
import fc from "fast-check";
import { boundConnections, connectionBounds } from "../../src/platform/connection-bounds.ts";
import type { Cidr } from "../../src/platform/addresses.ts";
import { readConfig } from "../../src/platform/config.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { eventually } from "../support/eventually.ts";

/** An address of this machine that is not loopback, if it has one. */
const OWN = Object.values(networkInterfaces())
  .flat()
  .find((one) => one?.internal === false && one.family === "IPv4")?.address;

function trusting(addresses: string): readonly Cidr[] {
  return readConfig({ X3SPROXY_TRUSTED_PROXIES: addresses }).trustedProxies;
}

async function open(t: TestContext, trustedProxies: readonly Cidr[] = []) {
  const metrics = createMetrics();
  const log = createLog({ level: "silent" });
  const taken = new Set<Socket>();
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    if (socket.destroyed) return;
    taken.add(socket);
    socket.once("close", () => taken.delete(socket));
  });
  boundConnections(server, { listener: "metrics", trustedProxies, metrics, log });
  server.listen(0, "0.0.0.0");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const clients: Socket[] = [];
  t.after(() => {
    for (const client of clients) client.destroy();
    server.close();
  });
  return {
    taken,
    most: connectionBounds().metrics,
    /** Connects `count` times from and to an address; each is open or was turned away when this resolves. */
    async connect(address: string, count: number): Promise<Socket[]> {
      const made = Array.from({ length: count }, () => {
        const client = connect({ port, host: address, localAddress: address });
        client.on("error", () => undefined);
        return client.resume();
      });
      clients.push(...made);
      const before = await refusals();
      const opened = taken.size;
      await eventually(async () => taken.size - opened + (await refusals()) - before >= count);
      return made;
    },
    refused: async (reason: string) =>
      (await metrics.connectionsRefused.get()).values.find(({ labels }) => labels.reason === reason)
        ?.value,
  };

  async function refusals(): Promise<number> {
    return (await metrics.connectionsRefused.get()).values.reduce(
      (sum, { value }) => sum + value,
      0,
    );
  }
}

describe("one source cannot have all connections of a listener", () => {
  test("past half of them it is turned away, and others are not", async (t) => {
    if (OWN === undefined) {
      t.skip("this machine has no address but loopback");
      return;
    }
    const it = await open(t);
    const half = Math.ceil(it.most / 2);
    const [first] = await it.connect(OWN, it.most * 2);
    await eventually(() => it.taken.size === half);
    assert.equal(await it.refused("source"), it.most * 2 - half);
    assert.equal(await it.refused("full"), 0);

    await it.connect("127.0.0.1", it.most - half);
    assert.equal(it.taken.size, it.most);
    await it.connect("127.0.0.1", 5);
    assert.equal(await it.refused("full"), 5);

    first?.destroy();
    await eventually(() => it.taken.size === it.most - 1);
    await it.connect(OWN, 1);
    assert.equal(it.taken.size, it.most, "what a source gives back it may have again");
  });

  test("but a trusted proxy and this machine speak for many", async (t) => {
    const it = await open(t, OWN === undefined ? [] : trusting(OWN));
    await it.connect(OWN ?? "127.0.0.1", it.most);
    assert.equal(it.taken.size, it.most);
    assert.equal(await it.refused("source"), 0);
  });

  test("all bounds together leave the reserve, however few files there are", () => {
    fc.assert(
      fc.property(fc.integer({ min: 256, max: 2_000_000 }), (openFiles) => {
        const { proxy, admin, metrics } = connectionBounds(openFiles);
        assert.ok(2 * proxy + admin + metrics + 128 <= openFiles);
        assert.ok(proxy >= 32 && admin >= 16 && metrics >= 8);
      }),
      { seed: 20261130 },
    );
    assert.ok(connectionBounds(20_000).proxy > 9_600, "nearly two files a call");
    for (const bound of Object.values(connectionBounds(10))) assert.ok(bound >= 8);
    assert.ok(Number.isSafeInteger(connectionBounds(Number.MAX_SAFE_INTEGER).proxy));
  });
});
