// A TCP load balancer as plain as they come: each connection goes to the next server whose /readyz says 200, and stays there. It
// tries nothing again.
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

export interface Balanced {
  readonly proxyUrl: string;
  readonly metricsUrl: string;
}

export interface Balancer {
  readonly url: string;
  /** How many connections found no server. */
  readonly refused: () => number;
  /** Resolves when it has seen that the server is ready. */
  add(server: Balanced): Promise<void>;
  remove(server: Balanced): void;
  close(): Promise<void>;
}

export async function createBalancer(checkEveryMs: number): Promise<Balancer> {
  const servers = new Map<Balanced, boolean>();
  const sockets = new Set<Socket>();
  let turn = 0;
  let refused = 0;
  const check = async (server: Balanced): Promise<void> => {
    const ready = await fetch(`${server.metricsUrl}/readyz`, {
      signal: AbortSignal.timeout(1000),
    }).then(
      ({ status }) => status === 200,
      () => false,
    );
    if (servers.has(server)) servers.set(server, ready);
  };
  const timer = setInterval(() => {
    for (const server of servers.keys()) void check(server);
  }, checkEveryMs);
  const adopt = (socket: Socket): void => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  };
  const relay = createServer((client) => {
    adopt(client);
    const ready = [...servers].filter(([, isReady]) => isReady).map(([server]) => server);
    const chosen = ready[turn++ % ready.length];
    if (chosen === undefined) {
      refused++;
      client.destroy();
      return;
    }
    const server = connect(Number(new URL(chosen.proxyUrl).port), "127.0.0.1");
    adopt(server);
    client.pipe(server).pipe(client);
    server.on("error", () => client.destroy());
    client.on("error", () => server.destroy());
  });
  relay.listen(0, "127.0.0.1");
  await once(relay, "listening");
  return {
    url: `http://127.0.0.1:${(relay.address() as AddressInfo).port}`,
    refused: () => refused,
    async add(server) {
      servers.set(server, false);
      while (servers.get(server) !== true) await check(server);
    },
    remove: (server) => void servers.delete(server),
    async close() {
      clearInterval(timer);
      for (const socket of sockets) socket.destroy();
      relay.close();
      await once(relay, "close");
    },
  };
}
