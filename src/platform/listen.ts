// Listening, as a promise. Of several workers each has a socket of its own at the same address, and the system deals connections
// out to them; where it can't, they accept from one.
import cluster from "node:cluster";
import { createServer, type Server } from "node:net";
import type { ListenAddress } from "./config.ts";

/** What a server that may be one of several has to be told besides its address. */
export const SHARING = {
  reusePort: cluster.isWorker && (process.platform === "linux" || process.platform === "freebsd"),
};

/** Begins to listen; resolves to the address that it got (port 0 picks one), rejects when it can't. */
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
 * Makes sure that nobody listens there, which workers would not notice of each other; resolves to the address, with a port that was
 * free if it had none.
 */
export async function findFree(address: ListenAddress): Promise<ListenAddress> {
  const server = createServer();
  const { port } = await listen(server, address);
  await new Promise((resolve) => server.close(resolve));
  return { host: address.host, port };
}
