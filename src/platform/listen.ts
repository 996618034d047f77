// Listening, as a promise. Each worker has a socket of its own at the same address, and the system distributes connections among them. Where
// the system can't, workers accept from one shared socket.
import cluster from "node:cluster";
import { createServer, type Server } from "node:net";
import type { ListenAddress } from "./config.ts";

/** Options for a server that may share its address with other workers. */
export const SHARING = {
  reusePort: cluster.isWorker && (process.platform === "linux" || process.platform === "freebsd"),
};

/** Begins to listen. Resolves to the address (port 0 picks a free one). Rejects if it can't. */
export function listen(server: Server, { host, port }: ListenAddress): Promise<ListenAddress> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, ...SHARING }, () => {
      server.off("error", reject);
      const bound = server.address();
      resolve({ host, port: bound === null || typeof bound === "string" ? port : bound.port });
    });
  });
}

/**
 * Makes sure that no other program listens there, which workers with shared addresses would not notice. Resolves to the address, with a
 * free port in place of port 0.
 */
export async function findFree(address: ListenAddress): Promise<ListenAddress> {
  const server = createServer();
  const { port } = await listen(server, address);
  await new Promise((resolve) => server.close(resolve));
  return { host: address.host, port };
}
